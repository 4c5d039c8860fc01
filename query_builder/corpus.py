"""The merged counts of the whole dump, and how to ask them about one word or bigram.

In: the parts that the shards wrote, and the names that need numbers whatever their counts. Out: a :class:`Corpus`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from query_builder.compiled import Longs, hash_text
from query_builder.count.part import RANGE_BITS
from query_builder.count.shard import shard_folder
from query_builder.count.tokens import JOINTS
from query_builder.merge.bigrams import (
    JOINT_BITS,
    VARIANT_BITS,
    WORD_BITS,
    BigramRangeTask,
    Bigrams,
    RenameTask,
    load_bigrams,
    merge_bigrams,
    prepare,
    rename_part,
)
from query_builder.merge.words import WordRangeTask, Words, load_words, merge_words
from query_builder.workers import Workers
from webimagetext.files import write_atomic
from webimagetext.progress import Progress

__all__ = ["Corpus", "Thresholds", "Totals", "merge_corpus", "read_totals"]


@dataclass(frozen=True)
class Thresholds:
    """Least counts: of a word to be kept and to be in a bigram, of a bigram; least PMI; how many bigrams to keep."""

    kept_word: int
    word: int
    bigram: int
    pmi: float
    keep_bigrams: int


@dataclass(frozen=True)
class Totals:
    """Sums over all shards: the ledger of pages and damage, words, pairs, and the folders of the parts."""

    ledger: dict[str, int]
    words: int
    pairs: int
    parts: tuple[str, ...]


def read_totals(work: str, shards: int) -> Totals:
    """Adds up what the finished shards noted."""
    ledger: dict[str, int] = {}
    words = pairs = 0
    parts: list[str] = []
    for number in range(shards):
        folder = shard_folder(work, number)
        with open(os.path.join(folder, "done.json"), encoding="utf-8") as file:
            done = json.load(file)
        for name, count in done["ledger"].items():
            ledger[name] = ledger.get(name, 0) + count
        for index, part in enumerate(done["parts"]):
            words += part["words"]
            pairs += part["pairs"]
            parts.append(os.path.join(folder, f"part-{index}"))
    return Totals(ledger, words, pairs, tuple(parts))


class Corpus:
    """Counts of the kept words and bigrams."""

    def __init__(self, words: Words, pair_rows: npt.NDArray[np.int64], bigrams: Bigrams, distinct_bigrams: int) -> None:
        self.words, self.pair_rows, self.bigrams, self.distinct_bigrams = words, pair_rows, bigrams, distinct_bigrams
        self._by_hash = np.argsort(words.hashes)
        self._sorted = words.hashes[self._by_hash]
        self._position = np.full(len(words.counts), -1, np.int64)
        self._position[pair_rows] = np.arange(len(pair_rows))
        keys = bigrams.first << WORD_BITS | bigrams.second
        self._bigram_order = np.argsort(keys)
        self._bigram_keys = keys[self._bigram_order]

    def word_row(self, word: str) -> int:
        """The row of a word, or -1 if it wasn't kept."""
        key = np.uint64(hash_text(word))
        at = int(np.searchsorted(self._sorted, key))
        return int(self._by_hash[at]) if at < len(self._sorted) and self._sorted[at] == key else -1

    def bigram_row(self, name: str) -> int:
        """The row of a bigram, or -1 if it wasn't kept."""
        first, _, second = name.partition(" ")
        rows = [self.word_row(word) for word in (first, second)]
        a, b = (int(self._position[row]) if row >= 0 else -1 for row in rows)
        if a < 0 or b < 0:
            return -1
        key = a << WORD_BITS | b
        at = int(np.searchsorted(self._bigram_keys, key))
        return int(self._bigram_order[at]) if at < len(self._bigram_keys) and self._bigram_keys[at] == key else -1

    def word_surface(self, row: int) -> str:
        """How a word is most often written."""
        return str(self.words.forms[row][0].as_py().decode())

    def bigram_surface(self, row: int) -> str:
        """How a bigram is most often written."""
        spelling = int(self.bigrams.spelling[row])
        texts = []
        for position, variant in (
            (self.bigrams.first[row], spelling >> (VARIANT_BITS + JOINT_BITS)),
            (self.bigrams.second[row], spelling >> JOINT_BITS & ((1 << VARIANT_BITS) - 1)),
        ):
            forms = self.words.forms[int(self.pair_rows[position])].as_py()
            texts.append(forms[variant if variant < len(forms) else 0].decode())
        return JOINTS[spelling & ((1 << JOINT_BITS) - 1)].join(texts)

    def ranked_words(self, floor: int, limit: int) -> list[str]:
        """The most frequent words with at least ``floor`` occurrences."""
        rows = np.flatnonzero(self.words.counts >= floor)
        texts = self.words.texts.take(pa.array(rows))
        order = pc.sort_indices(
            pa.table({"count": self.words.counts[rows], "text": texts.cast(pa.large_string())}),
            sort_keys=[("count", "descending"), ("text", "ascending")],
        )
        return [text.decode() for text in texts.take(order.slice(0, limit)).to_pylist()]

    def bigram_texts(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """The bigrams at ``rows`` in normal form."""
        columns = [
            self.words.texts.take(pa.array(self.pair_rows[side[rows]])).to_pylist()
            for side in (self.bigrams.first, self.bigrams.second)
        ]
        return [f"{a.decode()} {b.decode()}" for a, b in zip(*columns, strict=True)]

    def ranked_bigrams(self, floor: int, min_pmi: float, limit: int) -> Iterator[str]:
        """The best bigrams that pass the floors, best first."""
        passing = np.flatnonzero((self.bigrams.count >= floor) & (self.bigrams.pmi >= min_pmi))[:limit]
        for start in range(0, len(passing), 1 << 16):
            yield from self.bigram_texts(passing[start : start + (1 << 16)])


def _hashes(texts: Iterable[str]) -> Longs:
    return np.unique(np.array([hash_text(text) for text in texts], np.uint64))


def merge_corpus(folder: str, totals: Totals, names: Iterable[str], thresholds: Thresholds, workers: Workers) -> Corpus:
    """Merges the parts' words, then their bigrams. ``names`` get their numbers even below the thresholds."""
    split = [name.split(" ") for name in names]
    singles = _hashes(words[0] for words in split if len(words) == 1)
    doubles = [words for words in split if len(words) == 2]
    halves = _hashes(word for words in doubles for word in words)
    wanted = os.path.join(folder, "wanted.npy")
    with write_atomic(wanted) as stream:
        np.save(stream, np.union1d(singles, halves))
    ranges = [
        WordRangeTask(folder, number, totals.parts, thresholds.kept_word, wanted) for number in range(1 << RANGE_BITS)
    ]
    with Progress("words", "ranges", len(ranges)) as progress:
        for _ in workers.map(merge_words, ranges):
            progress.advance()
    words = load_words(folder)
    pair_rows = np.flatnonzero((words.counts >= thresholds.word) | np.isin(words.hashes, halves))
    position = {int(key): place for place, key in enumerate(words.hashes[pair_rows].tolist())} if doubles else {}
    keys = []
    for first, second in doubles:
        a, b = position.get(hash_text(first), -1), position.get(hash_text(second), -1)
        if a >= 0 and b >= 0:
            keys.append(a << WORD_BITS | b)
    count = prepare(folder, words, pair_rows, np.unique(np.array(keys, np.uint64)), totals.pairs)
    os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
    renames = [RenameTask(folder, number, part) for number, part in enumerate(totals.parts)]
    with Progress("bigrams: sort", "parts", len(renames)) as progress:
        for _ in workers.map(rename_part, renames):
            progress.advance()
    task = partial(
        BigramRangeTask,
        folder,
        runs=len(renames),
        total=totals.words,
        floor=thresholds.bigram,
        min_pmi=thresholds.pmi,
        keep=thresholds.keep_bigrams,
    )
    distinct = 0
    with Progress("bigrams: merge", "ranges", count) as progress:
        for _, found in workers.map(merge_bigrams, [task(number) for number in range(count)]):
            distinct += found
            progress.advance()
    return Corpus(words, pair_rows, load_bigrams(folder, count, thresholds.keep_bigrams), distinct)
