"""Natural-language rule: captions that are codes, lists of numbers, one word over and over, or no words at all."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.length import word_counts
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import words

__all__ = ["NaturalRule"]

LETTER = r"[\p{L}\p{M}]"
ENOUGH_WORDS = 6  # below, a repetition says little ("New York, New York")


@dataclass(frozen=True)
class NaturalRule:
    """Drops captions that are not language; a limit of 0 is none."""

    min_letter_share: float
    max_word_length: int
    min_distinct_share: float
    name = "natural"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        texts = captions(batch)
        solid = np.asarray(pc.count_substring_regex(texts, r"\S"))
        letters = np.asarray(pc.count_substring_regex(texts, LETTER))
        reasons = [("no_words", letters == 0), ("few_letters", letters < self.min_letter_share * solid)]
        if self.max_word_length:
            longest = rf"[\p{{L}}\p{{M}}\p{{N}}_]{{{self.max_word_length + 1}}}"
            reasons.append(("overlong_word", np.asarray(pc.match_substring_regex(texts, longest))))
        if self.min_distinct_share:
            reasons.append(("repeated_words", self._repeats(texts)))
        return verdicts(len(texts), reasons), {}

    def _repeats(self, texts: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which texts have too few different words."""
        counts = word_counts(texts)
        answer = np.zeros(len(texts), bool)
        for row in np.flatnonzero(counts >= ENOUGH_WORDS):
            answer[row] = len(set(words(texts[row].as_py()))) < self.min_distinct_share * counts[row]
        return answer
