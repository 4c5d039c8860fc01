"""Finds all phrases of a trie in texts: the inner loops of matching.

In: texts in normal form, as words separated by single spaces, and the arrays of trie.py. Out: the ids of each text's
phrases. Nearly all the time goes into waiting for memory, so the texts are taken some thousand words at a time and each
step runs over all words of such a chunk before the next: the processor then has many loads under way at once (3 times
faster than word by word). No array is replaced within a loop, since the compiled code would count references at every
step.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.match.fold import Bytes, Offsets, UInt64, Words, padded, readonly
from pipeline.match.mapped_file import Arrays
from pipeline.match.trie import CHILDREN, LONG, LOW, PHRASE, edge_key, edge_slot, slot_of, take_keys
from webimagetext.compiled import compiled

__all__ = ["find_phrases"]

UInt32 = npt.NDArray[np.uint32]

CHUNK = 4096  # words: what is kept for them fits into a core's second-level cache
FEW = 64  # phrases in a text up to which sorting by rank is the quickest
UNKNOWN = LOW  # the value of a word that no phrase has


class Tables(NamedTuple):
    """The arrays of a trie, and the number of words in its longest phrase."""

    vocabulary: UInt64
    edges: UInt64
    edge_bits: UInt64
    words: Bytes
    longest: int


class Scratch(NamedTuple):
    """Room for a number to each word of a chunk, and one more; the compiled functions say what stands there."""

    starts: Offsets
    hashes: UInt64
    keys: UInt64
    values: UInt64
    steps: UInt64
    copy: UInt64  # of FEW ids


def find_phrases(texts: Words, trie: Arrays) -> tuple[UInt32, Offsets]:
    """The ids of the phrases in each text, ascending without repeats, end to end; and the offsets of the texts'
    lists."""
    grid = padded(texts.data)
    rows = len(texts.offsets) - 1
    size = max(CHUNK, int(np.diff(texts.first).max(initial=0)))
    hashes, keys, values, steps = np.empty((4, size + 1), np.uint64)
    scratch = Scratch(np.empty(size + 1, np.int64), hashes, keys, values, steps, np.empty(FEW, np.uint64))
    # Read-only like a mapped file, so that one compiled version serves every trie.
    vocabulary, edges, edge_bits, words = (
        readonly(trie[name]) for name in ("vocabulary", "edges", "edge_bits", "words")
    )
    tables = Tables(vocabulary, edges, edge_bits, words, int(trie["longest"][0]))
    ends = np.zeros(rows + 1, np.int64)
    found = np.empty(8 * rows + size * tables.longest + FEW, np.uint32)
    row = 0
    while row < rows:
        row = _find(grid, texts, tables, scratch, row, found, ends)
        if row < rows:
            found = np.concatenate([found, np.empty(len(found), np.uint32)])
    return found[: ends[-1]].copy(), ends


@compiled
def _find(grid: UInt64, texts: Words, tables: Tables, scratch: Scratch, row: int, found: UInt32, ends: Offsets) -> int:
    """Searches the texts from ``row`` on; returns the first row for which ``found`` may be too small, or the number of
    rows.

    ``grid`` is the texts' bytes as words of eight. Fills ``found`` and ``ends``.
    """
    data, offsets, first, starts = grid.view(np.uint8), texts.offsets, texts.first, scratch.starts
    rows = len(offsets) - 1
    while row < rows:
        stop = row + 1
        while stop < rows and first[stop + 1] - first[row] < len(starts):
            stop += 1
        count = first[stop] - first[row]
        if ends[row] + count * tables.longest + FEW > len(found):
            return row
        stops = texts.stops[first[row] : first[stop]]
        for index in range(1, count):
            starts[index] = stops[index - 1] + 1
        for text in range(row, stop):
            starts[first[text] - first[row]] = offsets[text]
        take_keys(grid, starts, stops, count, scratch.hashes, scratch.keys)
        _look_up_words(data, stops, count, tables, scratch)
        _look_up_pairs(count, tables, scratch)
        _collect(first[row : stop + 1], tables, scratch, found, ends[row:])
        row = stop
    return row


@compiled
def _look_up_words(data: Bytes, stops: Offsets, count: int, tables: Tables, scratch: Scratch) -> None:
    """Puts the value of the word of each key, or UNKNOWN, into ``values``."""
    vocabulary, words = tables.vocabulary, tables.words
    starts, hashes, keys, values, slots = scratch.starts, scratch.hashes, scratch.keys, scratch.values, scratch.steps
    mask = np.uint64(len(vocabulary) // 4 - 1)
    for index in range(count):
        slots[index] = slot_of(hashes[index], keys[index], mask)
    # Nothing waits for these loads, so they are all under way at once, and the searches find the slots near.
    touched = np.uint64(0)
    for index in range(count):
        touched ^= vocabulary[4 * slots[index]]
    slots[count] = touched  # or the compiler would leave them out
    for index in range(count):
        key, slot = keys[index], slots[index]
        value = UNKNOWN
        while vocabulary[4 * slot + np.uint64(1)] != 0:
            if (
                vocabulary[4 * slot + np.uint64(1)] == key
                and vocabulary[4 * slot] == hashes[index]
                and (
                    key != LONG
                    or _same_word(data, starts[index], stops[index], words, vocabulary[4 * slot + np.uint64(3)])
                )
            ):
                value = vocabulary[4 * slot + np.uint64(2)]
                break
            slot = (slot + np.uint64(1)) & mask
        values[index] = value


@compiled
def _same_word(data: Bytes, start: int, stop: int, words: Bytes, place: Any) -> bool:
    """Whether the text from ``start`` to ``stop`` is the word at ``place`` (offset and, in the low half, length) of
    ``words``."""
    if np.int64(place & LOW) != stop - start:
        return False
    begin = np.int64(place >> np.uint64(32))
    same = True
    for step in range(stop - start):
        same &= data[start + step] == words[begin + step]
    return same


@compiled
def _may_be_edge(key: Any, edge_bits: UInt64) -> Any:
    """One where the bitmap allows an edge of this key, else zero."""
    bit = key & np.uint64(64 * len(edge_bits) - 1)
    return edge_bits[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1)


@compiled
def _probe(key: Any, edges: UInt64) -> Any:
    """The value of the edge of this key, or zero where there is none."""
    mask = np.uint64(len(edges) // 2 - 1)
    slot = edge_slot(key, mask)
    while edges[2 * slot] != 0:
        if edges[2 * slot] == key:
            return edges[2 * slot + np.uint64(1)]
        slot = (slot + np.uint64(1)) & mask
    return np.uint64(0)


@compiled
def _look_up_edge(node: Any, word: Any, edges: UInt64, edge_bits: UInt64) -> Any:
    """The value of the edge from a node along a word, or zero where there is none."""
    key = edge_key(node, word)
    return _probe(key, edges) if _may_be_edge(key, edge_bits) else np.uint64(0)


@compiled
def _look_up_pairs(count: int, tables: Tables, scratch: Scratch) -> None:
    """The words from which an edge leads to the next word, into ``starts``, and the edges' values, into ``steps``.

    Behind the last place comes ``count``. ``_collect`` passes over edges between two texts. ``keys`` is used up.
    """
    edges, edge_bits = tables.edges, tables.edge_bits
    values, keys, places, steps = scratch.values, scratch.keys, scratch.starts, scratch.steps
    likely = 0
    for index in range(count - 1):  # without a branch: those that the bitmap allows
        key = edge_key(values[index] & LOW, values[index + 1] & LOW)
        keys[likely] = key
        places[likely] = index
        goes_on = int(values[index] >> np.uint64(63)) & int(values[index + 1] != UNKNOWN)
        likely += goes_on & int(_may_be_edge(key, edge_bits))
    mask = np.uint64(len(edges) // 2 - 1)
    touched = np.uint64(0)
    for place in range(likely):  # as in _look_up_words
        touched ^= edges[2 * edge_slot(keys[place], mask)]
    steps[likely] = touched
    found = 0
    for place in range(likely):
        value = _probe(keys[place], edges)
        places[found] = places[place]
        steps[found] = value
        found += int(value != 0)
    places[found] = count


@compiled
def _collect(first: Offsets, tables: Tables, scratch: Scratch, found: UInt32, ends: Offsets) -> None:
    """Writes the phrases of each text to ``found``, sorted and unique, and their ends to ``ends[1:]``."""
    edges, edge_bits = tables.edges, tables.edge_bits
    values, places, steps, copy = scratch.values, scratch.starts, scratch.steps, scratch.copy
    end, pair = ends[0], 0
    for text in range(len(first) - 1):
        begin = end
        start, stop = first[text] - first[0], first[text + 1] - first[0]
        for index in range(start, stop):
            phrase = (values[index] >> np.uint64(32)) & PHRASE
            found[end] = phrase - np.uint64(1)
            end += int(phrase != 0)
        while places[pair] < stop:
            value, following = steps[pair], places[pair] + 1
            pair += 1
            while value != 0 and following < stop:
                phrase = (value >> np.uint64(32)) & PHRASE
                found[end] = phrase - np.uint64(1)
                end += int(phrase != 0)
                following += 1
                if not value & CHILDREN or following == stop or values[following] == UNKNOWN:
                    break
                value = _look_up_edge(value & LOW, values[following] & LOW, edges, edge_bits)
        end = _sort_unique(found, begin, end, copy)
        ends[text + 1] = end


@compiled
def _sort_unique(ids: UInt32, begin: int, end: int, copy: UInt64) -> int:
    """Sorts ``ids[begin:end]`` in place, drops repeats, and returns the new end. ``copy`` is scratch for FEW ids."""
    count = end - begin
    if count <= 1:
        return end
    if count > FEW:
        ids[begin:end].sort()
    else:
        # Each id goes where the number of smaller ones says: more comparisons than other sorts, but no branch to guess
        # wrong, and sixteen at once. Its place in the low bits tells equal ids apart.
        lanes = (count + 15) & ~15
        line = ids[begin : begin + lanes]
        for index in range(len(line)):  # what lies behind the ids counts as larger than all
            value = np.uint64(line[index]) << np.uint64(6) | np.uint64(index)
            copy[index] = value if index < count else LOW << np.uint64(6)
        for index in range(count):
            value = copy[index]
            rank = 0
            for other in range(lanes):
                rank += int(copy[other] < value)
            ids[begin + rank] = np.uint32(value >> np.uint64(6))
    last = begin
    for position in range(begin + 1, end):
        last += int(ids[position] != ids[last])
        ids[last] = ids[position]
    return last + 1
