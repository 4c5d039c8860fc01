"""Length rule: captions with too few or too many words or characters.

Source of the lower limits: the basic filter of DataComp (Gadre et al. 2023) keeps captions of more than two words and
more than five characters.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import fold_column
from pipeline.text.verdicts import captions, verdicts

__all__ = ["LengthRule"]


def word_counts(texts: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of words of each text, in the normal form's sense of a word."""
    data, offsets = fold_column(texts)
    spaces = np.concatenate([[0], np.cumsum(data == ord(" "))])
    lengths = np.diff(offsets)
    return np.where(lengths > 0, spaces[offsets[1:]] - spaces[offsets[:-1]] + 1, 0)


@dataclass(frozen=True)
class LengthRule:
    """Drops captions outside the limits; a limit of 0 is none."""

    min_words: int
    max_words: int
    min_characters: int
    max_characters: int
    name = "length"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        texts = captions(batch)
        words, characters = self.measures(batch).values()
        reasons = [
            ("too_few_words", words < self.min_words),
            ("too_few_characters", characters < self.min_characters),
            ("too_many_words", words > (self.max_words or np.inf)),
            ("too_many_characters", characters > (self.max_characters or np.inf)),
        ]
        return verdicts(len(texts), reasons), {}

    def measures(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[np.int64]]:
        """What the limits are held against: the words and the characters of each caption."""
        texts = captions(batch)
        return {"words": word_counts(texts), "characters": np.asarray(pc.utf8_length(texts))}
