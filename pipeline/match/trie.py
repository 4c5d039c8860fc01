"""A trie of words over a large list of phrases, as flat arrays that can lie in a mapped file.

In: phrases, as words separated by single spaces. Out: two open-addressing hash tables, the vocabulary (word -> number, and the
phrase that is this one word) and the edges ((node, word) -> child node, and the phrase that ends there). Node numbers begin with
the words' numbers, so a phrase's first word is its first node. A bitmap of the edges, small enough for the processor's cache,
answers most of the searches for an edge that isn't there; and the words that most phrases hold, which are most of the words of any
text, stand in a small table of their own besides.

A word's key is two 64-bit numbers, read eight bytes at a time. Up to fifteen bytes they are the word itself; longer ones are hashed
and compared byte by byte, so a collision can't give a match.
search.py finds the phrases in texts.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import Bytes, Offsets, raw_texts
from pipeline.match.mapped_file import Arrays
from webimagetext.compiled import compiled

__all__ = ["CHILDREN", "LONG", "LOW", "PHRASE", "UInt64", "build_trie", "edge_key", "padded", "slot_of", "word_key"]

UInt64 = npt.NDArray[np.uint64]

SLOTS_PER_ENTRY = 1.5
COMMON_WORDS = 8192  # of a table small enough for the processor's second-level cache
BITS_PER_EDGE = 8
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplicative hashing (Knuth 1973, 6.4)
LONG = np.uint64(
    0xFF << 56
)  # the second number of a hashed word's key; else its top byte is the word's length plus one
MASKS = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)  # of the first bytes of eight
# A slot's value: in the low half a node's number, in the high half the id plus one of the phrase that ends there, if any, and in
# the top bit whether phrases go on from there.
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
    words = words[offsets[0] : offsets[-1]].copy()
    offsets = offsets - offsets[0]
    common = np.argsort(-np.bincount(tokens.astype(np.int64), minlength=vocabulary), kind="stable")[:COMMON_WORDS]
    tables = (
        _fill_words(padded(words), offsets, which, values, np.zeros(2 * len(_table(len(which))), np.uint64))
        for which in (np.arange(vocabulary), common)
    )
    edge_table, edge_bits = _edge_tables(pairs, values[vocabulary:])
    return {
        **dict(zip(("vocabulary", "common"), tables, strict=True)),
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
    """Where the search for a word's key begins: an even slot, so that it and the next share a line of the cache."""
    mixed = hashed * MULTIPLIER ^ packed
    mixed = (mixed ^ (mixed >> np.uint64(29))) * MULTIPLIER
    return (mixed ^ (mixed >> np.uint64(32))) & mask & ~np.uint64(1)


def padded(data: Bytes) -> UInt64:
    """A copy of the bytes as words of eight, with room to read beyond the end."""
    grid = np.zeros(len(data) // 8 + 3, np.uint64)
    grid.view(np.uint8)[: len(data)] = data
    return grid


@compiled
def _load(grid: UInt64, position: Any) -> Any:
    """The eight bytes from ``position`` on."""
    at, shift = position >> 3, np.uint64(8 * (position & 7))
    return (grid[at] >> shift) | (grid[at + 1] << np.uint64(1) << (np.uint64(63) - shift))


@compiled
def word_key(grid: UInt64, start: Any, length: Any) -> tuple[Any, Any]:
    """Both numbers of the key of the word of ``length`` bytes at ``start``; the second is never zero."""
    if length < 16:
        tag = np.uint64(length + 1) << np.uint64(56)
        return _load(grid, start) & MASKS[min(length, 8)], _load(grid, start + 8) & MASKS[max(length - 8, 0)] | tag
    hashed = np.uint64(0)
    for step in range(0, length, 8):
        hashed = hashed * MULTIPLIER
        hashed = (hashed ^ (hashed >> np.uint64(32))) ^ (_load(grid, start + step) & MASKS[min(length - step, 8)])
    return hashed, LONG


@compiled
def edge_key(node: Any, word: Any) -> Any:
    """The key of an edge, never zero, with well mixed bits: the lower ones serve the bitmap, those from the 21st on the table."""
    key = ((node << np.uint64(32)) | word) + np.uint64(1)
    key = (key ^ (key >> np.uint64(31))) * MULTIPLIER  # a bijection: different edges keep different keys
    return key ^ (key >> np.uint64(32))


@compiled
def _fill_words(grid: UInt64, offsets: Offsets, which: Offsets, values: UInt64, table: UInt64) -> UInt64:
    """Puts the words ``which`` into a table of four numbers a slot: the key, the value, and where the word is in ``grid``."""
    mask = np.uint64(len(table) // 4 - 1)
    for index in which:
        length = offsets[index + 1] - offsets[index]
        hashed, packed = word_key(grid, offsets[index], length)
        slot = slot_of(hashed, packed, mask)
        while table[4 * slot + np.uint64(1)] != 0:
            slot = (slot + np.uint64(1)) & mask
        table[4 * slot] = hashed
        table[4 * slot + np.uint64(1)] = packed
        table[4 * slot + np.uint64(2)] = values[index]
        table[4 * slot + np.uint64(3)] = np.uint64(offsets[index]) << np.uint64(32) | np.uint64(length)
    return table


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
        slot = (keys[index] >> np.uint64(20)) & mask
        while table[2 * slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        table[2 * slot] = keys[index]
        table[2 * slot + np.uint64(1)] = values[index]
    return table
