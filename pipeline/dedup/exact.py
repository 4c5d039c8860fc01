"""Exact duplicates: the same pair found twice, and the same picture with the same caption under two addresses.

In: a table in which all rows that share a key lie together (whole, or a group that a shuffle made). Out: as a rule
gives them, per row null or a reason. Of rows that agree, the one with the smallest pair id stays (then page, then
source): the id is a hash, so that this favours no site, and neither order nor worker count changes the choice.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hashing import hash64
from query_builder.normalize import normalize

__all__ = ["DuplicateImageCaption", "DuplicatePair"]

Verdicts = tuple[pa.Array, dict[str, pa.Array]]
_TIES = ("pair_id", "page_url", "source")


def repeats(keys: npt.NDArray[np.uint64], rows: pa.Table | pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Whether each row repeats another with an equal key that is kept instead."""
    ranked = pa.table({"_key": keys, "_row": np.arange(len(keys)), **{name: rows.column(name) for name in _TIES}})
    ranked = ranked.sort_by([("_key", "ascending"), *((name, "ascending") for name in (*_TIES, "_row"))])
    ordered = ranked.column("_key").to_numpy()
    result = np.zeros(len(keys), dtype=bool)
    result[ranked.column("_row").to_numpy()[1:]] = ordered[1:] == ordered[:-1]
    return result


def _verdicts(repeated: npt.NDArray[np.bool_], reason: str) -> Verdicts:
    return pc.if_else(pa.array(repeated), reason, pa.scalar(None, pa.string())), {}


class DuplicatePair:
    """One row for each pair of address and caption. Rows with an equal ``pair_id`` are to lie together."""

    name = "duplicate_pair"

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        keys = batch.column("pair_id").to_numpy(zero_copy_only=False)
        return _verdicts(repeats(keys, batch), self.name)


class DuplicateImageCaption:
    """One row for each picture, by its content, and caption, in normal form. Rows that agree in both are to
    lie together.

    The same picture with another caption stays: it says something new.
    """

    name = "duplicate_image_caption"

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        contents, captions = batch.column("sha256").to_pylist(), batch.column("caption").to_pylist()
        pairs = zip(contents, captions, strict=True)
        hashes = [hash64(f"{content}\n{normalize(caption)}") for content, caption in pairs]
        return _verdicts(repeats(np.array(hashes, dtype=np.uint64), batch), self.name)
