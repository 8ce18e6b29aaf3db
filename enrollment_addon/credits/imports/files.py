"""Reading CSV and XLSX files as rows of cells, streamed; nothing of a file is trusted."""

import codecs
import csv
import datetime as dt
import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO

from flask_babel import lazy_gettext as _l

from .calc import SHOWN, Cell, plain
from .errors import BadFile

DELIMITERS = ",;\t"
MOST_BYTES = 50 * 2**20
MOST_UNPACKED = 500 * 2**20
"""What a workbook may unpack to: a hundred thousand rows need a tenth of it."""
MOST_ROWS = 100_000
MOST_COLUMNS = 100
LONGEST_CELL = 20_000
BLOCK = 2**16

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def digest_of(file: BinaryIO) -> str:
    """The fingerprint of a file's content. Raises: BadFile when it is empty or too large."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    if not size:
        raise BadFile(_l("The file is empty."))
    if size > MOST_BYTES:
        raise BadFile(_l("The file is larger than %(most)s MB."), most=MOST_BYTES // 2**20)
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


@contextmanager
def opened(file: BinaryIO) -> Iterator[tuple[list[str], Iterator[tuple[int, list[Cell]]]]]:
    """The header of a file, and its rows with their numbers as a spreadsheet counts them; empty rows are left out.

    Raises: BadFile, while rows are read too.
    """
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    if start == b"PK\x03\x04":
        with _workbook(file) as found:
            yield _with_header(found)
    elif start == b"\xd0\xcf\x11\xe0":
        raise BadFile(_l("This is a workbook of an old format. Save it as XLSX or CSV first."))
    elif start == b"%PDF":
        raise BadFile(_l("This is neither a CSV nor an XLSX file."))
    else:
        yield _with_header(_csv_rows(file))


def _with_header(
    found: Iterator[tuple[int, list[Cell]]],
) -> tuple[list[str], Iterator[tuple[int, list[Cell]]]]:
    """The first row that says anything is the header. Raises: BadFile for one that cannot be used."""
    first = next(((number, cells) for number, cells in found if any(map(_filled, cells))), None)
    if first is None:
        raise BadFile(_l("The file has no header row."))
    header = [str(cell).strip()[:200] if isinstance(cell, str) else "" for cell in first[1]]
    while header and not header[-1]:
        header.pop()
    if len(header) < 2:
        raise BadFile(_l("The file has one column only. Commas, semicolons or tabs must separate the columns."))
    if len(header) > MOST_COLUMNS:
        raise BadFile(_l("The file has more than %(most)s columns."), most=MOST_COLUMNS)
    if len(first[1]) > len(header) or sum(map(bool, header)) < 2:
        raise BadFile(_l("The first row must name the columns."))
    named = [plain(title) or title for title in header if title]
    twice = next((title for title in header if title and named.count(plain(title) or title) > 1), None)
    if twice is not None:
        raise BadFile(_l("Two columns are called “%(name)s”."), name=twice[:SHOWN])
    return header, _bounded(found)


def _bounded(found: Iterator[tuple[int, list[Cell]]]) -> Iterator[tuple[int, list[Cell]]]:
    count = 0
    for number, cells in found:
        if not any(map(_filled, cells)):
            continue
        count += 1
        if count > MOST_ROWS:
            raise BadFile(_l("A file may have up to %(most)s rows."), most=f"{MOST_ROWS:,}")
        yield number, cells[:MOST_COLUMNS]
    if not count:
        raise BadFile(_l("The file has no rows."))


def _filled(cell: Cell) -> bool:
    return cell is not None and cell != ""


# ---- CSV ----------------------------------------------------------------------------------------------------


def _csv_rows(file: BinaryIO) -> Iterator[tuple[int, list[Cell]]]:
    """Rows of a CSV in UTF-8, UTF-16 or Windows-1252, separated by what stands most often in its first line."""
    text = io.TextIOWrapper(file, encoding=_encoding(file), newline="")
    try:
        first = text.readline(BLOCK)
        text.seek(0)
        reader = csv.reader(text, delimiter=max(DELIMITERS, key=first.count), strict=True)
        for number, cells in enumerate(reader, 1):
            yield number, [_safe(cell) for cell in cells]
    except (UnicodeDecodeError, csv.Error):
        raise BadFile(_l("This is neither a CSV nor an XLSX file, or it is damaged.")) from None
    finally:
        text.detach()


def _encoding(file: BinaryIO) -> str:
    """By its mark, else UTF-8 if the whole file is that, else Windows-1252. Raises: BadFile for no text at all."""
    file.seek(0)
    start = file.read(BLOCK)
    file.seek(0)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name
    if b"\x00" in start:
        nothing = (start[1::2].count(0), start[0::2].count(0))
        if max(nothing) < len(start) // 4:
            raise BadFile(_l("This is neither a CSV nor an XLSX file, or it is damaged."))
        return "utf-16-le" if nothing[0] >= nothing[1] else "utf-16-be"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    finally:
        file.seek(0)
    return "utf-8"


def _safe(text: str) -> str:
    """A cell as it was before an export of ours protected it from being run as a formula."""
    text = text[:LONGEST_CELL].replace("\x00", "").strip()
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@\t\r\n") else text


# ---- XLSX ---------------------------------------------------------------------------------------------------


@contextmanager
def _workbook(file: BinaryIO) -> Iterator[Iterator[tuple[int, list[Cell]]]]:
    """Rows of the first sheet of a workbook. Raises: BadFile when it is damaged or unpacks to too much."""
    from .workbooks import read_workbook  # not worth its share of every start

    damaged = _l("The workbook is damaged or protected by a password.")
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
                raise BadFile(_l("The workbook unpacks to more than %(most)s MB."), most=MOST_UNPACKED // 2**20)
        book = read_workbook(file)
    except BadFile:
        raise
    except Exception:
        raise BadFile(damaged) from None
    try:
        sheet = book.worksheets[0] if book.worksheets else None
        if sheet is None:
            raise BadFile(_l("The workbook has no sheet."))
        yield _sheet_rows(sheet, damaged)
    finally:
        book.close()


def _sheet_rows(sheet: Any, damaged: Any) -> Iterator[tuple[int, list[Cell]]]:
    sheet.reset_dimensions()  # what a workbook says about its size need not be true
    lines = sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1)
    number = 0
    while True:
        try:
            line = next(lines, None)
        except Exception:
            raise BadFile(damaged) from None
        if line is None:
            return
        number += 1
        if number > MOST_ROWS * 11:
            raise BadFile(_l("A file may have up to %(most)s rows."), most=f"{MOST_ROWS:,}")
        yield number, _trimmed([_typed(value) for value in line])


def _trimmed(cells: list[Cell]) -> list[Cell]:
    while cells and not _filled(cells[-1]):
        cells.pop()
    return cells


def _typed(value: Any) -> Cell:
    """A cell's value as JSON: dates are marked, numbers stay numbers."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dt.date):
        return {"date": value.isoformat()[:10]}
    return _safe(str(value))


def blocks(found: Iterator[tuple[int, list[Cell]]], size: int) -> Iterator[Sequence[tuple[int, list[Cell]]]]:
    """Rows, so many at a time."""
    while block := list(islice(found, size)):
        yield block
