"""Pictures that repeat a better one, or one of an earlier run: keys to bring them together, and the verdict on each.

In: rows with sha256, phash and the size as received. Out: VERDICTS, a row for each picture that goes, with what it
repeats. Keys go through one group-by of any engine; a picture's verdicts are united by :func:`settled`, so neither the
order nor the number of workers changes the answer.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.near import band_keys, repeated_by
from pipeline.hashing import from_hex, hash_numbers
from webimagetext.hashing import mix

__all__ = [
    "PICTURES",
    "VERDICTS",
    "RepeatedPicture",
    "by_content",
    "by_key",
    "keyed",
    "settled",
    "verdicts",
]

UInt64 = npt.NDArray[np.uint64]
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


def by_key(batch: pa.RecordBatch) -> UInt64:
    """Keys rows of PICTURES."""
    return np.asarray(batch.column("key").to_numpy(zero_copy_only=False))


def keyed(batch: pa.RecordBatch, distance: int | None, with_contents: bool, earlier: bool) -> pa.RecordBatch:
    """The pictures of a batch, each once, with a row for each of their keys: PICTURES.

    ``distance`` (bits) asks for the keys of near pictures, ``with_contents`` for those of equal ones.
    """
    batch = batch.filter(pc.is_valid(batch.column("sha256")))
    contents, first = np.unique(from_hex(batch.column("sha256")), return_index=True)
    batch = batch.take(pa.array(first))
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
    order = np.argsort(group.column("key").to_numpy(), kind="stable")
    table = group.take(pa.array(order)).combine_chunks()
    keys, contents, pixels = (table.column(name).to_numpy() for name in ("key", "content", "pixels"))
    earlier = table.column("earlier").to_numpy()
    known = table.column("phash").is_valid().to_numpy()
    phashes = pc.fill_null(table.column("phash"), 0).to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    goes, keepers, reasons = [], [], []
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        rows = np.arange(start, start + size)
        old = rows[earlier[rows]]
        places = {content: row for row, content in zip(old[::-1].tolist(), contents[old[::-1]].tolist(), strict=True)}
        same = [(row, places[contents[row]]) for row in rows.tolist() if not earlier[row] and contents[row] in places]
        goes += [row for row, _ in same]
        keepers += [keeper for _, keeper in same]
        reasons += [SAME_EARLIER] * len(same)
        if distance is None:
            continue
        rows = rows[known[rows]]
        keeper = repeated_by(phashes[rows], pixels[rows], contents[rows], distance, earlier=earlier[rows])
        found = np.flatnonzero(keeper >= 0)
        goes += rows[found].tolist()
        keepers += rows[keeper[found]].tolist()
        reasons += [NEAR_EARLIER if earlier[row] else NEAR for row in rows[keeper[found]].tolist()]
    columns = [contents[goes], pa.array(reasons, pa.string()), contents[keepers], -pixels[keepers]]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=VERDICTS)


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
