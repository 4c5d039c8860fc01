"""Record batches inside Beam: their coder, and how a batch is cut up by key.

An element is a whole Arrow record batch, encoded as an Arrow IPC stream wherever it crosses from one worker to another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["BatchCoder", "Copies", "Int64", "Keys", "by_part", "combine", "split"]

Keys = Callable[[pa.RecordBatch], npt.NDArray[np.uint64]]
Int64 = npt.NDArray[np.int64]
Copies = Callable[[pa.RecordBatch], tuple[Int64, npt.NDArray[np.uint64]]]  # rows, some of them repeated, and the keys


class BatchCoder(beam.coders.Coder):
    """Encodes a record batch, its schema included, as an Arrow IPC stream."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_batch(value)
        return bytes(sink.getvalue())

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        return True


beam.coders.registry.register_coder(pa.RecordBatch, BatchCoder)


def combine(batches: Iterable[pa.RecordBatch], schema: pa.Schema, sort: Sequence[str] = ()) -> pa.Table:
    """The batches as one table, sorted by the columns ``sort`` (ascending, nulls last)."""
    table = pa.Table.from_batches(list(batches), schema=schema).combine_chunks()
    return table.sort_by([(name, "ascending") for name in sort]) if sort else table


def by_part(keys: npt.NDArray[np.uint64], parts: int) -> tuple[Int64, Int64, Int64]:
    """The order that puts rows with these keys part by part (``key mod parts``), the parts present, and where the rows
    of each begin in that order, with the number of rows at the end."""
    part_of = (keys % np.uint64(parts)).astype(np.uint16 if parts <= 1 << 16 else np.int64)  # the former sorts faster
    order = np.argsort(part_of, kind="stable")
    ordered = part_of[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return order, ordered[starts].astype(np.int64), np.append(starts, len(keys))


def split(batch: pa.RecordBatch, keys: Keys, parts: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cuts a batch into one batch a part: a row goes to part ``key mod parts``, rows keep their order."""
    if batch.num_rows == 0:
        return
    if parts == 1:
        yield 0, batch
        return
    order, present, edges = by_part(keys(batch), parts)
    sorted_batch = batch.take(pa.array(order))
    for part, start, end in zip(present.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        # A slice would carry the whole batch's buffers through the coder; taking the rows copies only them.
        yield part, sorted_batch.take(pa.array(np.arange(start, end)))
