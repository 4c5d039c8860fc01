"""Values that very many rows share, spread over several parts, so that no worker holds all rows of one.

In: the keys of rows, and how many rows there are in each of ``BINS`` bins of keys, counted in a pass of its own. Out:
further keys, a number of them for each popular value: its rows go to one or another by a second hash of theirs, and
the rows of the other side, which are to meet them, to each. A placeholder's picture under a hundredth of all pairs
would otherwise be one group. Which rows meet which is the same with and without.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.tables.batches import Copies, Int64, Keys
from pipeline.tables.vectors import read_vector
from webimagetext.hashing import mix

__all__ = ["BINS", "CountKeys", "Popular", "copied", "spread"]

UInt64 = npt.NDArray[np.uint64]

BINS = 1 << 16  # a vector of half a megabyte
BEYOND = 4  # times the rows of a part, and of a bin on average: from there on a bin counts as popular


@dataclass(frozen=True)
class CountKeys:
    """Counts the rows of a batch whose key falls into each bin."""

    keys: Keys

    def __call__(self, batch: pa.RecordBatch) -> Int64:
        return np.bincount((self.keys(batch) % np.uint64(BINS)).astype(np.int64), minlength=BINS)


@dataclass(frozen=True)
class Popular:
    """How many parts the rows of a value are spread over, by the counts at an address; ``each`` is a part's rows."""

    url: str
    each: int

    @cached_property
    def parts(self) -> Int64:
        """Of each bin; 1 where it isn't popular."""
        counts = read_vector(self.url)
        popular = counts > BEYOND * max(self.each, int(counts.mean()))
        parts: Int64 = np.where(popular, -(-counts // self.each), 1)
        return parts

    def of(self, keys: UInt64) -> Int64:
        """Of each key."""
        return self.parts[(keys % np.uint64(BINS)).astype(np.int64)]


def _apart(keys: UInt64, numbers: UInt64) -> UInt64:
    """The further keys with these numbers."""
    return mix(keys ^ mix(numbers))


@dataclass(frozen=True)
class _Spread:
    keys: Keys
    second: Keys
    popular: Popular

    def __call__(self, batch: pa.RecordBatch) -> UInt64:
        keys = self.keys(batch)
        parts = self.popular.of(keys)
        many = parts > 1
        if many.any():
            numbers = self.second(batch.filter(pa.array(many))) % parts[many].astype(np.uint64)
            keys = keys.copy()
            keys[many] = _apart(keys[many], numbers)
        return keys


@dataclass(frozen=True)
class _Copied:
    keys: Keys
    popular: Popular

    def __call__(self, batch: pa.RecordBatch) -> tuple[Int64, UInt64]:
        keys = self.keys(batch)
        parts = self.popular.of(keys)
        rows = np.repeat(np.arange(len(keys)), parts)
        numbers = np.arange(len(rows)) - np.repeat(np.cumsum(parts) - parts, parts)
        return rows, np.where(parts[rows] > 1, _apart(keys[rows], numbers.astype(np.uint64)), keys[rows])


def spread(keys: Keys, second: Keys, popular: Popular | None) -> Keys:
    """Keys rows by ``keys``, those of a popular value by ``second`` too; rows that are to stay together agree in
    both."""
    return keys if popular is None else _Spread(keys, second, popular)


def copied(keys: Keys, popular: Popular | None) -> Keys | Copies:
    """Keys the rows of another side, so that they meet all that :func:`spread` has spread."""
    return keys if popular is None else _Copied(keys, popular)
