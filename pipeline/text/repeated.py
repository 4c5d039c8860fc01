"""Repeated-text rule: of the pairs that share a caption so many stay, and the others go.

Many pictures beside one text are a shop's views of a mug, a photographer's "Sunset over the sea", or a site's "Read
more about us". A count can't tell which, and neither can the share of a site, which for a small one is large in any
case; so no text is lost altogether, and none has more pairs than the limit: those with the smallest ids stay. The id is
a hash, so that this favours no site, and neither order nor worker count changes the choice.

It takes two passes: ``first_pairs`` of each batch, ``frequent`` over the answers (in any grouping: by a range of the
hash when there are too many for one place); then the rule. Captions are compared in normal form, so "Read more" and
"READ MORE »" are one. Deduplicate (url, caption) first.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.hashing import hash_strings
from pipeline.match.fold import fold_column
from pipeline.tables.schema import CAPTION_PAIRS, FREQUENT_CAPTIONS
from pipeline.text.verdicts import captions, verdicts
from webimagetext.lookup import places_among

__all__ = ["RepeatedTextRule", "first_pairs", "frequent"]


def _hashes(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each caption's normal form."""
    data, offsets = fold_column(captions(batch))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return hash_strings(pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers))


def _ranked(
    hashes: npt.NDArray[np.uint64], pairs: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The rows in order of hash and pair, and the place of each among those of its hash."""
    order = np.lexsort((pairs, hashes))
    hashes, pairs = hashes[order], pairs[order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])) if len(hashes) else order
    lengths = np.diff(np.append(starts, len(hashes)))
    return hashes, pairs, np.arange(len(hashes)) - np.repeat(starts, lengths)


def first_pairs(batch: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """Of each caption of a batch the ``most`` pairs with the smallest ids and one more, by which it is known to repeat
    too often: CAPTION_PAIRS, in order."""
    hashes, pairs, places = _ranked(_hashes(batch), batch.column("pair_id").to_numpy())
    few = places <= most
    return pa.RecordBatch.from_arrays([pa.array(hashes[few]), pa.array(pairs[few])], schema=CAPTION_PAIRS)


def frequent(parts: Iterable[pa.RecordBatch], most: int) -> pa.Table:
    """The captions of more than ``most`` pairs, with the last pair of each that stays (FREQUENT_CAPTIONS), from several
    CAPTION_PAIRS."""
    table = pa.Table.from_batches(list(parts), schema=CAPTION_PAIRS)
    hashes, pairs, places = _ranked(table.column("hash").to_numpy(), table.column("pair_id").to_numpy())
    beyond = np.flatnonzero(places == most)
    return pa.table([pa.array(hashes[beyond]), pa.array(pairs[beyond - 1])], schema=FREQUENT_CAPTIONS)


class RepeatedTextRule:
    """Drops the pairs of a caption in ``frequent`` (FREQUENT_CAPTIONS, in any order) that come after the last one to
    stay."""

    name = "repeated_text"

    def __init__(self, frequent: pa.Table) -> None:
        hashes = frequent.column("hash").to_numpy()
        order = np.argsort(hashes)
        self._hashes, self._last = hashes[order], frequent.column("last_pair").to_numpy()[order]

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        places = places_among(self._hashes, _hashes(batch))
        beyond = np.zeros(batch.num_rows, np.bool_)
        known = places >= 0
        beyond[known] = batch.column("pair_id").to_numpy()[known] > self._last[places[known]]
        return verdicts(batch.num_rows, [("repeated_text", beyond)]), {}
