"""The cut of a shuffle: rows into pieces by part; and for the local runner a shuffle through files.

In: record batches of one schema, the keys of their rows. Out: (part, packed rows), or, since the local runner would
hold all that goes through a GroupByKey in its own memory, (group of parts, :class:`Piece`) and the rows in files. A
worker keeps ``HELD_BYTES`` of rows before it cuts them, so that pieces are few, and no more, so that its memory doesn't
grow with the rows. Locally there are at most ``GROUPS`` pieces a cut however many parts there are, and a group is read
``READ_BYTES`` at a time: time and files grow with the rows, not with parts times cuts. The engine
removes the folder when the graph has run.
"""

import os
import uuid
from abc import abstractmethod
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.tables.batches import Copies, Int64, Keys, by_part
from pipeline.tables.packing import Packed, check_packable, pack, unpack
from webimagetext.errors import full_disk_names

__all__ = ["Cut", "Piece", "ShuffleOptions", "Spill", "read_cut", "read_spilled"]

Sides = dict[str, list[pa.RecordBatch]]

HELD_BYTES = 32 << 20
READ_BYTES = 32 << 20  # of a group, unless one part is larger
UNPACK_BYTES = 256 << 20  # of a part at once: a column of texts holds less than 2 GB
GROUPS = 256
INDEX = np.dtype([("part", "<i8"), ("bytes", "<i8")])


class ShuffleOptions(PipelineOptions):
    """The Beam option that names the folder; without it the engine shuffles on its own."""

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--shuffle_folder", default=None, help="where a local run keeps what it shuffles")


class Piece(NamedTuple):
    """Rows of ``parts`` parts, at ``start`` of the file ``path``: which parts (INDEX), then their packed rows."""

    path: str
    start: int
    parts: int


class _Cuts(beam.DoFn):
    """Record batches in; what :meth:`cut` makes of the packed rows of each part out. A row's part is ``keys(row) mod
    parts``, and rows keep their order."""

    def __init__(self, keys: Keys | Copies, parts: int, schema: pa.Schema) -> None:
        check_packable(schema)
        self.keys, self.parts, self.schema = keys, parts, schema

    def start_bundle(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.held = 0

    def process(self, batch: pa.RecordBatch) -> Iterator[tuple[int, Any]]:
        if batch.num_rows == 0:
            return
        self.batches.append(batch)
        self.held += batch.nbytes
        if self.held >= HELD_BYTES:
            yield from self._cut()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        return (GlobalWindows.windowed_value(value) for value in self._cut())

    def _cut(self) -> Iterator[tuple[int, Any]]:
        if not self.batches:
            return
        keyed = [_keyed(batch, self.keys) for batch in self.batches]
        table = pa.Table.from_batches([batch for batch, _ in keyed], schema=self.schema)
        order, present, edges = by_part(np.concatenate([keys for _, keys in keyed]), self.parts)
        self.start_bundle()
        yield from self.cut(present, pack(table, edges, order))

    @abstractmethod
    def cut(self, present: Int64, packed: Packed) -> Iterator[tuple[int, Any]]:
        """The elements for the packed rows of the parts ``present``."""


def _keyed(batch: pa.RecordBatch, how: Keys | Copies) -> tuple[pa.RecordBatch, npt.NDArray[np.uint64]]:
    """The rows of a batch, those that are to lie in several parts so many times, and their keys."""
    found = how(batch)
    if isinstance(found, tuple):
        rows, keys = found
        return batch if len(rows) == batch.num_rows else batch.take(pa.array(rows)), keys
    return batch, found


class Cut(_Cuts):
    """Record batches in; (part, packed rows) out."""

    def cut(self, present: Int64, packed: Packed) -> Iterator[tuple[int, bytes]]:
        edges, data = packed.edges.tolist(), packed.data
        for place, part in enumerate(present.tolist()):
            yield part, data[edges[place] : edges[place + 1]].tobytes()


class Spill(_Cuts):
    """Record batches in; (group of parts, piece) out."""

    def __init__(self, keys: Keys | Copies, parts: int, schema: pa.Schema, folder: str) -> None:
        super().__init__(keys, parts, schema)
        self.folder = folder

    def cut(self, present: Int64, packed: Packed) -> Iterator[tuple[int, Piece]]:
        """Writes a file of all parts in their order."""
        index = np.empty(len(present), INDEX)
        index["part"], index["bytes"] = present, np.diff(packed.edges)
        path = os.path.join(self.folder, f"{uuid.uuid4().hex}.rows")
        group_of = present // -(-self.parts // GROUPS)
        groups, starts = np.unique(group_of, return_index=True)
        with full_disk_names(path), open(path, "wb") as stream:
            for group, start, stop in zip(
                groups.tolist(), starts.tolist(), [*starts[1:].tolist(), len(present)], strict=True
            ):
                piece = Piece(path, stream.tell(), stop - start)
                stream.write(index[start:stop].tobytes())
                stream.write(packed.data[packed.edges[start] : packed.edges[stop]].data)
                yield group, piece


def read_cut(values: Iterable[bytes], schema: pa.Schema) -> list[pa.RecordBatch]:
    """The rows of what :class:`Cut` made of a part."""
    batches, waiting, size = [], list[bytes](), 0
    for value in values:
        waiting.append(value)
        size += len(value)
        if size >= UNPACK_BYTES:
            batches.append(_joined(waiting, schema))
            waiting, size = [], 0
    return [*batches, _joined(waiting, schema)] if waiting else batches


def _joined(values: list[bytes], schema: pa.Schema) -> pa.RecordBatch:
    starts = np.cumsum([0, *map(len, values[:-1])])
    return unpack(np.frombuffer(b"".join(values), np.uint8), starts, schema)[0]


def read_spilled(sides: Mapping[str, Iterable[Piece]], schemas: Mapping[str, pa.Schema]) -> Iterator[tuple[int, Sides]]:
    """The rows of what :class:`Spill` made of a group, of each side: part by part, in their order."""
    opened = {side: [_Opened(piece) for piece in pieces] for side, pieces in sides.items()}
    indices = [piece.index for pieces in opened.values() for piece in pieces]
    if not indices:
        return
    every = np.concatenate(indices)
    parts, where = np.unique(every["part"], return_inverse=True)
    sizes = np.bincount(where, every["bytes"], len(parts)).astype(np.int64)
    for first, last in _portions(sizes):
        rows = {
            side: _read_parts(pieces, int(parts[first]), int(parts[last]), schemas[side])
            for side, pieces in opened.items()
        }
        for part in parts[first : last + 1].tolist():
            yield part, {side: found.get(part, []) for side, found in rows.items()}


def _portions(sizes: Int64) -> Iterator[tuple[int, int]]:
    """The first and the last of consecutive parts that are read at once."""
    first, held = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if place > first and held + size > READ_BYTES:
            yield first, place - 1
            first, held = place, 0
        held += size
    yield first, len(sizes) - 1


class _Opened:
    """A piece and which parts it has."""

    def __init__(self, piece: Piece) -> None:
        self.path, self._rows = piece.path, piece.start + piece.parts * INDEX.itemsize
        with open(piece.path, "rb") as stream:
            stream.seek(piece.start)
            self.index = np.frombuffer(stream.read(piece.parts * INDEX.itemsize), INDEX)
        self._edges = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.index["bytes"])])

    def read(self, first: int, last: int) -> tuple[bytes, Int64, Int64]:
        """The packed rows of the parts from ``first`` to ``last``; where each begins, and which part it is."""
        start, stop = np.searchsorted(self.index["part"], [first, last + 1])
        if start == stop:
            return b"", np.zeros(0, np.int64), np.zeros(0, np.int64)
        with open(self.path, "rb") as stream:
            stream.seek(self._rows + int(self._edges[start]))
            data = stream.read(int(self._edges[stop] - self._edges[start]))
        return data, self._edges[start:stop] - self._edges[start], self.index["part"][start:stop]


def _read_parts(pieces: list[_Opened], first: int, last: int, schema: pa.Schema) -> dict[int, list[pa.RecordBatch]]:
    """The rows of the parts from ``first`` to ``last``, by part, in the order of the pieces."""
    found: dict[int, list[pa.RecordBatch]] = {}
    waiting, size = list[tuple[bytes, Int64, Int64]](), 0
    for piece in pieces:
        waiting.append(piece.read(first, last))
        size += len(waiting[-1][0])
        if size >= UNPACK_BYTES:
            _unpack_parts(waiting, schema, found)
            waiting, size = [], 0
    _unpack_parts(waiting, schema, found)
    return found


def _unpack_parts(
    read: list[tuple[bytes, Int64, Int64]], schema: pa.Schema, found: dict[int, list[pa.RecordBatch]]
) -> None:
    """Adds the rows of what has been read of pieces to those found of each part."""
    if not read:
        return
    bases = np.cumsum([0, *(len(data) for data, _, _ in read[:-1])])
    starts = np.concatenate([base + starts for base, (_, starts, _) in zip(bases.tolist(), read, strict=True)])
    parts = np.concatenate([parts for _, _, parts in read])
    order = np.argsort(parts, kind="stable")
    data = np.frombuffer(b"".join([data for data, _, _ in read]), np.uint8)
    rows, counts = unpack(data, starts[order], schema)
    present, first = np.unique(parts[order], return_index=True)
    edges = np.append(0, np.cumsum(counts))[np.append(first, len(order))].tolist()
    for place, part in enumerate(present.tolist()):
        found.setdefault(part, []).append(rows.slice(edges[place], edges[place + 1] - edges[place]))
