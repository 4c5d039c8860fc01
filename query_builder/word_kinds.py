"""The kinds of words that are no query by themselves or make no bigram: function words, numbers, a user's stop words.

In: words in normal form. Out: bits for each. Of 70 bigrams of real articles with a function word one was judged a thing
that somebody might look for ("at bats"), of those that begin with a number and a blank none (docs/bigrams.md).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["FUNCTION", "NUMBER", "STOP", "WordKinds"]

FUNCTION, NUMBER, STOP = 1, 2, 4


@dataclass(frozen=True)
class WordKinds:
    """What to tell: function words, numbers (words of digits alone), and stop words, each where it is asked for."""

    function_words: frozenset[str] = frozenset()
    numbers: bool = False
    stop_words: frozenset[str] = frozenset()

    def of(self, words: pa.LargeBinaryArray) -> npt.NDArray[np.uint8]:
        """The kinds of each word, as bits."""
        texts = words.cast(pa.large_string())
        kinds = np.zeros(len(texts), np.uint8)
        for bit, listed in ((FUNCTION, self.function_words), (STOP, self.stop_words)):
            if listed:
                kinds |= np.asarray(pc.is_in(texts, pa.array(sorted(listed), pa.large_string()))) * np.uint8(bit)
        if self.numbers:
            kinds |= np.asarray(pc.utf8_is_decimal(texts)) * np.uint8(NUMBER)
        return kinds
