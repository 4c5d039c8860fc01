"""Language rule: keeps captions in the wanted language, and stores the probability that they are.

A detector is unsure of a few words, and what it is unsure of is told by comparison and by context. On a page in the
wanted language a caption stays unless it is surely in another one; on a page in another language it has to be surely in
the wanted one. Where the page is not known, as in a list of addresses, a caption stays if its probability reaches
``threshold``; from ``low_threshold`` on it also stays when enough of its words are in a dictionary. Without a
dictionary (any language but English, or no query list with WordNet names) it stays where the wanted language ranks
first and is not too unlikely.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.text.detectors import detect
from pipeline.text.phrases import read_phrases
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import words

__all__ = ["LanguageRule", "dictionary_from_queries", "english_function_words"]

# Chosen on the captions of one manual in nine languages, and held against two others (docs/curation.md).
WITHOUT_DICTIONARY = 0.3
LEAST_FIRST = 0.15  # how likely the language that ranks first is to be, of a caption alone
SURELY_OTHER = 0.5  # from which on a caption on a page in the wanted language goes


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
        wanted, other = detect(self.detector, texts, self.language)
        same, foreign = self._pages(batch)
        first = wanted >= other
        keep = np.where(same, first | (other < SURELY_OTHER), wanted >= self.threshold)
        lone = ~same & ~foreign
        if self.dictionary:
            for row in np.flatnonzero(~keep & ~foreign & (same | (wanted >= self.low_threshold))):
                keep[row] = self._share(texts[row]) >= self.dictionary_share
        else:
            keep |= lone & ((first & (wanted >= LEAST_FIRST)) | (wanted >= min(self.threshold, WITHOUT_DICTIONARY)))
        return verdicts(rows, [("other_language", ~keep)]), {"p_english": pa.array(wanted)}

    def _pages(self, batch: pa.RecordBatch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which captions stand on a page in the wanted language, and which on one in another; neither where that is not
        known."""
        if "page_language" not in batch.schema.names:
            nowhere = np.zeros(batch.num_rows, bool)
            return nowhere, nowhere
        told = batch["page_language"].dictionary_encode()
        names = [(text or "").replace("_", "-").partition("-")[0].lower() for text in told.dictionary.to_pylist()]
        # Behind them what a null stands for.
        same = np.array([*(name == self.language for name in names), False])
        foreign = np.array([*(bool(name) and name != self.language for name in names), False])
        places = told.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        return same[places], foreign[places]

    def _share(self, text: str) -> float:
        """The share of a text's words that are in the dictionary, as they stand or without a final s; numbers are words
        of every language."""
        spoken = [word for word in words(text) if not word.isdigit()]
        found = [word in self.dictionary or word.removesuffix("s") in self.dictionary for word in spoken]
        return sum(found) / len(found) if found else 0.0
