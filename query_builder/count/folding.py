"""The normal form of written forms, compiled, for all letters that need no more than another letter in their place.

In: a column of forms. Out: a column of their words, and which rows that is right for; the others (letters that compose
with their neighbours, that are several, or part a word) go through :mod:`query_builder.normalize`, which also says,
once for each character that occurs, what stands for it. Where no letter that composes is followed by what it may
compose with, and no two combining marks follow each other, the normal form of the whole is that of its characters one
by one.
"""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from query_builder.clean.scan import put_code_point
from query_builder.count.tokens import code_point_at
from query_builder.hash_table import Bytes
from query_builder.normalize import words
from webimagetext.compiled import compiled

__all__ = ["Folded", "fold_forms"]

UNKNOWN, NONE = -2, -1
# A word by itself and never a part of one; a mark that changes places with others; what may compose with what follows,
# and with what is before it.
ALONE, REORDERED, FIRST, SECOND = 1, 2, 4, 8
HANGUL_JAMO = range(0x1100, 0x1200)
LAST_COMPOSED = 0x1E000  # there is no letter beyond that is composed of two
CONTEXT = "Σİ"  # what their small letters are depends on what follows
LONGEST = 1000  # bytes

Longs = npt.NDArray[np.int64]
Folded = tuple[Bytes, Longs, npt.NDArray[np.bool_]]  # letters, offsets, which rows are right


@cache
def _halves() -> tuple[frozenset[str], frozenset[str]]:
    """What may be the first half of a composed letter, or is composed itself, and what may be the second."""
    composed = {chr(cp): unicodedata.decomposition(chr(cp)) for cp in range(0xC0, LAST_COMPOSED)}
    pairs = {c: parts.split(" ") for c, parts in composed.items() if " " in parts and parts[0] != "<"}
    return (
        frozenset(chr(int(first, 16)) for first, _ in pairs.values()) | frozenset(pairs),
        frozenset(chr(int(second, 16)) for _, second in pairs.values()),
    )


class _Letters:
    """What stands for each character, found when it first occurs."""

    def __init__(self) -> None:
        self.folded = np.full(0x110000, UNKNOWN, np.int32)
        self.kinds = np.zeros(0x110000, np.uint8)

    def learn(self, code: int) -> None:
        """Finds what stands for a character, NONE where it needs the whole form to tell."""
        character = chr(code)
        found = words(character)
        self.folded[code] = NONE
        compatible = unicodedata.normalize("NFKC", character)
        if len(found) != 1 or len(found[0]) != 1 or compatible in CONTEXT or code in HANGUL_JAMO:
            return
        firsts, seconds = _halves()
        either = {character, found[0], compatible}
        self.kinds[code] = (FIRST if either & firsts else 0) | (SECOND if either & seconds else 0)
        if words(f"a{character}a") != [f"a{found[0]}a"]:
            self.kinds[code] |= ALONE
        if unicodedata.combining(character):
            self.kinds[code] |= REORDERED
        self.folded[code] = ord(found[0])


_LETTERS = _Letters()


@compiled
def _fold(
    data: Bytes,
    offsets: Longs,
    start: int,
    folded: npt.NDArray[np.int32],
    kinds: Bytes,
    out: Bytes,
    out_offsets: Longs,
    right: npt.NDArray[np.bool_],
) -> int:
    """Folds the rows from ``start``; returns the row at which an unknown character stands, else the number of rows."""
    for row in range(start, len(right)):
        first, end = offsets[row], offsets[row + 1]
        n, i, last, before = int(out_offsets[row]), int(first), np.uint8(0), np.uint8(0)
        right[row] = end - first <= LONGEST
        while i < end and right[row]:
            cp, width = np.int64(data[i]), 1
            if cp >= 0x80:
                cp, width = code_point_at(data, i)
            other, kind = folded[cp], kinds[cp]
            if other == UNKNOWN:
                return row
            composes = kind & SECOND and before & FIRST
            if other == NONE or composes or (kind & ALONE and end - first > width) or kind & last & REORDERED:
                right[row] = False
                break
            n, last, before = put_code_point(out, n, int(other)), kind, before | kind
            i += width
        out_offsets[row + 1] = n if right[row] else out_offsets[row]
    return len(right)


def fold_forms(data: Bytes, offsets: Longs) -> Folded:
    """The words of forms, where those are right; the rows that are not right are empty."""
    rows = len(offsets) - 1
    out = np.empty(2 * len(data) + 8, np.uint8)  # no letter of one byte gives one of more than two
    out_offsets, right = np.zeros(rows + 1, np.int64), np.zeros(rows, np.bool_)
    row = 0
    while (row := _fold(data, offsets, row, _LETTERS.folded, _LETTERS.kinds, out, out_offsets, right)) < rows:
        for character in set(data[offsets[row] : offsets[row + 1]].tobytes().decode()):
            if _LETTERS.folded[ord(character)] == UNKNOWN:
                _LETTERS.learn(ord(character))
    return out[: out_offsets[-1]], out_offsets, right
