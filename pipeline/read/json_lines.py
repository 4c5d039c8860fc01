"""Rows of JSON Lines a block at a time: those whose values are plain become columns at once.

In: whole lines. Out: :class:`RowBlock`, one for each set of names that rows have. What is plain is told by the type of
the values that are read: texts, whole numbers, nothing. All other rows come one by one.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.read.blocks import RowBlock
from pipeline.read.columns import Columns, Row
from pipeline.read.config import ExtractConfig
from pipeline.read.delimited import MAX_LINE

__all__ = ["is_json", "json_row", "json_rows"]

_SCAN = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
JSON_BLANKS = " \t\n\r"
MOST_PIXELS = 1_000_000
MOST_LAYOUTS = 20  # sets of names of a block that have columns of their own


def is_json(line: str | None) -> bool:
    """Whether a line is to hold a row; None is one that is too long."""
    return line is None or bool(line.strip())


def json_row(line: str | None) -> Row | str:
    """The row of a line, or the reason why it is none."""
    if line is None:
        return "line_too_long"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return "broken_line"
    return row if isinstance(row, dict) and row else "broken_line"


def json_rows(block: bytes, extract: ExtractConfig) -> Iterator[RowBlock]:
    """The rows of whole lines."""
    layouts: dict[tuple[str, ...], _Layout | None] = {}
    others: list[tuple[int, Row | str]] = []
    number = 0
    for line in _lines(block):
        if not is_json(line):
            continue
        row = _quickly(line) if line is not None and line.startswith("{") else json_row(line)
        names = tuple(row) if isinstance(row, dict) else ()
        if names and names not in layouts:
            layouts[names] = _layout(row, extract) if len(layouts) < MOST_LAYOUTS else None  # type: ignore[arg-type]
        layout = layouts.get(names)
        if layout is None:
            others.append((number, row))
        else:
            layout.rows.append(row)  # type: ignore[arg-type]
            layout.places.append(number)
        number += 1
    for found in filter(None, layouts.values()):
        yield found.block()
    yield RowBlock(pa.table({}), np.zeros(0, np.int64), others, number, ())


def _lines(block: bytes) -> Iterator[str | None]:
    """The lines of a block; None for one that is too long."""
    *lines, last = block.split(b"\n")
    for line in lines:
        yield None if len(line) >= MAX_LINE else line.decode("utf-8", "replace")
    if last:
        yield None if len(last) >= MAX_LINE else last.decode("utf-8", "replace")


def _quickly(line: str) -> Row | str:
    """What :func:`json_row` gives for a line that begins with a brace, without what json.loads does beside."""
    try:
        row, end = _SCAN(line, 0)
    except (StopIteration, ValueError, RecursionError):
        return "broken_line"
    if not row or (end < len(line) and line[end:].strip(JSON_BLANKS)):
        return "broken_line"
    return row  # type: ignore[no-any-return]


@dataclass
class _Layout:
    """Rows with the same names, of which the plain ones are cut into columns."""

    names: Sequence[str]
    kinds: dict[str, set[type]]  # that plain values have, by the columns that are read
    rows: list[Row] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def block(self) -> RowBlock:
        """The rows; those that are not plain come one by one."""
        plain = [True] * len(self.rows)
        for name, kinds in self.kinds.items():
            if not set(map(type, (row[name] for row in self.rows))) <= kinds:
                plain = [so_far and type(row[name]) in kinds for so_far, row in zip(plain, self.rows, strict=True)]
        try:
            return self._cut(plain)
        except (UnicodeEncodeError, OverflowError, pa.ArrowException):  # of one value among many
            for place, row in enumerate(self.rows):
                plain[place] = plain[place] and all(_fits(row[name]) for name in self.kinds)
            return self._cut(plain)

    def _cut(self, plain: list[bool]) -> RowBlock:
        rows = list(compress(self.rows, plain))
        arrays = {name: _column([row[name] for row in rows], kinds) for name, kinds in self.kinds.items()}
        places = np.array(list(compress(self.places, plain)), np.int64)
        others = [(place, row) for place, row, ok in zip(self.places, self.rows, plain, strict=True) if not ok]
        return RowBlock(pa.table(arrays), places, others, 0, self.names)


def _column(values: list[Any], kinds: set[type]) -> pa.Array:
    if float in kinds and float in set(map(type, values)):  # a side that is no picture's is none
        values = [int(value) if value is not None and abs(value) < MOST_PIXELS else None for value in values]
    return pa.array(values, pa.string() if str in kinds else pa.int64())


def _fits(value: Any) -> bool:
    """Whether a column can hold a value."""
    return value.isascii() if isinstance(value, str) else value is None or abs(value) < 1 << 63


def _layout(row: Row, extract: ExtractConfig) -> _Layout | None:
    """How the rows with these names are cut; None where a row of them can't be plain."""
    columns = Columns(row, extract)
    if columns.url is None or len(columns.texts) != 1 or columns.url in columns.texts:
        return None
    kinds: dict[str, set[type]] = {str(columns.url): {str}, str(columns.texts[0]): {str}}
    for name in filter(None, (columns.page, *columns.kept)):
        kinds.setdefault(name, {str, type(None)})
    for name in filter(None, columns.sizes):
        if kinds.get(name) == {str}:
            return None
        kinds[name] = {int, type(None)} if name in columns.kept else {int, float, type(None)}
    return _Layout(tuple(row), kinds)
