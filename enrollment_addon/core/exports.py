"""Lists as CSV and XLSX: streamed, bounded in memory, and harmless when opened in a spreadsheet."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
ROWS_OF_A_SHEET = 1_048_575
"""What a sheet of a workbook holds below its header; more rows go on in a further sheet."""


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula: such text gets an apostrophe in front (OWASP, CSV injection)."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return value


def packed(row: Iterable[Any]) -> str:
    """A row as one line of JSON that keeps the types of its cells, for a file that is made of it later."""
    return json.dumps([_packed(value) for value in row], ensure_ascii=False) + "\n"


def _packed(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Decimal():
            return {"number": str(value)}
        case dt.datetime():
            return {"moment": value.isoformat()}
        case dt.date():
            return {"day": value.isoformat()}
    return str(value)


_UNPACK: dict[str, Callable[[str], Any]] = {
    "number": Decimal, "moment": dt.datetime.fromisoformat, "day": dt.date.fromisoformat,
}


def unpacked(line: str | bytes) -> list[Any]:
    """The row of a line that `packed` made."""
    return [_unpacked(value) for value in json.loads(line)]


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, text)] = value.items()
    return _UNPACK[kind](text)


def csv_lines(header: Sequence[Any], rows: Iterable[Sequence[Any]], *, bom: bool = True) -> Iterator[str]:
    """CSV text piece by piece; begins with a byte-order mark so that spreadsheets read it as UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    if bom:
        buffer.write("\ufeff")
    writer.writerow([safe_cell(str(h)) for h in header])
    for number, row in enumerate(rows, 1):
        writer.writerow([safe_cell(value) for value in row])
        if number % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def write_xlsx(
    target: BinaryIO, header: Sequence[Any], rows: Iterable[Sequence[Any]], *, rows_of_a_sheet: int = ROWS_OF_A_SHEET
) -> None:
    """Write a workbook with constant memory; numbers and dates keep their type, text is never a formula or link."""
    import xlsxwriter  # not worth its share of every start

    options = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd",
    }
    with xlsxwriter.Workbook(target, options) as book:
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet = _new_sheet(book, header)
        for number, row in enumerate(rows):
            if number and number % rows_of_a_sheet == 0:
                sheet = _new_sheet(book, header)
            for column, value in enumerate(row):
                _write_cell(sheet, number % rows_of_a_sheet + 1, column, value, moment)


def _new_sheet(book: Any, header: Sequence[Any]) -> Any:
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for column, title in enumerate(header):
        sheet.write_string(0, column, str(title), bold)
    return sheet


def _write_cell(sheet: Any, row: int, column: int, value: Any, moment: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float, Decimal)):
        sheet.write_number(row, column, value)
    elif isinstance(value, dt.datetime):
        sheet.write_datetime(row, column, value.replace(tzinfo=None), moment)
    elif isinstance(value, dt.date):
        sheet.write_datetime(row, column, dt.datetime.combine(value, dt.time()))
    else:
        sheet.write_string(row, column, str(value)[:32_767])
