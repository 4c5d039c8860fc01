"""64-bit hashes of texts and the hash tables over them that the compiled loops look words up in.

In: texts with small integers. Out: two NumPy arrays that :func:`look_up` searches without touching a Python object.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from webimagetext.compiled import compiled

__all__ = ["Bytes", "HashTable", "Longs", "as_bytes", "hash_bytes", "hash_table", "hash_text", "look_up"]

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.uint64]
# Open addressing with linear probing: slot = key modulo the size; key 0 marks an empty slot.
HashTable = tuple[Longs, npt.NDArray[np.int64]]

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
SHIFT = np.uint64(33)
ONE = np.uint64(1)


@compiled
def hash_bytes(data: Bytes, start: int, end: int) -> np.uint64:
    """The 64-bit FNV-1a hash of ``data[start:end]``, mixed once more (MurmurHash3's finaliser), never 0."""
    value = FNV_OFFSET
    for index in range(start, end):
        value = (value ^ np.uint64(data[index])) * FNV_PRIME
    value = (value ^ (value >> SHIFT)) * MIX_1
    value = (value ^ (value >> SHIFT)) * MIX_2
    value = value ^ (value >> SHIFT)
    return value | ONE if value == np.uint64(0) else value


@compiled
def look_up(keys: Longs, values: npt.NDArray[np.int64], key: np.uint64) -> int:
    """The value stored under ``key``, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot] != np.uint64(0):
        if keys[slot] == key:
            return int(values[slot])
        slot = (slot + ONE) & mask
    return -1


def as_bytes(text: str | bytes) -> Bytes:
    """The bytes of a text (UTF-8) as an array."""
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)


def hash_text(text: str | bytes) -> int:
    """:func:`hash_bytes` of a whole text."""
    data = as_bytes(text)
    return int(hash_bytes(data, 0, len(data)))


def hash_table(entries: Mapping[str, int]) -> HashTable:
    """A table for :func:`look_up` from texts to integers that are not negative."""
    size = 16
    while size < 3 * len(entries):
        size *= 2
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for text, value in entries.items():
        key = hash_text(text)
        slot = key % size
        while keys[slot]:
            slot = (slot + 1) % size
        keys[slot], values[slot] = key, value
    return keys, values
