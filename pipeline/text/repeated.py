"""Repeated-text rule: captions that stand beside too many different images to describe any of them.

Needs a count over all pairs, so it takes two passes: ``caption_counts`` on each batch, ``add_counts`` over the answers
(in any grouping: by a range of the hash when there are too many for one place), ``frequent`` on the sums; then the rule
with the hashes. Captions are counted in normal form, so "Read more" and "READ MORE »" are one. Deduplicate (url,
caption) first.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.hashing import hash_strings
from pipeline.match.fold import fold_column
from pipeline.tables.schema import CAPTION_COUNTS
from pipeline.text.verdicts import captions, verdicts
from webimagetext.lookup import places_among

__all__ = ["RepeatedTextRule", "add_counts", "caption_counts", "frequent"]


def _hashes(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each caption's normal form."""
    data, offsets = fold_column(captions(batch))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return hash_strings(pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers))


def caption_counts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """How often each caption occurs in a batch: CAPTION_COUNTS, in order of the hash."""
    hashes, counts = np.unique(_hashes(batch), return_counts=True)
    return pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(counts.astype(np.int64))], schema=CAPTION_COUNTS)


def add_counts(parts: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """The sum of several CAPTION_COUNTS, in order of the hash."""
    table = pa.Table.from_batches(list(parts), schema=CAPTION_COUNTS)
    hashes, places = np.unique(np.asarray(table.column("hash")), return_inverse=True)
    sums = np.zeros(len(hashes), np.int64)
    np.add.at(sums, places, np.asarray(table.column("count")))
    return pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(sums)], schema=CAPTION_COUNTS)


def frequent(counts: pa.RecordBatch, limit: int) -> pa.Array:
    """The hashes that occur more than ``limit`` times, ascending."""
    hashes = np.asarray(counts.column("hash"))[np.asarray(counts.column("count")) > limit]
    return pa.array(np.sort(hashes), pa.uint64())


class RepeatedTextRule:
    """Drops captions whose hash is among ``hashes`` (from :func:`frequent`, in any order)."""

    name = "repeated_text"

    def __init__(self, hashes: pa.Array) -> None:
        self._hashes = np.sort(np.asarray(hashes).astype(np.uint64))

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        repeated = places_among(self._hashes, _hashes(batch)) >= 0
        return verdicts(batch.num_rows, [("repeated_text", repeated)]), {}
