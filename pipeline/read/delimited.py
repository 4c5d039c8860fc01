"""The rows of CSV and TSV files, whatever their quotation marks do.

In: an open binary stream. Out: its rows by column name, and for what is none the reason, in the order of the file. A
quotation mark that is opened and never closed would swallow the rows behind it: a row of several lines counts only
where it is one by the strict rule, and no line in it looks like a row by itself. Else its first line alone is broken,
and reading goes on at the next one.
"""

import codecs
import contextlib
import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Literal
from urllib.parse import unquote_plus

__all__ = ["MAX_LINE", "MAX_LINES_A_ROW", "UTF_16", "DelimitedRows", "delimiter_of", "is_row", "lines_of"]

MAX_LINE = 1_000_000  # characters
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # how a file in it begins
MAX_LINES_A_ROW = 200  # a caption is cut at 2,000 characters
# Of the 23 fields of YFCC100M's main file (25 with line numbers in front and a marker behind).
_YFCC_FIELDS = {"title": 6, "description": 7, "pageurl": 13, "downloadurl": 14}
_YFCC_LEAST = 23
_LINK = re.compile(r"https?://", re.IGNORECASE)

_OTHER_DELIMITERS = (";", "\t", "|")

Row = Mapping[str, Any]


@contextlib.contextmanager
def _in_utf8(stream: IO[bytes]) -> Iterator[Callable[[int], bytes]]:
    """Reads a line, or so many bytes of it: as it is, or, of a file in UTF-16, recoded."""
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    if not buffered.peek(2).startswith(UTF_16):
        yield buffered.readline
        return
    text = io.TextIOWrapper(buffered, "utf-16", errors="replace", newline="\n")
    try:
        yield lambda most: text.readline(most).encode("utf-8", "replace")
    finally:
        text.detach()


def lines_of(stream: IO[bytes]) -> Iterator[str | None]:
    """Decoded lines, without a byte order mark; None for one longer than MAX_LINE."""
    mark = codecs.BOM_UTF8
    with _in_utf8(stream) as readline:
        while line := readline(MAX_LINE):
            if len(line) >= MAX_LINE and not line.endswith(b"\n"):
                while (rest := readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield None
            else:
                yield line.removeprefix(mark).decode("utf-8", "replace")
            mark = b""


def delimiter_of(head: bytes) -> str:
    """What parts the cells of a CSV file that begins so: a comma, unless its first line has none but another mark that
    programs write in its place."""
    codec = "utf-16" if head.startswith(UTF_16) else "utf-8"
    line = head.decode(codec, "replace").partition("\n")[0]
    return max(",", *_OTHER_DELIMITERS, key=lambda mark: (mark == "," and mark in line, line.count(mark)))


class DelimitedRows:
    """Reads rows of one file, from one stream after another; ``names`` of its columns, once they are known."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self.names: list[str] | None = None

    def read(self, stream: IO[bytes]) -> Iterator[Row | str]:
        """The rows; a string in place of a row is the reason why it cannot be used."""
        for cells in _records(stream, self.delimiter, len(self.names or ())):
            if isinstance(cells, str):
                yield cells
            elif cells and not self.takes_as_names(cells):
                yield self._row(cells)

    def takes_as_names(self, cells: list[str]) -> bool:
        """Learns the names of the columns from the first row; whether that row holds them and nothing else."""
        if self.names is not None:
            return False
        self.names = _names_of(cells)
        if self.names is not None:
            return False
        self.names = [name.strip() for name in cells]
        return True

    @property
    def is_of_yfcc(self) -> bool:
        """Whether the file is one of YFCC100M, whose texts are written as in addresses."""
        return self.names is not None and "downloadurl" in self.names and len(self.names) >= _YFCC_LEAST

    def _row(self, cells: list[str]) -> Row | str:
        assert self.names is not None
        if len(cells) != len(self.names):
            return "wrong_number_of_columns"
        row = dict(zip(self.names, cells, strict=True))
        if self.is_of_yfcc:
            row |= {name: unquote_plus(row[name]) for name in ("title", "description")}
        return row


class _GoesOnError(Exception):
    """A row does not end with its line."""


class _TooLongError(Exception):
    """The next line is too long to be one."""


class _Lines:
    """The lines of a file for a reader of rows, one for each row."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._fresh = lines_of(stream)
        self._again: deque[str | None] = deque()  # read before, in a row that was none
        self.line: str | None = None  # of the row that is being read

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.line is not None:
            raise _GoesOnError
        line = self._next()
        if line is None:
            raise _TooLongError
        self.line = line
        return line

    def _next(self) -> str | None:
        line = self._again.popleft() if self._again else next(self._fresh)
        return line if line is None else line.replace("\0", "")

    def several(self, width: int, delimiter: str) -> list[str] | str:
        """The cells of a row that goes on behind its first line, ``width`` of them (0: any number); or the reason why
        that line is none."""
        taken: list[str | None] = []

        def lines() -> Iterator[str]:
            yield self.line or ""
            while len(taken) < MAX_LINES_A_ROW:
                try:
                    line = self._next()
                except StopIteration:
                    return
                taken.append(line)
                if line is None or (width and is_row(line, width, delimiter)):
                    return
                yield line

        try:
            cells = next(csv.reader(lines(), delimiter=delimiter, strict=True))
            if width in (0, len(cells)):
                return cells
        except csv.Error:
            pass
        self._again.extendleft(reversed(taken))
        return "broken_line"


def is_row(line: str, width: int, delimiter: str = ",") -> bool:
    """Whether a line by itself has as many cells as the rows, and an address in one of them."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return False
    return len(cells) == width and any(_LINK.match(cell.strip()) for cell in cells)


def _records(stream: IO[bytes], delimiter: str, width: int) -> Iterator[list[str] | str]:
    """The cells of each row, or the reason why a line is none; ``width``: how many cells a row has, where that is
    known."""
    csv.field_size_limit(MAX_LINE)
    lines = _Lines(stream)
    # A quote in a TSV is a character like any other.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    while True:
        lines.line = None
        found: list[str] | str
        try:
            found = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            found = "line_too_long"
        except csv.Error:
            found = "broken_line"
        except _GoesOnError:
            found = lines.several(width, delimiter)
        if not width and not isinstance(found, str):
            width = len(found)
        yield found


def _names_of(cells: list[str]) -> list[str] | None:
    """Names for the columns of a file whose first line is data; None when that line holds the names."""
    links = [index for index, cell in enumerate(cells) if _LINK.match(cell.strip())]
    if not links:
        return None
    names = [f"column_{index}" for index in range(len(cells))]
    if len(cells) >= _YFCC_LEAST:
        shift = links[0] - _YFCC_FIELDS["pageurl"]
        for name, index in _YFCC_FIELDS.items():
            names[index + shift] = name
        return names
    names[links[0]] = "url"
    text = next((index for index in range(len(cells)) if index not in links), None)
    if text is not None:
        names[text] = "caption"
    return names
