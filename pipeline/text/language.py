"""Language rule: keeps captions in the wanted language, and stores the probability that they are.

A detector is unsure of two or three words. So a caption stays if its probability reaches ``threshold``; from
``low_threshold`` on it also stays when enough of its words are in a dictionary. Without a dictionary (any language but
English, or no query list with WordNet names) the lower threshold WITHOUT_DICTIONARY serves short captions best: at 0.5
half of the English ones would go.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.text.detectors import detect
from pipeline.text.phrases import read_phrases
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import words

__all__ = ["LanguageRule", "dictionary_from_queries", "english_function_words"]

WITHOUT_DICTIONARY = 0.3


@functools.cache
def english_function_words() -> frozenset[str]:
    """The articles, prepositions, pronouns and the like, which WordNet doesn't have."""
    return frozenset(read_phrases(str(Path(__file__).with_name("english_function_words.txt"))))


def dictionary_from_queries(queries: pa.Table) -> frozenset[str]:
    """The English words of a query list with columns query and sources: those in WordNet's names, and the function
    words.

    Empty when the list holds no WordNet names, for then it is no dictionary.
    """
    rows = zip(queries.column("query").to_pylist(), queries.column("sources").to_pylist(), strict=True)
    known = {word for query, sources in rows if "synset" in (sources or ()) for word in query.split()}
    return frozenset(known | english_function_words()) if known else frozenset()


@dataclass(frozen=True)
class LanguageRule:
    """Drops captions that are not in ``language`` and adds the column ``p_english``, the probability that they are.

    ``detector`` "off" drops nothing and adds a column of nulls.
    """

    detector: str
    language: str
    threshold: float
    low_threshold: float
    dictionary_share: float
    dictionary: frozenset[str]
    name = "language"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        rows = batch.num_rows
        if self.detector == "off":
            return pa.nulls(rows, pa.string()), {"p_english": pa.nulls(rows, pa.float32())}
        texts = captions(batch).to_pylist()
        probabilities = detect(self.detector, texts, self.language)
        keep = probabilities >= (self.threshold if self.dictionary else min(self.threshold, WITHOUT_DICTIONARY))
        if self.dictionary:
            for row in np.flatnonzero(~keep & (probabilities >= self.low_threshold)):
                keep[row] = self._share(texts[row]) >= self.dictionary_share
        return verdicts(rows, [("other_language", ~keep)]), {"p_english": pa.array(probabilities)}

    def _share(self, text: str) -> float:
        """The share of a text's words that are in the dictionary, as they stand or without a final s."""
        found = [word in self.dictionary or word.removesuffix("s") in self.dictionary for word in words(text)]
        return sum(found) / len(found) if found else 0.0
