"""Splits plain text into words and counts them and their neighbours, compiled.

In: UTF-8 text from the cleaner. Out, in a :class:`Counts`: every distinct form of a word as it is written (case kept),
how often it occurs, and one 64-bit key for every two forms that stand side by side with nothing but blanks, one hyphen
or nothing between.

The splitting agrees with :func:`query_builder.normalize.words`: a form is a piece of text that can be normalised by
itself. The normal form is computed once for each distinct form, not for each occurrence, which is where the speed comes
from.
"""

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from query_builder.hash_table import FNV_OFFSET, FNV_PRIME, MIX_1, ONE, SHIFT, Bytes, Longs
from query_builder.normalize import IGNORABLE, UNSPACED, words
from webimagetext.compiled import compiled

__all__ = ["JOINTS", "Counts", "code_point_at"]

BREAK, LETTER, MARK, ALONE, SPACE, HYPHEN, IGNORED = range(7)
# What may stand between the two words of a bigram, by the two lowest bits of its key: a blank, a hyphen, nothing.
JOINTS = (" ", "-", "")
NO_JOINT = 3
# A key is, from the high end, 31 bits for the first form, 31 for the second, 2 for the joint.
FIRST, SECOND = np.uint64(33), np.uint64(2)
FORM_MASK, JOINT_MASK = np.uint64((1 << 31) - 1), np.uint64(3)

# An entry of the table of forms: key, number of the form with the lowest bit set for a long one, occurrences, nothing.
SLOT, FORM, COUNT = 4, 1, 2
SHORT = 8  # bytes that fit in a key
FULLEST = 0.7

HYPHENS = "-\u2010\u2011"
FIRST_IDEOGRAPH, LAST_IDEOGRAPH = 0x3400, 0x9FFF
FIRST_HANGUL, LAST_HANGUL = 0xAC00, 0xD7A3
_SPLIT = re.compile(f"[{UNSPACED}]")
LAST_LISTED = 0x1FFFF  # beyond: ideographs up to 0x3FFFF, then only ignorable and unassigned code points


@cache
def letter_classes() -> Bytes:
    """The class of each code point (0x110000 bytes), derived from the normal form itself."""
    table = np.full(0x110000, BREAK, np.uint8)
    for cp in range(LAST_LISTED + 1):
        if FIRST_IDEOGRAPH <= cp <= LAST_IDEOGRAPH or FIRST_HANGUL <= cp <= LAST_HANGUL or 0xD800 <= cp < 0xF900:
            continue
        character = chr(cp)
        if IGNORABLE.match(character):
            table[cp] = IGNORED
            continue
        if character.isalnum():
            folded = unicodedata.normalize("NFKC", character)
            if folded.isalnum() and not _SPLIT.search(folded):
                table[cp] = LETTER
                continue
        else:
            category = unicodedata.category(character)
            if category == "Cn":
                continue
            if category[0] == "M" or unicodedata.combining(character):
                table[cp] = MARK
                continue
            if category == "Zs" or character == "\t":
                table[cp] = SPACE
                continue
            if character in HYPHENS:
                table[cp] = HYPHEN
                continue
        if normal := words(character):
            # A word of its own if it is split off on both sides, as the scripts without blanks are.
            alone = [*words("a" + character), *words(character + "a")] == ["a", *normal, *normal, "a"]
            table[cp] = ALONE if alone else LETTER
    table[FIRST_IDEOGRAPH : LAST_IDEOGRAPH + 1] = ALONE
    table[0x4DC0:0x4E00] = BREAK  # hexagram symbols
    table[FIRST_HANGUL : LAST_HANGUL + 1] = LETTER
    table[0x20000:0x40000] = ALONE
    table[0xE0000:0xE1000] = IGNORED
    return table


@compiled
def code_point_at(text: Bytes, i: int) -> tuple[np.int64, int]:
    """The code point at ``i``, one of two bytes or more, and its length."""
    c, d = np.int64(text[i]), np.int64(text[i + 1] & 63)
    if c < 0xE0:
        return (c & 31) << 6 | d, 2
    e = np.int64(text[i + 2] & 63)
    if c < 0xF0:
        return (c & 15) << 12 | d << 6 | e, 3
    return (c & 7) << 18 | d << 12 | e << 6 | np.int64(text[i + 3] & 63), 4


@compiled
def _slot(key: np.uint64, mask: np.uint64) -> np.uint64:
    """Where the search for a form's key begins."""
    mixed = (key ^ (key >> SHIFT)) * MIX_1
    return (mixed ^ (mixed >> SHIFT)) & mask


@compiled
def count_text(
    text: Bytes,
    length: int,
    classes: Bytes,
    slots: Longs,
    offsets: Longs,
    letters: Bytes,
    pairs: Longs,
    sizes: npt.NDArray[np.int64],
) -> None:
    """Counts the words of ``text[:length]``, which must be valid UTF-8. ``sizes``: how many forms and pairs so far.

    One long function on purpose: handing the arrays to another one for every word costs more than the counting.
    """
    forms, used = sizes[0], sizes[1]
    mask = np.uint64(len(slots) // SLOT - 1)
    previous, joint = np.int64(-1), NO_JOINT
    before = 0  # where the character before the present one began
    i = 0
    while i < length:
        cp, width = np.int64(text[i]), 1
        if cp >= 0x80:
            cp, width = code_point_at(text, i)
        kind = classes[cp]
        if kind == SPACE:
            joint = 0 if joint in (0, 2) else NO_JOINT
        elif kind == HYPHEN:
            joint = 1 if joint == 2 else NO_JOINT
        elif kind == BREAK:
            joint = NO_JOINT
        if kind in (SPACE, HYPHEN, BREAK, IGNORED):
            if kind != IGNORED:  # a mark after it goes with what stands before it
                before = i
            i += width
            continue
        # A combining mark after a separator may change it (= and a slash give one sign), so both go together.
        start = before if kind == MARK else i
        i += width
        while i < length:
            cp, width = np.int64(text[i]), 1
            if cp >= 0x80:
                cp, width = code_point_at(text, i)
            following = classes[cp]
            if following == MARK:
                kind = MARK  # marks that don't belong to an ideograph go with the letters after them
            elif following != IGNORED and (following != LETTER or kind == ALONE):
                break
            i += width
        # Up to eight bytes are their own key; of longer forms it is a hash, and the letters are compared.
        size = i - start
        key, is_long = np.uint64(0), np.uint64(size > SHORT)
        if is_long:
            key = FNV_OFFSET
            for k in range(start, i):
                key = (key ^ np.uint64(text[k])) * FNV_PRIME
        else:
            for k in range(start, i):
                key = key << np.uint64(8) | np.uint64(text[k])
        slot = _slot(key, mask)
        at = np.int64(slot) * SLOT
        while slots[at + COUNT]:
            if slots[at] == key and slots[at + FORM] & ONE == is_long:
                if not is_long:
                    break
                form = np.int64(slots[at + FORM] >> ONE)
                first = np.int64(offsets[form])
                k = size if np.int64(offsets[form + 1]) - first == size else -1
                while k > 0 and letters[first + k - 1] == text[start + k - 1]:
                    k -= 1
                if k == 0:
                    break
            slot = (slot + ONE) & mask
            at = np.int64(slot) * SLOT
        if not slots[at + COUNT]:
            slots[at] = key
            slots[at + FORM] = np.uint64(forms) << ONE | is_long
            first = np.int64(offsets[forms])
            for k in range(size):
                letters[first + k] = text[start + k]
            forms += 1
            offsets[forms] = np.uint64(first + size)
        slots[at + COUNT] += ONE
        form = np.int64(slots[at + FORM] >> ONE)
        if previous >= 0 and joint != NO_JOINT:
            pairs[used] = np.uint64(previous) << FIRST | np.uint64(form) << SECOND | np.uint64(joint)
            used += 1
        previous, joint = form, 2
        before = i
    sizes[0], sizes[1] = forms, used


@compiled
def _grow(old: Longs, new: Longs) -> None:
    """Moves the entries of a table to a larger one."""
    mask = np.uint64(len(new) // SLOT - 1)
    for at in range(0, len(old), SLOT):
        if old[at + COUNT]:
            slot = _slot(old[at], mask)
            while new[np.int64(slot) * SLOT + COUNT]:
                slot = (slot + ONE) & mask
            for k in range(SLOT):
                new[np.int64(slot) * SLOT + k] = old[at + k]


class Counts:
    """The growing counts of one part of a dump; :func:`count_text` writes into the arrays."""

    def __init__(self, max_pairs: int) -> None:
        self.pairs = np.empty(max_pairs, np.uint64)
        self.sizes = np.zeros(2, np.int64)
        self.slots = np.zeros(SLOT << 16, np.uint64)
        self.offsets = np.zeros((1 << 15) + 1, np.uint64)
        self.letters = np.empty(1 << 18, np.uint8)

    @property
    def forms(self) -> int:
        """How many distinct forms there are."""
        return int(self.sizes[0])

    @property
    def occurrences(self) -> npt.NDArray[np.int64]:
        """How often each form occurs."""
        table = self.slots.reshape(-1, SLOT)
        table = table[table[:, COUNT] > 0]
        counts = np.empty(len(table), np.int64)
        counts[(table[:, FORM] >> ONE).astype(np.int64)] = table[:, COUNT]
        return counts

    def has_room_for(self, length: int) -> bool:
        """Whether the pairs of a text of ``length`` bytes surely fit."""
        return int(self.sizes[1]) + length // 2 + 1 <= len(self.pairs)

    def _make_room(self, length: int) -> None:
        """Grows the vocabulary so that any text of ``length`` bytes fits."""
        forms, used = self.forms, int(self.offsets[self.sizes[0]])
        # At the worst every other byte is a new form; a form after a separator may take that along, hence the factor.
        need = forms + length // 2 + 2
        if need >= len(self.offsets):
            offsets = np.zeros(max(need, 2 * len(self.offsets)) + 1, np.uint64)
            offsets[: forms + 1] = self.offsets[: forms + 1]
            self.offsets = offsets
        if used + 2 * length > len(self.letters):
            letters = np.empty(max(used + 2 * length, 2 * len(self.letters)), np.uint8)
            letters[:used] = self.letters[:used]
            self.letters = letters
        size = len(self.slots)
        while FULLEST * (size // SLOT) < need:
            size *= 2
        if size > len(self.slots):
            slots = np.zeros(size, np.uint64)
            _grow(self.slots, slots)
            self.slots = slots

    def add(self, text: Bytes, length: int) -> None:
        """Counts one page's plain text. Its pairs must fit: ask :meth:`has_room_for` first."""
        self._make_room(length)
        classes = letter_classes()
        count_text(text, length, classes, self.slots, self.offsets, self.letters, self.pairs, self.sizes)
