"""Where each pair goes: its shard, its place in the shard, and the side of the hold-out split. Hashes decide, so
nothing else does.

In: columns of ids and of content hashes. Out: arrays of the same length. Independent of order, engine and worker count.
"""

import hashlib
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hashing import from_hex
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.hashing import mix

__all__ = ["is_holdout", "order", "place", "read_contents", "shard_count"]

SHA256 = re.compile("[0-9a-f]{64}")
UInt64 = npt.NDArray[np.uint64]
# Each use of the seed has its own stream of random words.
_SHARD, _ORDER = np.uint64(0x5348415244), np.uint64(0x4F52444552)


def shard_count(samples: int, samples_per_shard: int) -> int:
    """Shards for so many samples, at least one; each gets ``samples_per_shard`` on average, give or take its square
    root."""
    return max(1, -(-samples // samples_per_shard))


def _words(pairs: UInt64, seed: int, stream: np.uint64) -> UInt64:
    return mix(pairs ^ mix(np.array([seed], dtype=np.uint64) ^ stream))


def place(pairs: UInt64, seed: int, shards: int) -> npt.NDArray[np.int64]:
    """The number of the shard of each pair, 0 to ``shards`` - 1."""
    return (_words(pairs, seed, _SHARD) % np.uint64(shards)).astype(np.int64)


def order(pairs: UInt64, seed: int) -> npt.NDArray[np.int64]:
    """Indices that put pairs into their order within a shard: by a seeded hash, equal hashes by id."""
    return np.lexsort((pairs, _words(pairs, seed, _ORDER)))


def read_contents(file: str) -> UInt64:
    """The pictures that a text file names by their SHA-256, one a line, as numbers. Raises UserError for anything
    else."""
    content = files.read(file)
    if content is None:
        raise UserError(f"{file}: no such file", "correct package.holdout_list")
    lines = [line.strip().lower() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        if not SHA256.fullmatch(line):
            raise UserError(
                f"{file}: line {number:,} is no SHA-256: {line[:80]!r}", "give 64 hexadecimal digits a line"
            )
    return from_hex(pa.array(lines, pa.string()))


def is_holdout(sha256: pa.Array | pa.ChunkedArray, fraction: float, seed: int) -> pa.Array:
    """Booleans: whether each picture, by the hexadecimal SHA-256 of its bytes, belongs to the part kept for evaluation.

    Equal pictures get equal answers whatever their captions and addresses, so none is on both sides.
    A null is never held out.
    """
    if fraction <= 0:
        return pa.array(np.zeros(len(sha256), dtype=bool))
    limit = int(fraction * 2.0**64)
    prefix = seed.to_bytes(8, "little", signed=True)

    def below(content: str | None) -> bool:
        if content is None:
            return False
        digest = hashlib.blake2b(prefix + content.encode(), digest_size=8, person=b"holdout").digest()
        return int.from_bytes(digest, "little") < limit

    # A picture often has several captions.
    distinct = pc.unique(sha256)
    answers = pa.array([below(content) for content in distinct.to_pylist()], pa.bool_())
    found = answers.take(pc.index_in(sha256, value_set=distinct))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
