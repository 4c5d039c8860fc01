"""What a bz2 block's bits say: the letters it uses, its Huffman codes, and the letters in the order that the transform
left them in.

In: a file's bits as words of 32, and a position. Out: numbers and tables, each with the position behind. All compiled;
nothing is read further than a few bytes beyond the end, whatever the bits are. The format is that of bzip2's source
code.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = [
    "DAMAGED",
    "FAST_BITS",
    "LONGEST_BLOCK",
    "LONGEST_CODE",
    "MOST_CODES",
    "MOST_GROUPS",
    "MOST_SYMBOLS",
    "RUN_SYMBOLS",
    "Numbers",
    "Words",
    "bits",
    "read_code",
    "read_letters",
    "read_selectors",
    "read_symbols",
    "signed",
]

LONGEST_BLOCK = 900_000  # bytes before runs are written out
MOST_CODES, MOST_SYMBOLS, GROUP, MOST_GROUPS = 6, 258, 50, 18_002
LONGEST_CODE, FAST_BITS = 20, 10
RUN_SYMBOLS = 2  # the two digits in which a run of the head's letter is written
LONGEST_RUN = 1 << 21
DAMAGED = -1

Words = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]


@compiled
def signed(value: np.integer[Any]) -> int:
    """An unsigned number as a signed one: of one of each, numba makes a float."""
    return np.int64(value)  # type: ignore[return-value]


@compiled
def bits(words: Words, at: int, count: int) -> int:
    """``count`` bits, 32 at most, from bit ``at``."""
    both = np.uint64(words[at >> 5]) << np.uint64(32) | np.uint64(words[(at >> 5) + 1])
    return signed(both << np.uint64(at & 31) >> np.uint64(64 - count))


@compiled
def read_letters(words: Words, at: int, ranks: Bytes) -> tuple[int, int]:
    """Writes the letters that a block uses to ``ranks``: how many they are, and the position behind."""
    rows, count = bits(words, at, 16), 0
    at += 16
    for row in range(16):
        if rows >> (15 - row) & 1:
            used = bits(words, at, 16)
            at += 16
            for column in range(16):
                if used >> (15 - column) & 1:
                    ranks[count] = 16 * row + column
                    count += 1
    return count, at


@compiled
def read_selectors(words: Words, at: int, end: int, codes: int, selectors: Bytes) -> tuple[int, int]:
    """Writes which code each group of symbols has: how many groups, and the position behind; DAMAGED for what is
    none."""
    groups = bits(words, at, 15)
    at += 15
    order = np.arange(MOST_CODES)
    for group in range(groups):
        rank = 0
        while rank < codes and bits(words, at, 1):
            rank, at = rank + 1, at + 1
        at += 1
        if rank == codes or at > end:
            return DAMAGED, at
        chosen = order[rank]
        for k in range(rank, 0, -1):
            order[k] = order[k - 1]
        order[0] = chosen
        if group < MOST_GROUPS:  # more than any block needs are allowed, and mean nothing
            selectors[group] = chosen
    return min(groups, MOST_GROUPS), at


@compiled
def read_code(
    words: Words,
    at: int,
    end: int,
    symbols: int,
    fast: npt.NDArray[np.uint16],
    limits: Numbers,
    bases: Numbers,
    sorted_: Numbers,
) -> int:
    """Reads the lengths of one code into its tables; returns the position behind, or DAMAGED.

    ``fast`` has, for the next FAST_BITS bits, the symbol and the length of its code, 0 for a longer one; for those
    ``limits`` has the largest code of each length, and ``sorted_`` the symbols, the first of a length's at its base.
    """
    lengths = np.zeros(MOST_SYMBOLS, np.int64)
    length = bits(words, at, 5)
    at += 5
    for symbol in range(symbols):
        while bits(words, at, 1):
            length += -1 if bits(words, at + 1, 1) else 1
            at += 2
            if not 1 <= length <= LONGEST_CODE or at > end:
                return DAMAGED
        at += 1
        if not 1 <= length <= LONGEST_CODE:
            return DAMAGED
        lengths[symbol] = length
    fast[:] = 0
    code = place = 0
    for length in range(1, LONGEST_CODE + 1):
        bases[length] = code - place
        for symbol in range(symbols):
            if lengths[symbol] != length:
                continue
            if code >> length:
                return DAMAGED
            sorted_[place] = symbol
            if length <= FAST_BITS:
                first = code << (FAST_BITS - length)
                for k in range(first, first + (1 << (FAST_BITS - length))):
                    fast[k] = symbol << 5 | length
            code, place = code + 1, place + 1
        limits[length] = code - 1
        code <<= 1
    return at


@compiled
def read_symbols(
    words: Words,
    at: int,
    end: int,
    symbols: int,
    groups: int,
    selectors: Bytes,
    ranks: Bytes,
    fast: npt.NDArray[np.uint16],
    limits: Numbers,
    bases: Numbers,
    sorted_: Numbers,
    letters: Words,
    numbers: Numbers,
) -> tuple[int, int]:
    """Writes the letters that the symbols stand for, and how often each occurs to ``numbers``: how many letters, and
    the position behind; DAMAGED where they never end."""
    place = at >> 5
    window = np.uint64(words[place]) << np.uint64(32 + (at & 31))
    have, place, n = 32 - (at & 31), place + 1, 0
    run, digit = 0, 1
    last = symbols - 1
    for group in range(groups):
        code = selectors[group]
        table = fast[code]
        for _ in range(GROUP):
            if have < 32:
                window |= np.uint64(words[place]) << np.uint64(32 - have)
                have, place = have + 32, place + 1
                if place << 5 > end + 96:
                    return DAMAGED, at
            entry = table[window >> np.uint64(64 - FAST_BITS)]
            length, symbol = signed(entry & 31), signed(entry >> 5)
            if not length:
                length = FAST_BITS + 1
                while length <= LONGEST_CODE and signed(window >> np.uint64(64 - length)) > limits[code, length]:
                    length += 1
                if length > LONGEST_CODE:
                    return DAMAGED, at
                index = signed(window >> np.uint64(64 - length)) - bases[code, length]
                if index < 0 or index >= symbols:
                    return DAMAGED, at
                symbol = sorted_[code, index]
            window <<= np.uint64(length)
            have -= length
            if symbol < RUN_SYMBOLS:
                run += digit << symbol
                digit <<= 1
                if digit > LONGEST_RUN:
                    return DAMAGED, at
                continue
            if run:
                if n + run > LONGEST_BLOCK:
                    return DAMAGED, at
                head = ranks[0]
                numbers[head] += run
                for k in range(n, n + run):
                    letters[k] = head
                n, run, digit = n + run, 0, 1
            if symbol == last:
                return n, (place << 5) - have
            rank = np.uint64(symbol - 1)
            letter = ranks[rank]
            while rank > np.uint64(0):
                ranks[rank] = ranks[rank - np.uint64(1)]
                rank -= np.uint64(1)
            ranks[0] = letter
            if n >= LONGEST_BLOCK:
                return DAMAGED, at
            letters[n] = letter
            numbers[letter] += 1
            n += 1
    return DAMAGED, at
