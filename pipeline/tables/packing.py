"""Rows as bytes that cost as much in small pieces as in large ones: what a shuffle carries.

In: a table, and where it is cut into pieces. Out: one buffer in which each piece is a run of bytes; and back, all
pieces at once. A piece is the number of its rows and then, column by column, their values: lengths of texts and lists
in four bytes, before what they hold. It names no column and no type, since both sides know the schema; an Arrow stream
says both, and 16 bytes and more on each buffer, which is more than a few rows take.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.match.fold import raw_texts
from webimagetext.compiled import compiled

__all__ = ["Packed", "check_packable", "pack", "unpack"]

Bytes = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]
LENGTH = np.dtype("<u4")
NULL = 0xFFFFFFFF  # in place of a length


class Packed(NamedTuple):
    """Pieces end to end: piece ``i`` is ``data[edges[i]:edges[i + 1]]``."""

    data: Bytes
    edges: Int64


class _Run(NamedTuple):
    """One kind of value of all rows, and where each piece's share of it ends."""

    data: Bytes
    edges: Int64


def check_packable(schema: pa.Schema) -> None:
    """Raises TypeError for a schema with a type that is not packed."""
    for field in schema:
        _check(field.type)


def _check(kind: pa.DataType) -> None:
    if pa.types.is_list(kind):
        _check(kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            _check(field.type)
    elif not (
        pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or kind == pa.bool_()
    ):
        raise TypeError(f"no shuffle carries values of type {kind}")


def pack(table: pa.Table, edges: Int64, order: Int64 | None = None) -> Packed:
    """The rows of a table, taken in ``order``, as pieces: piece ``i`` has the rows ``edges[i]`` to ``edges[i + 1]``.

    Raises ValueError for a null in a column that has none by the schema.
    """
    edges = edges.astype(np.int64)
    runs = [_Run(np.diff(edges).astype(LENGTH).view(np.uint8), LENGTH.itemsize * np.arange(len(edges)))]
    places = None if order is None else pa.array(order)
    for field in table.schema:
        column = table.column(field.name).combine_chunks()
        runs += _runs(column if places is None else column.take(places), field, edges)
    ends = np.sum([run.edges for run in runs], axis=0)
    packed, at = np.empty(ends[-1], np.uint8), ends[:-1].copy()
    for run in runs:
        _place(run.data, run.edges, packed, at)
    return Packed(packed, ends)


def _runs(values: pa.Array, field: pa.Field, edges: Int64) -> Iterator[_Run]:
    """The values of a column, or of what its lists hold, as runs of bytes."""
    kind = field.type
    if pa.types.is_string(kind) or pa.types.is_list(kind):
        if pa.types.is_string(kind):
            held, offsets = raw_texts(values)
        else:
            held, offsets = values.flatten(), _offsets(values)
        lengths = np.diff(offsets).astype(LENGTH)
        if values.null_count:
            lengths[values.is_null().to_numpy(zero_copy_only=False)] = NULL
        yield _Run(lengths.view(np.uint8), LENGTH.itemsize * edges)
        if pa.types.is_string(kind):
            yield _Run(held, offsets[edges])
        else:
            yield from _runs(held, kind.value_field, offsets[edges])
        return
    if field.nullable:
        yield _Run(values.is_valid().to_numpy(zero_copy_only=False).view(np.uint8), edges)
    elif values.null_count:
        raise ValueError(f"the column {field.name} holds a null")
    if pa.types.is_struct(kind):
        for child, inner in zip(values.flatten(), kind, strict=True):
            yield from _runs(child, inner, edges)
    else:
        numbers = (values.fill_null(False if kind == pa.bool_() else 0) if values.null_count else values).to_numpy(
            zero_copy_only=False
        )
        yield _Run(np.ascontiguousarray(numbers).view(np.uint8), numbers.itemsize * edges)


def _offsets(lists: pa.ListArray) -> Int64:
    """Where each list begins in what all of them hold; a null holds nothing."""
    lengths = np.asarray(lists.value_lengths().fill_null(0), np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def unpack(data: Bytes, starts: Int64, schema: pa.Schema) -> tuple[pa.RecordBatch, Int64]:
    """The rows of the pieces that begin at ``starts``, in that order, and how many each piece has.

    They take less than 2 GB.
    """
    reader = _Reader(data, starts.astype(np.int64))
    counts = reader.lengths(np.ones(len(starts), np.int64)).astype(np.int64)
    columns = [reader.values(field, counts) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema), counts


class _Reader:
    """Reads the runs of all pieces one after the other."""

    def __init__(self, data: Bytes, starts: Int64) -> None:
        self._data, self._at = data, starts.copy()

    def lengths(self, counts: Int64) -> npt.NDArray[np.uint32]:
        """The next lengths, so many of each piece."""
        return self._take(counts * LENGTH.itemsize).view(LENGTH)

    def values(self, field: pa.Field, counts: Int64) -> pa.Array:
        """The next values, so many of each piece."""
        kind = field.type
        if pa.types.is_string(kind) or pa.types.is_list(kind):
            lengths = self.lengths(counts)
            null = lengths == NULL
            lengths[null] = 0
            offsets = np.zeros(len(lengths) + 1, np.int64)
            np.cumsum(lengths, out=offsets[1:])
            held = np.diff(offsets[np.append(0, np.cumsum(counts))])
            positions = pa.py_buffer(offsets.astype(np.int32))
            valid = pa.array(~null).buffers()[1] if null.any() else None
            if pa.types.is_string(kind):
                texts = pa.py_buffer(self._take(held))
                return pa.Array.from_buffers(kind, len(lengths), [valid, positions, texts])
            children = [self.values(kind.value_field, held)]
            return pa.Array.from_buffers(kind, len(lengths), [valid, positions], children=children)
        total, valid = int(counts.sum()), None
        if field.nullable:
            told = self._take(counts).view(np.bool_)
            valid = None if told.all() else pa.array(told).buffers()[1]
        if pa.types.is_struct(kind):
            children = [self.values(inner, counts) for inner in kind]
            return pa.Array.from_buffers(kind, total, [valid], children=children)
        if kind == pa.bool_():
            numbers = pa.array(self._take(counts).view(np.bool_)).buffers()[1]
        else:
            numbers = pa.py_buffer(self._take(counts * (kind.bit_width // 8)))
        return pa.Array.from_buffers(kind, total, [valid, numbers])

    def _take(self, sizes: Int64) -> Bytes:
        """The next bytes, so many of each piece."""
        taken = np.empty(int(sizes.sum()), np.uint8)
        _collect(self._data, self._at, sizes, taken)
        return taken


@compiled
def _place(data: Bytes, edges: Int64, packed: Bytes, at: Int64) -> None:
    """Puts each piece's share of a run where the piece has got to, and moves that on."""
    for piece in range(len(at)):
        start, length, to = edges[piece], edges[piece + 1] - edges[piece], at[piece]
        for byte in range(length):
            packed[to + byte] = data[start + byte]
        at[piece] = to + length


@compiled
def _collect(packed: Bytes, at: Int64, sizes: Int64, taken: Bytes) -> None:
    """Takes the next ``sizes`` bytes of each piece, end to end, and moves on where each has got to."""
    to = 0
    for piece in range(len(at)):
        start, length = at[piece], sizes[piece]
        for byte in range(length):
            taken[to + byte] = packed[start + byte]
        to += length
        at[piece] = start + length
