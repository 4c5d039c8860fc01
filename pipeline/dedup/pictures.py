"""Pictures that repeat a better one, or one of an earlier run: keys to bring them together, and the verdict on each.

In: rows with sha256, phash and the size as received. Out: VERDICTS, a row for each picture that goes, with what it
repeats. Keys go through one group-by of any engine; a picture's verdicts are united by :func:`settled`, so neither the
order nor the number of workers changes the answer.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.near import band_keys, repeated_in_groups
from pipeline.hashing import from_hex, hash64, hash_numbers
from query_builder.normalize import normalize
from webimagetext.hashing import mix

__all__ = [
    "PICTURES",
    "VERDICTS",
    "RepeatedPicture",
    "by_caption",
    "by_content",
    "by_key",
    "each_once",
    "keyed",
    "settled",
    "verdicts",
]

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_CONTENT = np.uint64(0x434F4E54454E54)  # sets the keys of contents apart from those of bands

PICTURES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # of a band of the perceptual hash, or of the content
        pa.field("content", pa.uint64(), nullable=False),  # the first 64 bits of the SHA-256 of the bytes as received
        pa.field("phash", pa.uint64()),
        pa.field("pixels", pa.int64(), nullable=False),  # of the picture as received
        pa.field("earlier", pa.bool_(), nullable=False),  # it lies in the shards of an earlier run
    ]
)
VERDICTS = pa.schema(
    [
        pa.field("content", pa.uint64(), nullable=False),  # the picture that goes
        pa.field("reason", pa.string(), nullable=False),
        pa.field("keeper", pa.uint64(), nullable=False),  # the content of the picture it repeats
        pa.field("rank", pa.int64(), nullable=False),  # minus the pixels of the keeper; the least verdict counts
    ]
)
SAME_EARLIER, NEAR_EARLIER, NEAR = "earlier_image", "near_earlier_image", "near_duplicate"


def by_content(batch: pa.RecordBatch) -> UInt64:
    """Keys rows of JOINED by their picture."""
    return mix(from_hex(batch.column("sha256")))


def by_caption(batch: pa.RecordBatch) -> UInt64:
    """Keys rows of JOINED by their caption in normal form."""
    captions = batch.column("caption").to_pylist()
    return np.array([hash64(normalize(caption)) for caption in captions], dtype=np.uint64)


def by_key(batch: pa.RecordBatch) -> UInt64:
    """Keys rows of PICTURES."""
    return np.asarray(batch.column("key").to_numpy(zero_copy_only=False))


def each_once(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch with a picture, the first of each, by content. Rows of a popular picture become as few as
    there are batches."""
    _, first = np.unique(from_hex(batch.column("sha256")), return_index=True)
    return batch.take(pa.array(first))


def keyed(batch: pa.RecordBatch, distance: int | None, with_contents: bool, earlier: bool) -> pa.RecordBatch:
    """The pictures of a batch, each once, with a row for each of their keys: PICTURES.

    ``distance`` (bits) asks for the keys of near pictures, ``with_contents`` for those of equal ones.
    """
    batch = each_once(batch.filter(pc.is_valid(batch.column("sha256"))))
    contents = from_hex(batch.column("sha256"))
    hashes = hash_numbers(batch.column("phash"))
    sides = [pc.fill_null(batch.column(name), 0).cast(pa.int64()) for name in ("original_width", "original_height")]
    pixels = pc.multiply(*sides).to_numpy(zero_copy_only=False)
    rows, keys = [], []
    if with_contents:
        rows.append(np.arange(len(contents)))
        keys.append(mix(contents ^ _CONTENT))
    if distance is not None:
        known = np.flatnonzero(hashes.is_valid().to_numpy(zero_copy_only=False))
        values = hashes.drop_null().to_numpy(zero_copy_only=False).astype(np.uint64)
        bands = band_keys(values, distance)
        rows.append(np.repeat(known, bands.shape[1]))
        keys.append(bands.reshape(-1))
    place = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    key = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
    columns = [key, contents[place], hashes.take(pa.array(place)), pixels[place]]
    columns.append(np.full(len(place), earlier))
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=PICTURES)


def verdicts(group: pa.Table, distance: int | None) -> pa.RecordBatch:
    """What goes of the pictures of some keys (all rows of a key, in any order): VERDICTS."""
    keys, contents, pixels, earlier, known, phashes = _several(group)
    went = [_same_earlier(keys, contents, pixels, earlier)]
    reasons = [np.full(len(went[0][0]), SAME_EARLIER, dtype=object)]
    if distance is not None:
        rows = np.flatnonzero(known)
        of_key = (keys[rows], phashes[rows], pixels[rows], contents[rows])
        keeper = repeated_in_groups(*of_key, distance, earlier[rows])
        found = keeper >= 0
        went.append((rows[found], rows[keeper[found]]))
        reasons.append(np.where(earlier[went[1][1]], NEAR_EARLIER, NEAR).astype(object))
    goes, keepers = (np.concatenate(side) for side in zip(*went, strict=True))
    columns = [contents[goes], pa.array(np.concatenate(reasons), pa.string()), contents[keepers], -pixels[keepers]]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=VERDICTS)


def _several(group: pa.Table) -> tuple[UInt64, UInt64, Int64, Mask, Mask, UInt64]:
    """The keys that several rows of PICTURES have: of these rows the key, content, pixels, whether it is of an earlier
    run, and the hash with whether there is one."""
    table = group.combine_chunks()
    keys = table.column("key").to_numpy()
    order = np.argsort(keys)
    alike = np.zeros(len(keys) + 1, np.bool_)
    alike[1:-1] = keys[order[1:]] == keys[order[:-1]]
    table = table.take(pa.array(order[alike[:-1] | alike[1:]]))
    keys, contents, pixels = (table.column(name).to_numpy() for name in ("key", "content", "pixels"))
    known, phashes = table.column("phash").is_valid().to_numpy(), pc.fill_null(table.column("phash"), 0).to_numpy()
    return keys, contents, pixels, table.column("earlier").to_numpy(), known, phashes


def _same_earlier(keys: UInt64, contents: UInt64, pixels: Int64, earlier: Mask) -> tuple[Int64, Int64]:
    """The rows whose picture an earlier run has, and the row of the same key which is that."""
    if not earlier.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.lexsort((-pixels, ~earlier, contents, keys))
    ordered = keys[order], contents[order]
    begins = np.append(True, np.logical_or(*(values[1:] != values[:-1] for values in ordered)))
    first = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    goes = earlier[first] & ~earlier[order]
    return order[goes], first[goes]


def settled(table: pa.Table) -> pa.Table:
    """One verdict a picture out of those of several keys: the same picture before a near one, an earlier run's before
    this one's, then the better keeper."""
    rank = pc.index_in(table.column("reason"), value_set=pa.array([SAME_EARLIER, NEAR_EARLIER, NEAR]))
    order = [("content", "ascending"), ("_reason", "ascending"), ("rank", "ascending"), ("keeper", "ascending")]
    ranked = table.append_column("_reason", rank).sort_by(order)
    contents = ranked.column("content").to_numpy()
    first = np.concatenate(([True], contents[1:] != contents[:-1])) if len(contents) else np.zeros(0, bool)
    return ranked.drop_columns("_reason").filter(pa.array(first)).combine_chunks()


class RepeatedPicture:
    """Drops the pictures that ``found`` (VERDICTS) lets go; the ledger's detail names the picture that stays by its
    content."""

    name = "repeated_picture"
    detail = "_keeper"

    def __init__(self, found: pa.Table) -> None:
        self._found = settled(found)

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        contents = pa.array(from_hex(batch.column("sha256")))
        place = pc.index_in(contents, value_set=self._found.column("content").combine_chunks())
        keepers = [
            None if keeper is None else f"repeats the picture with SHA-256 {keeper:016x}…"
            for keeper in self._found.column("keeper").take(place).to_pylist()
        ]
        reasons = self._found.column("reason").take(place)
        return reasons.combine_chunks(), {self.detail: pa.array(keepers, pa.string())}
