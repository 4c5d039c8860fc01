"""Rows of a list a block at a time: those that need no mending become candidates at once, without Python seeing any of
them.

In: blocks of a list's columns, as Arrow tables, cut from CSV and TSV files or read from Parquet. Out: candidates of the
plain rows, and which rows are not plain, for the way that reads rows one by one (url_list.py). What is plain is told by
patterns that say less than that way knows: for a plain row both give the same, which the tests hold against each other.
"""

import codecs
import dataclasses
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.hashing import pair_ids
from pipeline.read.cells import kept_cells, values_of
from pipeline.read.choose import MAX_TEXT
from pipeline.read.columns import Columns, Row
from pipeline.read.delimited import MAX_LINE, UTF_16, DelimitedRows
from pipeline.read.rows import Lines
from pipeline.read.urls import MAX_URL_LENGTH, PLAIN
from pipeline.tables.schema import CANDIDATES
from webimagetext.foreign import valid

__all__ = ["CONSENT", "EVIDENCE", "Blocks", "RowBlock", "cut_rows", "plain_block", "plain_rows"]


class Readable(Protocol):
    """What gives bytes, none at its end."""

    def read(self, size: int, /) -> bytes: ...


# What a list says of consent.
CONSENT, EVIDENCE = "not_asked", "list: states no consent"
BLOCK_BYTES = 8_000_000
# Printable ASCII, single blanks between words, and nothing that may be an entity.
_TEXT = r"^[!-%'-~]+(?: [!-%'-~]+)*$"
_SIDE = r"^[0-9]{1,9}$"


@dataclass(frozen=True)
class RowBlock:
    """Rows of a block: those that were cut into cells at once as ``table``, the others one by one, each with its place
    in the block; ``rows`` is how many there are in all. ``names``: of all columns, also those that nobody reads."""

    table: pa.Table
    places: npt.NDArray[np.int64]
    others: Sequence[tuple[int, Row | str]]
    rows: int
    names: Sequence[str]


class Blocks:
    """The whole lines of a stream, so many at a time.

    ``rest`` is what was read behind the lines that were given last; who puts lines in front of it gets them again.
    ``is_last``: nothing comes behind them.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.rest = b""
        self.is_last = False

    def __iter__(self) -> Iterator[bytes]:
        read = self._stream.read(BLOCK_BYTES)
        while self.rest or read:
            content = self.rest + read
            self.is_last = not read
            end = content.rfind(b"\n") + 1 if read else len(content)
            block, self.rest = content[:end], content[end:]
            if len(self.rest) > MAX_LINE and read and not end:  # a line that is too long is so by its beginning
                if content.startswith(UTF_16):
                    block, self.rest = content, b""
                else:
                    self.rest = self.rest[: MAX_LINE + 1]
            if block:
                yield block
            read = self._stream.read(BLOCK_BYTES) if read else b""


def plain_block(block: bytes, reader: DelimitedRows) -> RowBlock | None:
    """The rows of a block in which every line is one, without a mark that may mean something else; None of others."""
    if b"\0" in block or (reader.delimiter == "," and b'"' in block) or block.count(b"\r") != block.count(b"\r\n"):
        return None
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    if np.diff(ends, prepend=-1, append=len(block)).max() >= MAX_LINE:
        return None
    names = reader.names or []
    table = _table(block, reader.delimiter, len(names))
    if table is None:
        return None
    return RowBlock(table.rename_columns(names), np.arange(table.num_rows), (), table.num_rows, names)


def cut_rows(lines: Lines, reader: DelimitedRows) -> RowBlock:
    """The rows of lines under the names that ``reader`` knows: the fine ones at once, the others by ``reader``."""
    names = reader.names or []
    table = _table(lines.fine_bytes(), reader.delimiter, len(names))
    if table is None:  # bytes that are no UTF-8
        lines = dataclasses.replace(lines, fine=np.zeros(len(lines.fine), bool), stretches=[(0, len(lines.fine))])
        table = _no_rows(len(names))
    counted = lines.fine.astype(np.int64)
    read = [(begin, _read(lines.bytes_of((begin, end)), reader)) for begin, end in lines.stretches]
    for begin, rows in read:
        counted[begin] = len(rows)
    before = np.cumsum(counted) - counted
    others = [(int(before[begin]) + place, row) for begin, rows in read for place, row in enumerate(rows)]
    return RowBlock(table.rename_columns(names), before[lines.fine], others, int(counted.sum()), names)


def _read(stretch: bytes, reader: DelimitedRows) -> list[Row | str]:
    """The rows of a stretch, read one by one. An empty line in front, which is none, hides from the reader that a file
    might begin here with a mark of its encoding."""
    return list(reader.read(io.BytesIO(b"\n" + stretch)))


def _no_rows(width: int) -> pa.Table:
    return pa.table([pa.array([], pa.string())] * width, names=[f"f{place}" for place in range(width)])


def _table(lines: bytes, delimiter: str, width: int) -> pa.Table | None:
    if not lines:
        return _no_rows(width)
    if lines.startswith(codecs.BOM_UTF8):
        lines = b"\n" + lines  # an empty line, which is none: the mark is part of a cell here
    try:
        return pa.csv.read_csv(
            io.BytesIO(lines),
            pa.csv.ReadOptions(
                use_threads=False, block_size=len(lines) + 1, column_names=[f"f{place}" for place in range(width)]
            ),
            pa.csv.ParseOptions(delimiter=delimiter, quote_char='"' if delimiter == "," else False),
            pa.csv.ConvertOptions(column_types={f"f{place}": pa.string() for place in range(width)}),
        )
    except pa.ArrowInvalid:
        return None


def plain_rows(table: pa.Table, columns: Columns) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    """The candidates (CANDIDATES) of the plain rows, and the places of all others. None is plain where a list has
    several columns of texts, or one that is used is no text."""
    plain = _plain(table, columns)
    if plain is None:
        return pa.RecordBatch.from_pylist([], schema=CANDIDATES), np.arange(table.num_rows)
    rows = table.filter(plain).combine_chunks()
    others = np.flatnonzero(~plain.to_numpy(zero_copy_only=False))
    return _candidates(rows, columns), others


def _plain(table: pa.Table, columns: Columns) -> pa.Array | None:
    """Which rows are plain, where any may be."""
    names = [name for name in (columns.url, columns.page, *columns.texts, *columns.sizes) if name]
    kinds = {name: table.schema.field(name).type for name in names}
    if len(columns.texts) != 1 or columns.url is None or columns.url in columns.texts:
        return None
    texts = [name for name in (columns.url, columns.page, *columns.texts) if name]
    if not all(map(_is_text, map(kinds.get, texts))):
        return None
    if not all(_is_text(kinds[name]) or pa.types.is_integer(kinds[name]) for name in columns.sizes if name):
        return None
    url, text = table.column(columns.url), table.column(columns.texts[0])
    plain = [
        pc.match_substring_regex(url, f"^{PLAIN.pattern}$"),
        pc.invert(pc.match_substring(url, "/.")),
        pc.less_equal(pc.binary_length(url), MAX_URL_LENGTH),
        pc.match_substring_regex(text, _TEXT),
        pc.match_substring_regex(text, "[A-Za-z]"),
        # A text of several words is neither a file's name nor an address.
        pc.or_(pc.match_substring(text, " "), pc.invert(pc.match_substring_regex(text, "[.:]"))),
        pc.less_equal(pc.binary_length(text), MAX_TEXT),
    ]
    if columns.page:
        page = table.column(columns.page)
        short = pc.less_equal(pc.binary_length(page), MAX_URL_LENGTH)
        plain.append(pc.fill_null(pc.and_(pc.match_substring_regex(page, "^[ -~]*$"), short), True))
    for name in columns.sizes:
        if name and _is_text(kinds[name]):
            side = table.column(name)
            stated = pc.or_(pc.match_substring_regex(side, _SIDE), pc.equal(side, ""))
            plain.append(pc.fill_null(stated, True))
    held = plain[0]
    for condition in plain[1:]:
        held = pc.and_(held, condition)
    return pc.fill_null(held, False).combine_chunks()


def _is_text(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _candidates(rows: pa.Table, columns: Columns) -> pa.RecordBatch:
    count = rows.num_rows

    def text(name: str | None) -> pa.Array:
        return _one(rows.column(name).cast(pa.string())) if name else pa.nulls(count, pa.string())

    url, caption = text(columns.url), text(columns.texts[0])
    kind = valid(str(columns.texts[0])).lower()
    inner = CANDIDATES.field("texts").type.value_field.type
    told = pa.StructArray.from_arrays([pa.repeat(kind, count), caption], fields=list(inner))
    page = text(columns.page)
    width, height = (_sides(rows, name) for name in columns.sizes)
    arrays = {
        "pair_id": pa.array(pair_ids(url, caption), pa.uint64()),
        "url": url,
        "caption": caption,
        "texts": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), told),
        "page_url": pc.if_else(pc.equal(page, ""), pa.scalar(None, pa.string()), page),
        "source": pa.repeat("url_list", count),
        "declared_width": width,
        "declared_height": height,
        "page_language": pa.nulls(count, pa.string()),
        "consent": pa.repeat(CONSENT, count),
        "consent_evidence": pa.repeat(EVIDENCE, count),
        "columns": _kept(rows, columns),
    }
    return pa.RecordBatch.from_arrays([arrays[field.name].cast(field.type) for field in CANDIDATES], schema=CANDIDATES)


def _kept(rows: pa.Table, columns: Columns) -> pa.Array:
    """JSON of the further columns that are kept."""
    if not columns.kept:
        return pa.nulls(rows.num_rows, pa.string())
    cells = zip(*(values_of(_one(rows.column(name))) for name in columns.kept), strict=True)
    return pa.array([kept_cells(dict(zip(columns.kept, each, strict=True))) for each in cells], pa.string())


def _one(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else found.chunk(0)


def _sides(rows: pa.Table, name: str | None) -> pa.Array:
    """A side's pixels: those that a picture may have."""
    if name is None:
        return pa.nulls(rows.num_rows, pa.int64())
    column = rows.column(name)
    if _is_text(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    number = _one(column.cast(pa.int64()))
    inside = pc.and_(pc.greater(number, 0), pc.less(number, 1_000_000))
    return pc.if_else(inside, number, pa.scalar(None, pa.int64()))
