"""Counts over all batches as one vector: half a million integers, whatever the number of rows."""

import io
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from pipeline.balance.matches import count_matches
from pipeline.keeping.damage import read_sealed
from webimagetext import files
from webimagetext.sealed import seal

__all__ = ["AddVectors", "CountIds", "HeldBatches", "WriteVector", "read_vector", "write_vector"]

HELD_BYTES = 32 << 20
FANS = (512, 16, 1)

Int64 = npt.NDArray[np.int64]


def write_vector(vector: npt.NDArray[np.generic], url: str) -> str:
    """Writes a vector as a NumPy file, sealed, and returns its address."""
    content = io.BytesIO()
    np.save(content, vector)
    with files.write_atomic(url) as stream:
        stream.write(seal(content.getvalue()))
    return url


def read_vector(url: str) -> npt.NDArray[Any]:
    """Reads what :func:`write_vector` wrote: numbers of the type that it was given. Raises UserError for a file that is
    damaged or missing."""
    vector: npt.NDArray[Any] = np.load(io.BytesIO(read_sealed(url)))
    return vector


@dataclass(frozen=True)
class CountIds:
    """Counts the rows of a batch that hold each of ``size`` ids in the list column ``column``."""

    column: str
    size: int

    def __call__(self, batch: pa.RecordBatch) -> Int64:
        return count_matches(batch.column(self.column), self.size)


class HeldBatches(beam.DoFn):
    """Record batches in; :meth:`work` gets several of them as one, so that what a vector of all queries costs is not
    spent for every 8,192 rows, and :meth:`rest` ends a bundle."""

    def start_bundle(self) -> None:
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= HELD_BYTES:
            yield from self._work()

    def finish_bundle(self) -> Iterator[Any]:
        if self._held:
            for output in self._work():
                yield _at_the_end(output)
        for output in self.rest():
            yield _at_the_end(output)

    def _work(self) -> Iterator[Any]:
        held, self._held, self._bytes = self._held, [], 0
        return self.work(held[0] if len(held) == 1 else pa.concat_batches(held))

    @abstractmethod
    def work(self, batch: pa.RecordBatch) -> Iterator[Any]:
        """What comes of some rows."""

    @abstractmethod
    def rest(self) -> Iterator[Any]:
        """What comes of all rows of a bundle."""


def _at_the_end(output: Any) -> Any:
    """An element as Beam wants it of the end of a bundle."""
    if isinstance(output, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
    return GlobalWindows.windowed_value(output)


class _Count(HeldBatches):
    """Record batches in; the sum of ``count`` over each bundle out."""

    def __init__(self, count: Callable[[pa.RecordBatch], Int64]) -> None:
        self.count = count

    def start_bundle(self) -> None:
        super().start_bundle()
        self.total: Int64 | None = None

    def work(self, batch: pa.RecordBatch) -> Iterator[Int64]:
        found = self.count(batch)
        self.total = found if self.total is None else self.total + found
        yield from ()

    def rest(self) -> Iterator[Int64]:
        if self.total is not None:
            yield self.total


class AddVectors(beam.PTransform):
    """Vectors of ``size`` integers in; their sum, zeros where there are none, in the file ``url`` out.

    By a tree: of 20,000 tasks' vectors of 500,000 queries, 80 GB, none of the steps is given more than about 40, which
    is 160 MB, and a worker holds two of them at a time.
    """

    def __init__(self, size: int, url: str) -> None:
        super().__init__()
        self.size, self.url = size, url

    def expand(self, vectors: beam.PCollection) -> beam.PCollection:
        zeros = vectors.pipeline | "Once" >> beam.Create([self.size], reshuffle=False) | "Zeros" >> beam.Map(_zeros)
        sums = (vectors, zeros) | "All" >> beam.Flatten() | "Spread" >> beam.Map(_spread)
        for fans in FANS:
            sums |= f"Into {fans}" >> beam.Map(_into, fans)
            sums |= f"Together in {fans}" >> beam.GroupByKey()
            sums |= f"Add in {fans}" >> beam.Map(_add)
        return sums | "Write" >> beam.Map(_write_sum, self.url)


def _zeros(size: int) -> Int64:
    return np.zeros(size, np.int64)


def _spread(vector: Int64) -> tuple[int, Int64]:
    return zlib.crc32(vector.tobytes()), vector


def _into(keyed: tuple[int, Int64], fans: int) -> tuple[int, Int64]:
    return keyed[0] % fans, keyed[1]


def _add(group: tuple[int, Iterable[Int64]]) -> tuple[int, Int64]:
    key, vectors = group
    total: Int64 | None = None
    for vector in vectors:
        total = np.array(vector) if total is None else np.add(total, vector, out=total)
    assert total is not None
    return key, total


def _write_sum(group: tuple[int, Int64], url: str) -> str:
    return write_vector(group[1], url)


class WriteVector(beam.PTransform):
    """Record batches in; the sum of ``count(batch)``, a vector of ``size`` integers, in the file ``url`` out."""

    def __init__(self, count: Callable[[pa.RecordBatch], Int64], size: int, url: str) -> None:
        super().__init__()
        self.count, self.size, self.url = count, size, url

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return batches | "Sum" >> beam.ParDo(_Count(self.count)) | "Add up" >> AddVectors(self.size, self.url)
