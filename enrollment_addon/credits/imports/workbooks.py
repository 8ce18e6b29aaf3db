"""Workbooks with their texts on disk: a spreadsheet keeps them in one table, which would fill the memory."""

import tempfile
from array import array
from collections.abc import Sequence
from typing import IO, Any, BinaryIO, overload

from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

_ITEM, _RUN, _TEXT = (f"{{{SHEET_MAIN_NS}}}{name}" for name in ("si", "r", "t"))


class Strings(Sequence[str]):
    """The texts of a workbook by their number, in a temporary file that goes with this object."""

    def __init__(self, source: IO[bytes]) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - read for as long as the workbook is
        self.ends = array("Q", (0,))
        events = iterparse(source, events=("start", "end"))
        _, root = next(events)
        for event, node in events:
            if event == "end" and node.tag == _ITEM:
                self.ends.append(self.ends[-1] + self.file.write(_text(node).encode()))
                root.clear()

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        self.file.seek(self.ends[place])
        return self.file.read(self.ends[place + 1] - self.ends[place]).decode()


def _text(item: Any) -> str:
    """A text with its runs of different looks joined; how it is pronounced is left out."""
    parts = (node for part in item for node in ([part] if part.tag == _TEXT else part if part.tag == _RUN else ()))
    return "".join(node.text or "" for node in parts if node.tag == _TEXT)


class _Reader(ExcelReader):
    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        if part is not None:
            with self.archive.open(part.PartName[1:]) as source:
                self.shared_strings = Strings(source)


def read_workbook(file: BinaryIO) -> Any:
    """The workbook for reading row by row: values instead of formulas, no links to other files."""
    reader = _Reader(file, read_only=True, data_only=True, keep_links=False)
    reader.read()
    return reader.wb
