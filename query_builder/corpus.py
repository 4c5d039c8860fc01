"""The merged counts of the whole dump, and how to ask them about one word or bigram.

In: the parts that the shards wrote, and the names that need numbers whatever their counts. Out: a :class:`Corpus`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from query_builder.count.part import RANGE_BITS, hash_column
from query_builder.count.shard import shard_folder
from query_builder.count.tokens import JOINTS
from query_builder.hash_table import Longs
from query_builder.kept import read_done
from query_builder.merge.bigram_rules import BigramRules
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
from query_builder.schema import REASONS
from query_builder.word_kinds import NUMBER, STOP, WordKinds
from query_builder.workers import Workers
from webimagetext.files import write_atomic
from webimagetext.lookup import places_among
from webimagetext.progress import Progress

__all__ = ["Corpus", "Thresholds", "Totals", "merge_corpus", "pages_of", "read_totals"]


@dataclass(frozen=True)
class Thresholds:
    """The least count of a word to be kept, the kinds of words to tell, what a bigram has to pass, and how many bigrams
    to keep."""

    kept_word: int
    kinds: WordKinds
    bigrams: BigramRules
    keep_bigrams: int


@dataclass(frozen=True)
class Totals:
    """Sums over all shards: the ledger of pages and damage, words, pairs, and the folders of the parts; and how often
    some word occurs at least, the most frequent one of a part."""

    ledger: dict[str, int]
    words: int
    pairs: int
    parts: tuple[str, ...]
    most: int = 0


def read_totals(work: str, shards: int) -> Totals:
    """Adds up what the finished shards noted."""
    ledger: dict[str, int] = {}
    words = pairs = most = 0
    parts: list[str] = []
    for number in range(shards):
        folder = shard_folder(work, number)
        done = read_done(folder)
        for name, count in done["ledger"].items():
            ledger[name] = ledger.get(name, 0) + count
        for index, part in enumerate(done["parts"]):
            words += part["words"]
            pairs += part["pairs"]
            most = max(most, part["most"])
            parts.append(os.path.join(folder, f"part-{index}"))
    return Totals(ledger, words, pairs, tuple(parts), most)


def pages_of(work: str, number: int) -> int:
    """The pages of a finished shard, of all kinds."""
    return int(read_done(shard_folder(work, number))["ledger"].get("pages", 0))


_NONE = np.empty(0, np.int64)


def _look_up(keys: npt.NDArray[Any], rows: npt.NDArray[np.int64], wanted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The row of each wanted key among the sorted keys, -1 where it is not."""
    at = places_among(keys, wanted)
    return np.where(at >= 0, rows[at], -1) if len(keys) else at


class Corpus:
    """Counts of the kept words and bigrams."""

    def __init__(
        self,
        words: Words,
        pair_rows: npt.NDArray[np.int64],
        bigrams: Bigrams,
        kinds: npt.NDArray[np.uint8],
        bigram_reasons: Mapping[str, int],
    ) -> None:
        self.words, self.pair_rows, self.bigrams = words, pair_rows, bigrams
        self.kinds = kinds  # of each word (query_builder/word_kinds.py)
        self.bigram_reasons = bigram_reasons  # how many distinct bigrams miss each rule; "" those that pass
        self.passed = bigrams.missed == 0  # which bigrams may take a bigram's place
        self._sorted, self._by_hash = _sorted(words.hashes)
        self._position = np.full(len(words.counts), -1, np.int64)
        self._position[pair_rows] = np.arange(len(pair_rows))
        keys = bigrams.first << WORD_BITS | bigrams.second
        self._bigram_order = np.argsort(keys)
        self._bigram_keys = keys[self._bigram_order]

    def rows(self, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For each name the row of its word, if it is one, and of its bigram, if it is two words; -1 where there is
        none."""
        split = pc.split_pattern(pa.array(names, pa.large_string()), " ")
        of_each = _look_up(self._sorted, self._by_hash, hash_column(split.values.cast(pa.large_binary())))
        starts = split.offsets.to_numpy()
        lengths = np.diff(starts)
        singles, doubles = np.flatnonzero(lengths == 1), np.flatnonzero(lengths == 2)
        words, bigrams = np.full(len(names), -1), np.full(len(names), -1)
        words[singles] = of_each[starts[singles]]
        first, second = (of_each[starts[doubles] + side] for side in (0, 1))
        a, b = (np.where(rows >= 0, self._position[rows], -1) for rows in (first, second))
        keys = np.where((a >= 0) & (b >= 0), a << WORD_BITS | b, -1)
        bigrams[doubles] = _look_up(self._bigram_keys, self._bigram_order, keys)
        return words, bigrams

    def counts_of(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """How often each name occurs as a word or, if it is two words, as a bigram; 0 where that was not counted."""
        counts = np.zeros(len(names), np.int64)
        for column, rows in zip((self.words.counts, self.bigrams.count), self.rows(names), strict=True):
            counts[rows >= 0] = column[rows[rows >= 0]]
        return counts

    def _forms(self, rows: npt.NDArray[np.int64], variants: npt.NDArray[np.int64]) -> pa.LargeStringArray:
        """How words are written: the most frequent way, or that of a smaller rank where a bigram has it so."""
        offsets = self.words.forms.offsets.to_numpy()
        starts, ends = offsets[rows], offsets[rows + 1]
        places = np.where(starts + variants < ends, starts + variants, starts)
        return self.words.forms.values.take(pa.array(places)).cast(pa.large_string())

    def word_surfaces(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """How the words at ``rows`` are most often written."""
        written: list[str] = self._forms(rows, np.zeros_like(rows)).to_pylist()
        return written

    def bigram_surfaces(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """How the bigrams at ``rows`` are most often written."""
        spelling = self.bigrams.spelling[rows].astype(np.int64)
        variants = spelling >> (VARIANT_BITS + JOINT_BITS), spelling >> JOINT_BITS & ((1 << VARIANT_BITS) - 1)
        first, second = (
            self._forms(self.pair_rows[side[rows]], variant)
            for side, variant in zip((self.bigrams.first, self.bigrams.second), variants, strict=True)
        )
        joints = pa.array(JOINTS, pa.large_string()).take(pa.array(spelling & ((1 << JOINT_BITS) - 1)))
        written: list[str] = pc.binary_join_element_wise(first, second, joints).to_pylist()
        return written

    def missed_by_words(self, floor: int) -> npt.NDArray[np.uint8]:
        """For each word the place in REASONS of the rule that keeps it from a word's place, 0 where none does."""
        missed = np.zeros(len(self.words.counts), np.uint8)
        for reason, misses in (
            ("number", self.kinds & NUMBER > 0),
            ("stop word", self.kinds & STOP > 0),
            ("rare", self.words.counts < floor),  # the last one told is the first that counts
        ):
            missed[misses] = REASONS.index(reason)
        return missed

    def ranked_words(self, floor: int, limit: int) -> list[str]:
        """The most frequent words with at least ``floor`` occurrences that no rule keeps out."""
        rows = np.flatnonzero(self.missed_by_words(floor) == 0)
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

    def ranked_bigrams(self, limit: int) -> Iterator[str]:
        """The best bigrams that pass the rules, best first."""
        passing = np.flatnonzero(self.passed)[:limit]
        for start in range(0, len(passing), 1 << 16):
            yield from self.bigram_texts(passing[start : start + (1 << 16)])


def _hashes(texts: Iterable[str]) -> Longs:
    return np.unique(_hash_each(texts))


def _hash_each(texts: Iterable[str]) -> Longs:
    return hash_column(pa.array(list(texts), pa.large_string()).cast(pa.large_binary()))


def _sorted(hashes: Longs) -> tuple[Longs, npt.NDArray[np.int64]]:
    order = np.argsort(hashes)
    return hashes[order], order


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
    kinds = thresholds.kinds.of(words.texts)
    pair_rows = np.flatnonzero((words.counts >= thresholds.bigrams.word) | np.isin(words.hashes, halves))
    sides = [_look_up(*_sorted(words.hashes[pair_rows]), _hash_each(part)) for part in zip(*doubles, strict=True)] or [
        _NONE,
        _NONE,
    ]
    known = (sides[0] >= 0) & (sides[1] >= 0)
    keys = np.unique((sides[0] << WORD_BITS | sides[1])[known].astype(np.uint64))
    count = prepare(folder, words, pair_rows, kinds[pair_rows], keys, totals.pairs)
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
        rules=thresholds.bigrams,
        keep=thresholds.keep_bigrams,
    )
    missed = np.zeros(len(REASONS), np.int64)
    with Progress("bigrams: merge", "ranges", count) as progress:
        for _, found in workers.map(merge_bigrams, [task(number) for number in range(count)]):
            missed += found
            progress.advance()
    bigrams = load_bigrams(folder, count, thresholds.keep_bigrams)
    return Corpus(words, pair_rows, bigrams, kinds, dict(zip(REASONS, missed.tolist(), strict=True)))
