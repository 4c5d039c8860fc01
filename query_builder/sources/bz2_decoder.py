"""Decompresses bz2 blocks, several beside each other: the step that reading a dump takes most of its time for.

In: bytes and the bits at which blocks begin. Out: each block's text and the bit behind it; none for a block that it
doesn't take, one that is damaged for instance, which Python's own decoder then judges. The format is that of bzip2's
source code: a table of the letters used, up to six Huffman codes that take turns every fifty symbols, ranks in a list
whose head is the last letter, the Burrows-Wheeler transform, runs of equal letters, a check sum.

Turning the transform round follows one chain through megabytes from end to end, and each step waits for the memory.
Here the chains of up to ``LANES`` blocks are followed in turn, so that their waiting overlaps.
"""

from collections.abc import Sequence

import numpy as np

from query_builder.hash_table import Bytes
from query_builder.sources.bz2_symbols import (
    DAMAGED,
    FAST_BITS,
    LONGEST_BLOCK,
    LONGEST_CODE,
    MOST_CODES,
    MOST_GROUPS,
    MOST_SYMBOLS,
    RUN_SYMBOLS,
    Numbers,
    Words,
    bits,
    read_code,
    read_letters,
    read_selectors,
    read_symbols,
    signed,
)
from webimagetext.compiled import compiled

__all__ = ["LANES", "BlockDecoder"]

LANES = 16
ROOM = 2 * LONGEST_BLOCK  # of a block's text; what doesn't fit (a file of blanks) is not taken
HEADER_BITS = 48 + 32  # signature, check sum
MARGIN = 64  # bytes behind the end that are read before a block is found to be cut off
LETTERS = 256
POLYNOMIAL = 0x04C11DB7


def _check_tables() -> Words:
    """For each byte the check sum of it alone, and of it with 1 to 7 zeros behind."""
    table = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (POLYNOMIAL if value >> 31 else 0)
            value &= 0xFFFFFFFF
        table[0, byte] = value
    for zeros in range(1, 8):
        before = table[zeros - 1]
        table[zeros] = before << np.uint32(8) ^ table[0, before >> np.uint32(24)]
    return table


_CHECK = _check_tables()


@compiled
def _read_block(words: Words, at: int, end: int, chain: Words) -> tuple[int, int, int]:
    """Makes the ``chain`` of the block at ``at``, each entry a letter and, above it, the place of the next: how long it
    is, the entry that it begins with, and the position behind the block. DAMAGED for one that is not right."""
    randomised, origin = bits(words, at, 1), bits(words, at + 1, 24)
    ranks, numbers = np.empty(LETTERS, np.uint8), np.zeros(LETTERS, np.int64)
    letters, at = read_letters(words, at + 25, ranks)
    codes = bits(words, at, 3)
    if randomised or not letters or not 2 <= codes <= MOST_CODES or at > end:
        return DAMAGED, 0, at
    selectors = np.empty(MOST_GROUPS, np.uint8)
    groups, at = read_selectors(words, at + 3, end, codes, selectors)
    symbols = letters + RUN_SYMBOLS
    fast = np.empty((MOST_CODES, 1 << FAST_BITS), np.uint16)
    limits = np.empty((MOST_CODES, LONGEST_CODE + 1), np.int64)
    bases = np.empty((MOST_CODES, LONGEST_CODE + 1), np.int64)
    sorted_ = np.zeros((MOST_CODES, MOST_SYMBOLS), np.int64)
    for code in range(codes):
        if groups <= 0 or at > end:
            return DAMAGED, 0, at
        at = read_code(words, at, end, symbols, fast[code], limits[code], bases[code], sorted_[code])
        if at < 0:
            return DAMAGED, 0, at
    n, at = read_symbols(
        words, at, end, symbols, groups, selectors, ranks, fast, limits, bases, sorted_, chain, numbers
    )
    if n <= 0 or origin >= n or at > end:
        return DAMAGED, 0, at
    total = 0
    for letter in range(LETTERS):
        total, numbers[letter] = total + numbers[letter], total
    for place in range(n):
        letter = chain[place] & np.uint32(255)
        chain[numbers[letter]] |= np.uint32(place << 8)
        numbers[letter] += 1
    return n, signed(chain[origin] >> np.uint32(8)), at


@compiled
def _follow(chains: Words, lengths: Numbers, places: Numbers, out: Bytes) -> None:
    """Writes the letters along all chains, a step of each in turn; the lengths are spent."""
    lanes, width = len(lengths), chains.shape[1]
    active, done = np.empty(lanes, np.int64), np.zeros(lanes, np.int64)
    flat, written = chains.ravel(), out.ravel()
    while True:
        count, steps = 0, width
        for lane in range(lanes):
            if lengths[lane] > 0:
                active[count] = lane
                count, steps = count + 1, min(steps, lengths[lane])
        if not count:
            return
        for step in range(steps):
            for k in range(count):
                lane = active[k]
                entry = flat[np.uint64(lane * width + places[lane])]
                written[np.uint64(lane * width + done[lane] + step)] = np.uint8(entry & np.uint32(255))
                places[lane] = signed(entry >> np.uint32(8))
        for k in range(count):
            lengths[active[k]] -= steps
            done[active[k]] += steps


@compiled
def _write_runs(letters: Bytes, length: int, out: Bytes) -> int:
    """Writes out the runs: behind four equal letters a byte says how many more there are. Returns the length of the
    text, or DAMAGED if it doesn't fit or the last run has no number."""
    n, equal, before = 0, 0, -1
    place = 0
    while place < length:
        letter = letters[place]
        place += 1
        equal = equal + 1 if letter == before else 1
        before = signed(letter)
        if n + 256 > len(out):
            return DAMAGED
        out[n] = letter
        n += 1
        if equal == 4:
            if place == length:
                return DAMAGED
            for _ in range(letters[place]):
                out[n] = letter
                n += 1
            place, equal, before = place + 1, 0, -1
    return n


@compiled
def _check_sum(text: Bytes, length: int, tables: Words) -> int:
    """bzip2's check sum: CRC-32, the highest bit first."""
    value, at = 0xFFFFFFFF, 0
    while at + 8 <= length:
        value ^= signed(text[at]) << 24 | signed(text[at + 1]) << 16 | signed(text[at + 2]) << 8 | signed(text[at + 3])
        value = signed(
            tables[7, value >> 24]
            ^ tables[6, value >> 16 & 255]
            ^ tables[5, value >> 8 & 255]
            ^ tables[4, value & 255]
            ^ tables[3, text[at + 4]]
            ^ tables[2, text[at + 5]]
            ^ tables[1, text[at + 6]]
            ^ tables[0, text[at + 7]]
        )
        at += 8
    while at < length:
        value = (value << 8 & 0xFFFFFFFF) ^ signed(tables[0, value >> 24 ^ text[at]])
        at += 1
    return value ^ 0xFFFFFFFF


@compiled
def _read_all(words: Words, end: int, starts: Numbers, chains: Words, letters: Bytes, behind: Numbers) -> Numbers:
    """Reads the blocks at ``starts`` into ``letters``; their lengths, DAMAGED for those that are not right, and in
    ``behind`` the positions behind them."""
    lengths, places = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    for lane in range(len(starts)):
        lengths[lane], places[lane], behind[lane] = _read_block(words, starts[lane] + HEADER_BITS, end, chains[lane])
    _follow(chains, lengths.copy(), places, letters)
    return lengths


class BlockDecoder:
    """Room for LANES blocks, used again and again."""

    def __init__(self) -> None:
        self._chains = np.empty((LANES, LONGEST_BLOCK), np.uint32)
        self._letters = np.empty((LANES, LONGEST_BLOCK), np.uint8)
        self._text = np.empty(ROOM, np.uint8)

    def decode(self, data: bytes, starts: Sequence[int]) -> list[tuple[bytes, int] | None]:
        """For the block that begins at each bit of ``starts`` (at most LANES, each 80 bits or more before the end of
        ``data``) its text and the bit behind it; None for one that isn't whole and right, or too long for the room."""
        words = np.frombuffer(data + bytes(MARGIN + -len(data) % 4), ">u4").astype(np.uint32)
        behind = np.zeros(len(starts), np.int64)
        lengths = _read_all(words, 8 * len(data), np.array(starts, np.int64), self._chains, self._letters, behind)
        found: list[tuple[bytes, int] | None] = []
        for lane, (start, length, end) in enumerate(zip(starts, lengths.tolist(), behind.tolist(), strict=True)):
            size = _write_runs(self._letters[lane], length, self._text) if length > 0 else DAMAGED
            right = size >= 0 and _check_sum(self._text, size, _CHECK) == bits(words, start + 48, 32)
            found.append((self._text[:size].tobytes(), end) if right else None)
        return found
