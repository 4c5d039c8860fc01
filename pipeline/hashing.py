"""Stable hashes: identities and random draws that are the same on every engine, worker count and day.

Never Python's ``hash`` (salted per process) nor a library's own hash (free to change between versions).
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from webimagetext.hashing import mix

__all__ = ["draw", "from_hex", "hash64", "hash_numbers", "hash_strings", "pair_ids"]

UInt64 = npt.NDArray[np.uint64]


def hash64(text: str | bytes) -> int:
    """The first 8 bytes, little-endian, of the BLAKE2b hash of a text: an identity with 64 bits."""
    data = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def hash_strings(column: pa.Array) -> UInt64:
    """:func:`hash64` of every string of a column without nulls."""
    blake2b = hashlib.blake2b
    digests = b"".join([blake2b(value.encode(), digest_size=8).digest() for value in column.to_pylist()])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def from_hex(column: pa.Array | pa.ChunkedArray) -> UInt64:
    """The numbers whose 16 digits each text of a column without nulls begins with: a pair's id from its key in a
    shard."""
    return np.array([int(text[:16], 16) for text in column.to_pylist()], dtype=np.uint64)


def pair_ids(urls: pa.Array, captions: pa.Array) -> UInt64:
    """The ids of pairs (url, caption), without nulls."""
    blake2b = hashlib.blake2b
    rows = zip(urls.to_pylist(), captions.to_pylist(), strict=True)
    digests = b"".join([blake2b(f"{url}\n{caption}".encode(), digest_size=8).digest() for url, caption in rows])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def hash_numbers(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column of 64-bit hashes as numbers, nulls kept; as hexadecimal text they stand in shards, as numbers in the
    image store."""
    if pa.types.is_string(column.type):
        return pa.array([None if text is None else int(text, 16) for text in column.to_pylist()], pa.uint64())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def draw(pairs: UInt64, queries: npt.NDArray[np.integer] | int, seed: int) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1), one for each (pair, query): a function of the two ids and the seed alone.

    ``pairs`` and ``queries`` broadcast against each other. Because the number does not depend on a threshold, the pairs
    kept below a threshold are always among those kept below a higher one.
    """
    salted = mix(np.asarray(queries).astype(np.uint64) + mix(np.array([seed], dtype=np.uint64)))
    words = mix(pairs ^ salted)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
