"""Counts over all batches as one vector: half a million integers, whatever the number of rows."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.matches import count_matches
from pipeline.keeping.damage import read_sealed
from webimagetext import files
from webimagetext.sealed import seal

__all__ = ["CountIds", "SumVectors", "WriteVector", "read_vector", "write_vector"]

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


class SumVectors(beam.CombineFn):
    """Adds up ``count(batch)``, a vector of ``size`` integers, over all batches."""

    def __init__(self, count: Callable[[pa.RecordBatch], Int64], size: int) -> None:
        self.count, self.size = count, size

    def create_accumulator(self) -> Int64:
        return np.zeros(self.size, dtype=np.int64)

    def add_input(self, total: Int64, batch: pa.RecordBatch) -> Int64:
        total += self.count(batch)
        return total

    def merge_accumulators(self, totals: Iterable[Int64]) -> Int64:
        merged = self.create_accumulator()
        for total in totals:
            merged += total
        return merged

    def extract_output(self, total: Int64) -> Int64:
        return total


class WriteVector(beam.PTransform):
    """Record batches in; the sum of ``count(batch)`` in the file ``url`` out."""

    def __init__(self, count: Callable[[pa.RecordBatch], Int64], size: int, url: str) -> None:
        super().__init__()
        self.combine, self.url = SumVectors(count, size), url

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return batches | "Sum" >> beam.CombineGlobally(self.combine) | "Write" >> beam.Map(write_vector, self.url)
