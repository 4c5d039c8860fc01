"""Natural-language rule: captions that are codes, lists of numbers, one word over and over, or no words at all.

Two compiled passes: one over the characters of the texts, by a table of their kinds, one over the words of their normal
form.
"""

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.match.fold import Bytes, Offsets, decode, fold_column, raw_texts, readonly
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import IGNORABLE
from webimagetext.compiled import compiled

__all__ = ["NaturalRule"]

ENOUGH_WORDS = 6  # below, a repetition says little ("New York, New York")
# Kinds: letters and marks; what else may stand in a word or a code; what is passed over.
LETTER, DIGIT, UNSEEN = 1, 2, 3
TABLE_SIZE = 0x32400  # above, only tags and variation selectors are of a kind: unseen
FIRST_UNSEEN, LAST_UNSEEN = 0xE0000, 0xE0FFF
FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@functools.cache
def _kinds() -> Bytes:
    """The kind of each code point below TABLE_SIZE, 0 for one that is neither; of those that nobody sees UNSEEN."""
    of_category = {"L": LETTER, "M": LETTER, "N": DIGIT}
    kinds = bytearray(of_category.get(unicodedata.category(chr(code))[0], 0) for code in range(TABLE_SIZE))
    for code in range(TABLE_SIZE):
        if IGNORABLE.match(chr(code)):
            kinds[code] = UNSEEN
    kinds[ord("_")] = DIGIT
    return readonly(np.frombuffer(bytes(kinds), np.uint8))


@dataclass(frozen=True)
class NaturalRule:
    """Drops captions that are not language; a limit of 0 is none."""

    min_letter_share: float
    max_word_length: int
    min_distinct_share: float
    name = "natural"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        letters, solid, longest = self._characters(batch)
        reasons = [("no_words", letters == 0), ("few_letters", letters < self.min_letter_share * solid)]
        if self.max_word_length:
            reasons.append(("overlong_word", longest > self.max_word_length))
        if self.min_distinct_share:
            words, distinct = self._words(batch)
            reasons.append(("repeated_words", (words >= ENOUGH_WORDS) & (distinct < self.min_distinct_share * words)))
        return verdicts(batch.num_rows, reasons), {}

    def measures(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[np.generic]]:
        """What the limits are held against: of each caption the share of letters, the longest word and the share of
        different words, 1 for the empty text."""
        letters, solid, longest = self._characters(batch)
        words, distinct = self._words(batch)
        shares = [part / np.maximum(whole, 1) + (whole == 0) for part, whole in ((letters, solid), (distinct, words))]
        return {"letter_share": shares[0], "longest_word": longest, "distinct_share": shares[1]}

    def _characters(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Letters, characters that are no white space, and the longest word of each caption."""
        texts = captions(batch)
        counts = np.zeros((3, len(texts)), np.int64)
        _characters(*raw_texts(texts), _kinds(), *counts)
        return counts

    def _words(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Words and different words of each caption."""
        texts = captions(batch)
        counts = np.zeros((2, len(texts)), np.int64)
        _words(*fold_column(texts), *counts)
        return counts


@compiled
def _characters(
    data: Bytes, offsets: Offsets, kinds: Bytes, letters: Offsets, solid: Offsets, longest: Offsets
) -> None:
    """Counts, of each text, the letters and the characters that are no white space, and its longest run of letters and
    digits."""
    for row in range(len(letters)):
        position, stop = offsets[row], offsets[row + 1]
        run = 0
        while position < stop:
            code = np.int64(data[position])
            size = 1
            if code >= 0x80:
                code, size = decode(data, position)
            position += size
            if code < TABLE_SIZE:
                kind = np.int64(kinds[code])
            else:
                kind = np.int64(UNSEEN if FIRST_UNSEEN <= code <= LAST_UNSEEN else 0)
            if kind == UNSEEN:
                continue
            letters[row] += kind == LETTER
            solid[row] += not (code == 32 or 9 <= code <= 10 or 12 <= code <= 13)
            run = run + 1 if kind else 0
            longest[row] = max(longest[row], run)


@compiled
def _words(data: Bytes, offsets: Offsets, words: Offsets, distinct: Offsets) -> None:
    """Counts the words of each text in normal form, and the different ones among them, told apart by a hash of 64
    bits."""
    seen: npt.NDArray[np.uint64] = np.empty(64, np.uint64)
    for row in range(len(words)):
        position, stop = offsets[row], offsets[row + 1]
        found = 0
        while position < stop:
            value = FNV_OFFSET
            while position < stop and data[position] != 32:
                value = (value ^ np.uint64(data[position])) * FNV_PRIME
                position += 1
            position += 1
            words[row] += 1
            place = 0
            while place < found and seen[place] != value:
                place += 1
            if place == found:
                if found == len(seen):
                    more: npt.NDArray[np.uint64] = np.empty(2 * found, np.uint64)
                    more[:found] = seen
                    seen = more
                seen[found] = value
                found += 1
        distinct[row] = found
