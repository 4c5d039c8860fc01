"""A trie of words: finds every phrase of a large list in a text, at whole words, in one pass over the text.

In: phrases (or texts) as words separated by single spaces. Out: flat arrays that can lie in a mapped file, and for each text the
ids of the phrases it holds. Two open-addressing hash tables hold it all: the vocabulary (word -> number, and the phrase that is
this one word) and the edges ((node, word) -> child node, and the phrase that ends there). Node numbers begin with the words'
numbers, so a phrase's first word is its first node.

Words of up to seven bytes are their own key; longer ones are hashed and compared byte by byte, so a collision can't give a match.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import Bytes, Offsets, Texts, raw_texts
from pipeline.match.kernels import compiled
from pipeline.match.mapped_file import Arrays

__all__ = ["build_trie", "find_phrases"]

UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]

SLOTS_PER_ENTRY = 1.5
LONG = np.uint64(0xFF << 56)  # the top byte of a hashed key; a short word's top byte is its length plus one
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplicative hashing (Knuth 1973, 6.4)
# The upper half of a slot's value, and a node's mark: the id plus one of the phrase that ends here, and whether it goes on.
CHILDREN = np.uint32(1 << 31)
PHRASE = np.uint32((1 << 31) - 1)
UNKNOWN = np.uint32(0xFFFFFFFF)
FEW = 48  # phrases in a text up to which insertion sort is the quickest


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
    node = tokens[starts]
    nodes = len(encoded.dictionary)
    keys: list[UInt64] = []
    parents: list[UInt64] = []
    for depth in range(1, int(counts.max(initial=1))):
        longer = np.flatnonzero(counts > depth)
        edge = (node[longer] << np.uint64(32)) | tokens[starts[longer] + depth]
        distinct, child = np.unique(edge, return_inverse=True)
        keys.append(distinct)
        parents.append(distinct >> np.uint64(32))
        node[longer] = np.uint64(nodes) + child.astype(np.uint64)
        nodes += len(distinct)
    marks = np.zeros(nodes, np.uint32)
    marks[node] = np.arange(1, len(phrases) + 1, dtype=np.uint32)
    if np.count_nonzero(marks) != len(phrases):
        raise ValueError("two phrases are equal")
    for parent in parents:
        marks[parent] |= CHILDREN

    words, offsets = raw_texts(encoded.dictionary)
    values = (marks.astype(np.uint64) << np.uint64(32)) | np.arange(nodes, dtype=np.uint64)
    vocabulary = len(encoded.dictionary)
    edges = np.concatenate(keys) if keys else np.empty(0, np.uint64)
    return {
        "vocabulary": _fill(_word_keys(words, offsets), values[:vocabulary], _table(vocabulary)),
        "edges": _fill(edges + np.uint64(1), values[vocabulary:], _table(len(edges))),
        "words": words[offsets[0] : offsets[-1]].copy(),
        "word_offsets": (offsets - offsets[0]).astype(np.int64),
    }


def find_phrases(texts: Texts, trie: Arrays) -> tuple[UInt32, Offsets]:
    """The ids of the phrases in each text, ascending without repeats, end to end; and the offsets of the texts' lists."""
    data, offsets = texts
    return _find(data, offsets, trie["vocabulary"], trie["edges"], trie["words"], trie["word_offsets"])


def _table(entries: int) -> UInt64:
    """An empty hash table: key and value side by side, a power of two of them, zero keys for free slots."""
    return np.zeros(2 << max(4, int(entries * SLOTS_PER_ENTRY).bit_length()), np.uint64)


@compiled
def _slot(key: Any, mask: Any) -> Any:
    """Where the search for a key begins."""
    mixed = (key ^ (key >> np.uint64(29))) * MULTIPLIER
    return (mixed ^ (mixed >> np.uint64(32))) & mask


@compiled
def _word_key(data: Bytes, start: int, stop: int) -> Any:
    """A word's key: its bytes and length up to seven bytes, else a hash marked as such. Never zero."""
    packed = np.uint64(0)
    if stop - start <= 7:
        for position in range(start, stop):
            packed = (packed << np.uint64(8)) | np.uint64(data[position])
        return packed | (np.uint64(stop - start + 1) << np.uint64(56))
    for position in range(start, stop):
        packed = (packed ^ np.uint64(data[position])) * MULTIPLIER
        packed ^= packed >> np.uint64(32)
    return packed | LONG


@compiled
def _word_keys(data: Bytes, offsets: Offsets) -> UInt64:
    """The keys of a list of words."""
    keys = np.empty(len(offsets) - 1, np.uint64)
    for index in range(len(keys)):
        keys[index] = _word_key(data, offsets[index], offsets[index + 1])
    return keys


@compiled
def _fill(keys: UInt64, values: UInt64, table: UInt64) -> UInt64:
    """Puts keys (not zero; equal ones are kept apart) and values into an empty table."""
    mask = np.uint64(len(table) // 2 - 1)
    for index in range(len(keys)):
        slot = _slot(keys[index], mask)
        while table[2 * slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        table[2 * slot] = keys[index]
        table[2 * slot + np.uint64(1)] = values[index]
    return table


@compiled
def _look_up_word(data: Bytes, start: int, stop: int, vocabulary: UInt64, words: Bytes, word_offsets: Offsets) -> Any:
    """The value of a word's slot, or all ones for a word that no phrase has."""
    key = _word_key(data, start, stop)
    mask = np.uint64(len(vocabulary) // 2 - 1)
    slot = _slot(key, mask)
    while vocabulary[2 * slot] != 0:
        if vocabulary[2 * slot] == key:
            value = vocabulary[2 * slot + np.uint64(1)]
            if key < LONG:
                return value
            first = word_offsets[value & np.uint64(UNKNOWN)]
            same = word_offsets[(value & np.uint64(UNKNOWN)) + np.uint64(1)] - first == stop - start
            position = start
            while same and position < stop:
                same = words[first + position - start] == data[position]
                position += 1
            if same:
                return value
        slot = (slot + np.uint64(1)) & mask
    return np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled
def _follow(node: np.uint32, word: np.uint32, edges: UInt64) -> Any:
    """The value of the edge from a node along a word, or zero where there is none."""
    key = ((np.uint64(node) << np.uint64(32)) | np.uint64(word)) + np.uint64(1)
    mask = np.uint64(len(edges) // 2 - 1)
    slot = _slot(key, mask)
    while edges[2 * slot] != 0:
        if edges[2 * slot] == key:
            return edges[2 * slot + np.uint64(1)]
        slot = (slot + np.uint64(1)) & mask
    return np.uint64(0)


@compiled
def _sort_unique(ids: UInt32, begin: int, end: int) -> int:
    """Sorts ``ids[begin:end]`` in place, drops repeats, and returns the new end."""
    if end - begin > FEW:
        ids[begin:end].sort()
    else:
        for right in range(begin + 1, end):
            value = ids[right]
            left = right
            while left > begin and ids[left - 1] > value:
                ids[left] = ids[left - 1]
                left -= 1
            ids[left] = value
    if end == begin:
        return end
    last = begin
    for position in range(begin + 1, end):
        if ids[position] != ids[last]:
            last += 1
            ids[last] = ids[position]
    return last + 1


@compiled
def _find(
    data: Bytes, offsets: Offsets, vocabulary: UInt64, edges: UInt64, words: Bytes, word_offsets: Offsets
) -> tuple[UInt32, Offsets]:
    """See :func:`find_phrases`."""
    rows = len(offsets) - 1
    found = np.empty(16 * rows + 64, np.uint32)
    ends = np.zeros(rows + 1, np.int64)
    tokens = np.empty(256, np.uint32)
    marks = np.empty(256, np.uint32)
    end = 0
    for row in range(rows):
        count = 0
        start, stop = offsets[row], offsets[row + 1]
        if stop - start + 1 > len(tokens):  # room for a word a byte
            tokens = np.empty(2 * (stop - start + 1), np.uint32)
            marks = np.empty(2 * (stop - start + 1), np.uint32)
        for position in range(start, stop + 1):
            if position == stop or data[position] == 32:
                value = _look_up_word(data, start, position, vocabulary, words, word_offsets)
                tokens[count] = np.uint32(value & np.uint64(UNKNOWN))
                marks[count] = np.uint32(value >> np.uint64(32)) if tokens[count] != UNKNOWN else np.uint32(0)
                count += 1
                start = position + 1
        begin = end
        for first in range(count):
            node, mark = tokens[first], marks[first]
            following = first + 1
            while True:
                if mark & PHRASE:
                    if end == len(found):
                        grown = np.empty(2 * end, np.uint32)
                        grown[:end] = found
                        found = grown
                    found[end] = (mark & PHRASE) - np.uint32(1)
                    end += 1
                if not (mark & CHILDREN) or following == count or tokens[following] == UNKNOWN:
                    break
                value = _follow(node, tokens[following], edges)
                if value == 0:
                    break
                node, mark = np.uint32(value & np.uint64(UNKNOWN)), np.uint32(value >> np.uint64(32))
                following += 1
        end = _sort_unique(found, begin, end)
        ends[row + 1] = end
    return found[:end].copy(), ends
