"""Blocked-words rule: captions that hold a word or phrase of the user's list, at whole words, in normal form."""

import functools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.match.fold import fold_words
from pipeline.match.mapped_file import Arrays
from pipeline.match.search import find_phrases
from pipeline.match.trie import build_trie
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import normalize

__all__ = ["BlockedWordsRule"]


@dataclass(frozen=True)
class BlockedWordsRule:
    """Drops captions that hold one of ``phrases``."""

    phrases: tuple[str, ...]
    name = "blocked_words"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        _, offsets = find_phrases(fold_words(captions(batch)), _trie(self.phrases))
        return verdicts(batch.num_rows, [("blocked_word", np.diff(offsets) > 0)]), {}


@functools.lru_cache(maxsize=8)
def _trie(phrases: tuple[str, ...]) -> Arrays:
    return build_trie(pa.array(sorted({normalize(phrase) for phrase in phrases} - {""}), pa.string()))
