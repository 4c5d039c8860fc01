"""Splits plain text into words and counts them and their neighbours, compiled.

In: UTF-8 text from the cleaner. Out, in a :class:`Counts`: every distinct form of a word as it is written (case kept), how often
it occurs, and one 64-bit key for every two forms that stand side by side with nothing but blanks, one hyphen or nothing between.

The splitting agrees with :func:`query_builder.normalize.words`: a form is a piece of text that can be normalised by itself. The
normal form is computed once for each distinct form, not for each occurrence, which is where the speed comes from.
"""

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from query_builder.compiled import Bytes, Longs, compiled, hash_bytes
from query_builder.normalize import UNSPACED, words

__all__ = ["JOINTS", "Counts", "count_text", "letter_classes", "pair_key"]

BREAK, LETTER, MARK, ALONE, SPACE, HYPHEN = range(6)
# What may stand between the two words of a bigram, by the two lowest bits of its key: a blank, a hyphen, nothing.
JOINTS = (" ", "-", "")
NO_JOINT = 3
FORM_BITS = 31  # a form's number has this many bits in a key: first form, second form, joint

HYPHENS = "-\u2010\u2011"
FIRST_IDEOGRAPH, LAST_IDEOGRAPH = 0x3400, 0x9FFF
FIRST_HANGUL, LAST_HANGUL = 0xAC00, 0xD7A3
_SPLIT = re.compile(f"[{UNSPACED}]")
LAST_LISTED = 0x1FFFF  # beyond: ideographs up to 0x3FFFF, then only marks and unassigned code points


@cache
def letter_classes() -> Bytes:
    """The class of each code point (0x110000 bytes), derived from the normal form itself."""
    table = np.full(0x110000, BREAK, np.uint8)
    for cp in range(LAST_LISTED + 1):
        if FIRST_IDEOGRAPH <= cp <= LAST_IDEOGRAPH or FIRST_HANGUL <= cp <= LAST_HANGUL or 0xD800 <= cp < 0xF900:
            continue
        character = chr(cp)
        category = unicodedata.category(character)
        if category[0] == "M" or unicodedata.combining(character):
            table[cp] = MARK
        elif category == "Zs" or character == "\t":
            table[cp] = SPACE
        elif character in HYPHENS:
            table[cp] = HYPHEN
        elif category[0] in "LN" and not unicodedata.decomposition(character) and not _SPLIT.match(character):
            table[cp] = LETTER
        elif category != "Cn" and words(character):
            # A character written without spaces is a word of its own: it is split off on both sides.
            split = [*words("a" + character), *words(character + "a")]
            table[cp] = ALONE if split == ["a", *words(character), *words(character), "a"] else LETTER
    table[FIRST_IDEOGRAPH : LAST_IDEOGRAPH + 1] = ALONE
    table[0x4DC0:0x4E00] = BREAK  # hexagram symbols
    table[FIRST_HANGUL : LAST_HANGUL + 1] = LETTER
    table[0x20000:0x40000] = ALONE
    table[0xE0100:0xE01F0] = MARK
    return table


@compiled
def pair_key(first: int, second: int, joint: int) -> np.uint64:
    """The key of two neighbouring forms."""
    return np.uint64(first) << np.uint64(33) | np.uint64(second) << np.uint64(2) | np.uint64(joint)


@compiled
def _intern(
    text: Bytes,
    start: int,
    end: int,
    slots: npt.NDArray[np.int32],
    hashes: Longs,
    offsets: Longs,
    letters: Bytes,
    size: int,
) -> int:
    """The number of the form ``text[start:end]``; ``size`` means that it is new and has just been added."""
    value = hash_bytes(text, start, end)
    mask = len(slots) - 1
    slot = np.int64(value & np.uint64(mask))
    while slots[slot] >= 0:
        form = slots[slot]
        if hashes[form] == value:
            at = np.int64(offsets[form])
            if np.int64(offsets[form + 1]) - at == end - start:
                k = 0
                while k < end - start and letters[at + k] == text[start + k]:
                    k += 1
                if k == end - start:
                    return form  # type: ignore[no-any-return]
        slot = (slot + 1) & mask
    slots[slot] = size
    hashes[size] = value
    at = np.int64(offsets[size])
    for k in range(end - start):
        letters[at + k] = text[start + k]
    offsets[size + 1] = np.uint64(at + end - start)
    return size


@compiled
def count_text(
    text: Bytes,
    length: int,
    classes: Bytes,
    slots: npt.NDArray[np.int32],
    hashes: Longs,
    offsets: Longs,
    letters: Bytes,
    occurrences: npt.NDArray[np.int64],
    pairs: Longs,
    sizes: npt.NDArray[np.int64],
) -> None:
    """Counts the words of ``text[:length]``, which must be valid UTF-8. ``sizes``: how many forms and pairs so far."""
    forms, used = sizes[0], sizes[1]
    previous, joint = -1, NO_JOINT
    before = 0  # where the character before the present one began
    i = 0
    while i < length:
        c = np.int64(text[i])
        if c < 0x80:
            cp, width = c, 1
        elif c < 0xE0:
            cp, width = (c & 31) << 6 | (text[i + 1] & 63), 2
        elif c < 0xF0:
            cp, width = (c & 15) << 12 | np.int64(text[i + 1] & 63) << 6 | (text[i + 2] & 63), 3
        else:
            cp = (c & 7) << 18 | np.int64(text[i + 1] & 63) << 12 | np.int64(text[i + 2] & 63) << 6 | (text[i + 3] & 63)
            width = 4
        kind = classes[cp]
        if kind == SPACE:
            joint = 0 if joint == 0 or joint == 2 else NO_JOINT
        elif kind == HYPHEN:
            joint = 1 if joint == 2 else NO_JOINT
        elif kind == BREAK:
            joint = NO_JOINT
        else:
            # A combining mark after a separator may change it (= and a slash give one sign), so both go together.
            start = before if kind == MARK else i
            i += width
            while i < length:
                c = np.int64(text[i])
                if c < 0x80:
                    cp, width = c, 1
                elif c < 0xE0:
                    cp, width = (c & 31) << 6 | (text[i + 1] & 63), 2
                elif c < 0xF0:
                    cp, width = (c & 15) << 12 | np.int64(text[i + 1] & 63) << 6 | (text[i + 2] & 63), 3
                else:
                    cp = (c & 7) << 18 | np.int64(text[i + 1] & 63) << 12
                    cp, width = cp | np.int64(text[i + 2] & 63) << 6 | (text[i + 3] & 63), 4
                following = classes[cp]
                if following == MARK:
                    kind = MARK  # marks that don't belong to an ideograph go with the letters after them
                elif following != LETTER or kind == ALONE:
                    break
                i += width
            form = _intern(text, start, i, slots, hashes, offsets, letters, forms)
            if form == forms:
                forms += 1
            occurrences[form] += 1
            if previous >= 0 and joint != NO_JOINT:
                pairs[used] = pair_key(previous, form, joint)
                used += 1
            previous, joint = form, 2
            before = i
            continue
        before = i
        i += width
    sizes[0], sizes[1] = forms, used


class Counts:
    """The growing counts of one part of a dump; :func:`count_text` writes into the arrays."""

    def __init__(self, max_pairs: int) -> None:
        self.pairs = np.empty(max_pairs, np.uint64)
        self.sizes = np.zeros(2, np.int64)
        self.slots = np.full(1 << 16, -1, np.int32)
        self.hashes = np.empty(1 << 15, np.uint64)
        self.offsets = np.zeros((1 << 15) + 1, np.uint64)
        self.occurrences = np.zeros(1 << 15, np.int64)
        self.letters = np.empty(1 << 18, np.uint8)

    @property
    def forms(self) -> int:
        """How many distinct forms there are."""
        return int(self.sizes[0])

    def has_room_for(self, length: int) -> bool:
        """Whether the pairs of a text of ``length`` bytes surely fit."""
        return int(self.sizes[1]) + length <= len(self.pairs)

    def make_room(self, length: int) -> None:
        """Grows the vocabulary so that any text of ``length`` bytes fits."""
        forms, used = self.forms, int(self.offsets[self.sizes[0]])
        # At the worst every letter is a new form; a form after a separator may take that along, hence the factor.
        need = forms + length // 2 + 2
        if need > len(self.hashes):
            size = max(need, 2 * len(self.hashes))
            for name in ("hashes", "occurrences"):
                old = getattr(self, name)
                new = np.zeros(size, old.dtype)
                new[:forms] = old[:forms]
                setattr(self, name, new)
            offsets = np.zeros(size + 1, np.uint64)
            offsets[: forms + 1] = self.offsets[: forms + 1]
            self.offsets = offsets
        if used + 2 * length > len(self.letters):
            letters = np.empty(max(used + 2 * length, 2 * len(self.letters)), np.uint8)
            letters[:used] = self.letters[:used]
            self.letters = letters
        if 2 * need > len(self.slots):
            slots = len(self.slots)
            while 2 * need > slots:
                slots *= 2
            self.slots = np.full(slots, -1, np.int32)
            _rehash(self.slots, self.hashes, forms)

    def add(self, text: Bytes, length: int) -> None:
        """Counts one page's plain text. Its pairs must fit: ask :meth:`has_room_for` first."""
        self.make_room(length)
        count_text(
            text, length, letter_classes(), self.slots, self.hashes, self.offsets, self.letters, self.occurrences,
            self.pairs, self.sizes,
        )  # fmt: skip


@compiled
def _rehash(slots: npt.NDArray[np.int32], hashes: Longs, forms: int) -> None:
    mask = len(slots) - 1
    for form in range(forms):
        slot = np.int64(hashes[form] & np.uint64(mask))
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = form
