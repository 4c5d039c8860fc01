"""A shuffle through files, for the local runner: it would hold all that goes through a GroupByKey in its own memory.

In: record batches, the keys of their rows, a folder. Out: (part, :class:`Piece`), where a piece says which bytes of
which file hold rows of the part. A worker keeps no more than ``SPILL_BYTES`` of rows before it writes them out, so the
memory of a run is that, one part at a time and the tables of the step, a worker, however many rows there are. The
folder is the engine's, which removes it when the graph has run.
"""

import os
import uuid
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.tables.batches import Keys, by_part
from webimagetext.errors import full_disk_names

__all__ = ["Piece", "ShuffleOptions", "Spill", "read_pieces"]

SPILL_BYTES = 32 << 20


class ShuffleOptions(PipelineOptions):
    """The Beam option that names the folder; without it the engine shuffles on its own."""

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--shuffle_folder", default=None, help="where a local run keeps what it shuffles")


class Piece(NamedTuple):
    """Rows of one part: an Arrow IPC stream of ``length`` bytes at ``start`` of the file ``path``."""

    path: str
    start: int
    length: int


def read_pieces(values: Iterable[pa.RecordBatch | Piece]) -> Iterator[pa.RecordBatch]:
    """The record batches themselves, whether they came through Beam or through files."""
    for value in values:
        if isinstance(value, Piece):
            with open(value.path, "rb") as stream:
                stream.seek(value.start)
                with pa.ipc.open_stream(stream.read(value.length)) as reader:
                    yield from reader
        else:
            yield value


class Spill(beam.DoFn):
    """Record batches in; (part, piece) out, where a row's part is ``keys(row) mod parts`` and rows keep their order."""

    def __init__(self, keys: Keys, parts: int, folder: str) -> None:
        self.keys, self.parts, self.folder = keys, parts, folder

    def start_bundle(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.batch_keys: list[npt.NDArray[np.uint64]] = []
        self.held = 0

    def process(self, batch: pa.RecordBatch) -> Iterator[tuple[int, Piece]]:
        if batch.num_rows == 0:
            return
        self.batch_keys.append(self.keys(batch))
        self.batches.append(batch)
        self.held += batch.nbytes
        if self.held >= SPILL_BYTES:
            yield from self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        return (GlobalWindows.windowed_value(value) for value in self._write())

    def _write(self) -> list[tuple[int, Piece]]:
        """Writes what is held, ordered by part, as one file with a stream for each part."""
        if not self.batches:
            return []
        table = pa.Table.from_batches(self.batches)
        order, cuts = by_part(np.concatenate(self.batch_keys), self.parts)
        self.start_bundle()
        table = table.take(pa.array(order)).combine_chunks()
        path = os.path.join(self.folder, f"{uuid.uuid4().hex}.arrows")
        pieces = []
        with full_disk_names(path), open(path, "wb") as stream:
            for part, start, end in cuts:
                at = stream.tell()
                with pa.ipc.new_stream(stream, table.schema) as writer:
                    writer.write_table(table.slice(start, end - start))
                pieces.append((part, Piece(path, at, stream.tell() - at)))
        return pieces
