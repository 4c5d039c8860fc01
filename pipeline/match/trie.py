"""A trie of words over a large list of phrases, as flat arrays that can lie in a mapped file.

In: phrases, as words separated by single spaces. Out: two open-addressing hash tables, the vocabulary (word -> number,
and the phrase that is this one word) and the edges ((node, word) -> child node, and the phrase that ends there). Node
numbers begin with the words' numbers, so a phrase's first word is its first node. A bitmap of the edges, small enough
for the processor's cache, answers most of the searches for an edge that isn't there.

A word's key is two 64-bit numbers, read eight bytes at a time. Up to fifteen bytes they are the word itself; longer
ones are hashed and compared byte by byte, so a collision can't give a match. search.py finds the phrases in texts.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import Bytes, Offsets, UInt64, padded, raw_texts
from pipeline.match.mapped_file import Arrays
from webimagetext.compiled import compiled

__all__ = ["CHILDREN", "LONG", "LOW", "PHRASE", "build_trie", "edge_key", "edge_slot", "slot_of", "take_keys"]

SLOTS_PER_ENTRY = 1.5
BITS_PER_EDGE = 8
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplicative hashing (Knuth 1973, 6.4)
# The second number of a hashed word's key; that of any other has the word's length plus one in its top byte.
LONG = np.uint64(0xFF << 56)
MASKS = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)  # of the first bytes of eight
# A slot's value: in the low half a node's number, in the high half the id plus one of the phrase that ends there, if
# any, and in the top bit whether phrases go on from there.
LOW = np.uint64(0xFFFFFFFF)
PHRASE = np.uint64(0x7FFFFFFF)
CHILDREN = np.uint64(1 << 63)


def build_trie(phrases: pa.Array) -> Arrays:
    """The arrays of a trie in which phrase ``i`` has the id ``i``.

    Raises ValueError for two equal phrases or more than 2^31 - 2 of them.
    """
    if len(phrases) >= int(PHRASE):
        raise ValueError("too many phrases")
    split = pc.split_pattern(phrases, " ")
    starts = np.asarray(split.offsets)[: len(phrases)].astype(np.int64)
    counts = np.diff(np.asarray(split.offsets))
    encoded = split.flatten().dictionary_encode()
    tokens = np.asarray(encoded.indices).astype(np.uint64)
    vocabulary = nodes = len(encoded.dictionary)
    node = tokens[starts]
    edges: list[UInt64] = [np.empty(0, np.uint64)]
    for depth in range(1, int(counts.max(initial=1))):
        longer = np.flatnonzero(counts > depth)
        distinct, child = np.unique(
            (node[longer] << np.uint64(32)) | tokens[starts[longer] + depth], return_inverse=True
        )
        edges.append(distinct)
        node[longer] = np.uint64(nodes) + child.astype(np.uint64)
        nodes += len(distinct)
    values = np.arange(nodes, dtype=np.uint64)
    values[node] |= np.arange(1, len(phrases) + 1, dtype=np.uint64) << np.uint64(32)
    if np.count_nonzero(values > LOW) != len(phrases):
        raise ValueError("two phrases are equal")
    pairs = np.concatenate(edges)
    values[pairs >> np.uint64(32)] |= CHILDREN

    words, offsets = raw_texts(encoded.dictionary)
    word_table = np.zeros(2 * len(_table(vocabulary)), np.uint64)
    edge_table, edge_bits = _edge_tables(pairs, values[vocabulary:])
    return {
        "vocabulary": _fill_words(words, offsets, values[:vocabulary], word_table),
        "edges": edge_table,
        "edge_bits": edge_bits,
        "words": words,
        "longest": np.array([counts.max(initial=1)], np.int64),  # words in a phrase
    }


def _edge_tables(pairs: UInt64, values: UInt64) -> tuple[UInt64, UInt64]:
    """The hash table of the edges (node << 32 | word) and its bitmap."""
    bits = np.zeros(max(1, (1 << max(6, int(len(pairs) * BITS_PER_EDGE).bit_length())) // 64), np.uint64)
    keys = _edge_keys(pairs, bits)
    return _fill_edges(keys, values, _table(len(keys))), bits


def _table(entries: int) -> UInt64:
    """An empty hash table: key and value side by side, a power of two of them, zero keys for free slots."""
    return np.zeros(2 << max(4, int(entries * SLOTS_PER_ENTRY).bit_length()), np.uint64)


@compiled
def slot_of(hashed: Any, packed: Any, mask: Any) -> Any:
    """Where the search for a word's key begins."""
    mixed = hashed * MULTIPLIER ^ packed
    mixed = (mixed ^ (mixed >> np.uint64(29))) * MULTIPLIER
    return (mixed ^ (mixed >> np.uint64(32))) & mask


@compiled
def _eight_bytes(low: Any, high: Any, shift: Any) -> Any:
    """The eight bytes from bit ``shift`` of ``low`` on, the rest of which are in ``high``."""
    return (low >> shift) | (high << np.uint64(1) << (np.uint64(63) - shift))


@compiled
def _long_hash(grid: UInt64, start: Any, length: Any) -> Any:
    """The hash of a word of any length."""
    hashed = np.uint64(0)
    for step in range(0, length, 8):
        at, shift = (start + step) >> 3, np.uint64(8 * ((start + step) & 7))
        hashed = hashed * MULTIPLIER
        hashed ^= hashed >> np.uint64(32)
        hashed ^= _eight_bytes(grid[at], grid[at + 1], shift) & MASKS[min(length - step, 8)]
    return hashed


@compiled
def take_keys(grid: UInt64, starts: Offsets, stops: Offsets, count: int, hashes: UInt64, keys: UInt64) -> None:
    """Both numbers of the keys of the words between ``starts`` and ``stops``; the second is never zero."""
    for index in range(count):  # without a branch, as if all were short
        start, length = starts[index], stops[index] - starts[index]
        at, shift = start >> 3, np.uint64(8 * (start & 7))
        low, middle, high = grid[at], grid[at + 1], grid[at + 2]
        hashes[index] = _eight_bytes(low, middle, shift) & MASKS[min(length, 8)]
        rest = _eight_bytes(middle, high, shift) & MASKS[min(max(length - 8, 0), 8)]
        keys[index] = rest | (np.uint64(length + 1) << np.uint64(56))
    for index in range(count):
        if stops[index] - starts[index] >= 16:
            hashes[index], keys[index] = _long_hash(grid, starts[index], stops[index] - starts[index]), LONG


@compiled
def edge_key(node: Any, word: Any) -> Any:
    """The key of an edge, never zero, with well mixed bits: the lower ones serve the bitmap."""
    key = ((node << np.uint64(32)) | word) + np.uint64(1)
    key = (key ^ (key >> np.uint64(31))) * MULTIPLIER  # a bijection: different edges keep different keys
    return key ^ (key >> np.uint64(32))


@compiled
def edge_slot(key: Any, mask: Any) -> Any:
    """Where the search for an edge's key begins: by the bits from the 21st on."""
    return (key >> np.uint64(20)) & mask


def _fill_words(words: Bytes, offsets: Offsets, values: UInt64, table: UInt64) -> UInt64:
    """Puts words into an empty table of four numbers a slot: the key's two, the value, and where the word is in
    ``words``."""
    hashes, keys = np.empty((2, len(values)), np.uint64)
    take_keys(padded(words), offsets[:-1], offsets[1:], len(values), hashes, keys)
    _fill_slots(offsets, hashes, keys, values, table)
    return table


@compiled
def _fill_slots(offsets: Offsets, hashes: UInt64, keys: UInt64, values: UInt64, table: UInt64) -> None:
    mask = np.uint64(len(table) // 4 - 1)
    for index in range(len(keys)):
        slot = slot_of(hashes[index], keys[index], mask)
        while table[4 * slot + np.uint64(1)] != 0:
            slot = (slot + np.uint64(1)) & mask
        table[4 * slot] = hashes[index]
        table[4 * slot + np.uint64(1)] = keys[index]
        table[4 * slot + np.uint64(2)] = values[index]
        length = offsets[index + 1] - offsets[index]
        table[4 * slot + np.uint64(3)] = np.uint64(offsets[index]) << np.uint64(32) | np.uint64(length)


@compiled
def _edge_keys(pairs: UInt64, bits: UInt64) -> UInt64:
    """The keys of edges (node << 32 | word), which are also entered in the bitmap."""
    keys = np.empty(len(pairs), np.uint64)
    for index in range(len(pairs)):
        key = edge_key(pairs[index] >> np.uint64(32), pairs[index] & LOW)
        keys[index] = key
        bit = key & np.uint64(64 * len(bits) - 1)
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return keys


@compiled
def _fill_edges(keys: UInt64, values: UInt64, table: UInt64) -> UInt64:
    """Puts edges into an empty table of two numbers a slot: key and value."""
    mask = np.uint64(len(table) // 2 - 1)
    for index in range(len(keys)):
        slot = edge_slot(keys[index], mask)
        while table[2 * slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        table[2 * slot] = keys[index]
        table[2 * slot + np.uint64(1)] = values[index]
    return table
