"""Adds up the bigrams of all parts in bounded memory: rename and sort each part, then merge one range of first words at
a time.

In: the parts' pairs of neighbouring forms, and the words that bigrams may have. Out: the bigrams that pass the rules
(query_builder/merge/bigram_rules.py), beside them near misses and those asked for, best first, with how they are most
often written, and how many each rule took out. A key holds first word, second word, the written form of each and what
stands between, so that one sort brings all spellings of a bigram together.
"""

import io
import itertools
import os
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from query_builder.count.part import decode_runs, encode_runs, hash_column, read_forms
from query_builder.count.tokens import FIRST, FORM_MASK, JOINT_MASK, JOINTS, SECOND
from query_builder.hash_table import Bytes, Longs
from query_builder.kept import is_kept, write_note
from query_builder.merge.bigram_rules import BigramRules, pointwise
from query_builder.merge.words import MAX_VARIANTS, Words
from query_builder.schema import REASONS
from query_builder.sources.pageviews import sum_by_key
from webimagetext.compiled import compiled
from webimagetext.files import write_atomic
from webimagetext.lookup import places_among
from webimagetext.sealed import SEAL_BYTES, Sealing

__all__ = [
    "BigramRangeTask",
    "Bigrams",
    "RenameTask",
    "load_bigrams",
    "merge_bigrams",
    "prepare",
    "rename_part",
]

PAIRS_A_RANGE = 3_000_000  # entries of all parts that one merge holds: about 120 MB at its peak
WORD_BITS, VARIANT_BITS, JOINT_BITS = 27, 3, 2
SPELLING_BITS = 2 * VARIANT_BITS + JOINT_BITS
SPELLING = np.uint64(SPELLING_BITS)
SPELLING_MASK = np.uint64((1 << SPELLING_BITS) - 1)
WORD_MASK = np.uint64((1 << WORD_BITS) - 1)


@dataclass(frozen=True)
class RenameTask:
    """One part, to be written in the words' common numbers; ``number`` names its run."""

    folder: str
    number: int
    part: str


@dataclass(frozen=True)
class BigramRangeTask:
    """One range of first words over all runs. ``total`` is the number of words in the dump, for the PMI."""

    folder: str
    number: int
    runs: int
    total: int
    rules: BigramRules
    keep: int


@dataclass(frozen=True)
class Bigrams:
    """Bigrams, best first: the rows of both words, count, PMI in bits, score, the most frequent spelling's bits, and
    the place in REASONS of the rule that a bigram misses (0: it passes)."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    pmi: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    spelling: npt.NDArray[np.int64]
    missed: npt.NDArray[np.uint8]

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """The rows, best first."""
        return np.lexsort((self.second, self.first, -self.count, -self.score))

    def take(self, rows: npt.NDArray[np.int64]) -> "Bigrams":
        """The bigrams at ``rows``."""
        return Bigrams(*(getattr(self, name)[rows] for name in _COLUMNS))


_COLUMNS = ("first", "second", "count", "pmi", "score", "spelling", "missed")


def _run_path(folder: str, number: int) -> str:
    return os.path.join(folder, "runs", f"{number:05}")


def bigrams_path(folder: str, number: int) -> str:
    """Where a range's bigrams lie."""
    return os.path.join(folder, "bigrams", f"{number:05}.npz")


def prepare(
    folder: str, words: Words, rows: npt.NDArray[np.int64], kinds: npt.NDArray[np.uint8], wanted: Longs, pairs: int
) -> int:
    """Writes what the tasks need: the words' hashes, counts and kinds, their forms, and the ranges of first words.
    Returns their number.

    ``rows`` are the words that bigrams may have, and ``kinds`` theirs; ``wanted`` are keys ``first << 27 | second``
    (positions in ``rows``) to keep at any count; ``pairs`` is the number of pairs in all parts.
    """
    counts = words.counts[rows]
    lists = words.forms.take(rows)
    lengths = np.diff(lists.offsets.to_numpy())
    ranks = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    form_hashes = hash_column(lists.flatten())
    order = np.argsort(form_hashes, kind="stable")
    # Ranges of first words with about the same number of occurrences, hence of pairs.
    ranges = max(1, -(-pairs // PAIRS_A_RANGE))
    cumulative = np.cumsum(counts)
    goals = cumulative[-1] * np.arange(1, ranges) // ranges if len(counts) else np.empty(0, np.int64)
    cuts = np.unique(np.searchsorted(cumulative, goals, side="right"))
    # The 0 at the end of the ranks is that of a form that is not found, at place -1.
    with write_atomic(os.path.join(folder, "pair_words.npz")) as stream:
        np.savez(
            stream, hashes=words.hashes[rows], counts=counts, kinds=kinds, cuts=cuts, wanted=wanted,
            form_hashes=form_hashes[order], form_ranks=np.append(ranks[order], 0).astype(np.uint8),
        )  # fmt: skip
    return len(cuts) + 1


@lru_cache(1)
def _pair_words(folder: str, inode: int) -> dict[str, npt.NDArray[np.generic]]:
    with np.load(os.path.join(folder, "pair_words.npz")) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _load(folder: str) -> dict[str, npt.NDArray[np.generic]]:
    return _pair_words(folder, os.stat(os.path.join(folder, "pair_words.npz")).st_ino)


@compiled
def _rename(keys: Longs, counts: npt.NDArray[np.int64], word: npt.NDArray[np.int64], variant: Bytes) -> int:
    n = 0
    for index in range(len(keys)):
        key = keys[index]
        a, b = np.int64(key >> FIRST), np.int64(key >> SECOND & FORM_MASK)
        if word[a] >= 0 and word[b] >= 0:
            spelling = np.uint64(variant[a]) << np.uint64(VARIANT_BITS + JOINT_BITS) | np.uint64(
                variant[b]
            ) << np.uint64(JOINT_BITS)
            words = np.uint64(word[a]) << np.uint64(WORD_BITS) | np.uint64(word[b])
            keys[n] = words << SPELLING | spelling | key & JOINT_MASK
            counts[n] = counts[index]
            n += 1
    return n


def rename_part(task: RenameTask) -> None:
    """Writes a part's pairs as a run in the words' common numbers, cut at the ranges, unless that has been done."""
    path = _run_path(task.folder, task.number)
    if is_kept(path):
        return
    shared = _load(task.folder)
    table = read_forms(task.part)
    word = places_among(shared["hashes"], hash_column(table.words))
    form = places_among(shared["form_hashes"], hash_column(table.forms))
    variant = np.where(form >= 0, shared["form_ranks"][form], MAX_VARIANTS).astype(np.uint8)
    size = _number_of_pairs(task.part)
    keys, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
    decode_runs(np.fromfile(os.path.join(task.part, "pairs.bin"), np.uint8), keys, counts)
    n = _rename(keys, counts, word, variant)
    keys, counts = sum_by_key(keys[:n], counts[:n])
    starts = shared["cuts"].astype(np.uint64) << np.uint64(WORD_BITS + SPELLING_BITS)
    cuts = [0, *np.searchsorted(keys, starts).tolist(), len(keys)]
    out = np.empty(15 * max((b - a for a, b in itertools.pairwise(cuts)), default=0), np.uint8)
    sizes = np.zeros((len(cuts) - 1, 2), np.int64)
    with write_atomic(path) as stream:
        sealing = Sealing(stream)
        for number, (start, end) in enumerate(itertools.pairwise(cuts)):
            length = encode_runs(keys[start:end], counts[start:end], out)
            sizes[number] = end - start, length
            sealing.write(out[:length].tobytes())
        sealing.write(sizes.tobytes())
        sealing.close()


def _number_of_pairs(part: str) -> int:
    with open(os.path.join(part, "pairs.size"), encoding="ascii") as file:
        return int(file.read())


def _read_run(path: str, ranges: int, number: int) -> tuple[Longs, npt.NDArray[np.int64]]:
    """The entries of one range of a run: all ranges stand one after the other, and behind them how many entries and
    bytes each has."""
    with open(path, "rb") as file:
        file.seek(-(ranges * 16 + SEAL_BYTES), os.SEEK_END)
        sizes = np.frombuffer(file.read(ranges * 16), np.int64).reshape(-1, 2)
        file.seek(int(sizes[:number, 1].sum()))
        data = np.frombuffer(file.read(int(sizes[number, 1])), np.uint8)
    size = int(sizes[number, 0])
    keys, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
    decode_runs(data, keys, counts)
    return keys, counts


def merge_bigrams(task: BigramRangeTask) -> npt.NDArray[np.int64]:
    """Merges one range, unless that has been done; returns how many distinct bigrams miss each rule of REASONS."""
    path = bigrams_path(task.folder, task.number)
    if not is_kept(path):
        shared = _load(task.folder)
        runs = [_read_run(_run_path(task.folder, n), len(shared["cuts"]) + 1, task.number) for n in range(task.runs)]
        keys, counts = (np.concatenate(columns) for columns in zip(*runs, strict=True))
        del runs
        keys, counts = sum_by_key(keys, counts)
        bigrams, missed = _rank(keys, counts, shared, task)
        content = io.BytesIO()
        np.savez(content, counts=missed, **{name: getattr(bigrams, name) for name in _COLUMNS})
        write_note(path, content.getvalue())
    with np.load(path) as arrays:
        return np.asarray(arrays["counts"])


def _rank(
    keys: Longs, counts: npt.NDArray[np.int64], shared: dict[str, npt.NDArray[np.generic]], task: BigramRangeTask
) -> tuple[Bigrams, npt.NDArray[np.int64]]:
    """Sums the spellings of each bigram, and keeps the best that pass, the best of the others, and the wanted ones;
    counts those that miss each rule."""
    pairs = keys >> SPELLING
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])) if len(pairs) else np.empty(0, np.int64)
    totals = np.add.reduceat(counts, starts) if len(starts) else np.empty(0, np.int64)
    distinct = len(starts)
    first, second = (
        (pairs[starts] >> np.uint64(WORD_BITS)).astype(np.int64),
        (pairs[starts] & WORD_MASK).astype(np.int64),
    )
    hyphens = np.where(keys & JOINT_MASK == JOINTS.index("-"), counts, 0)
    hyphened = 2 * np.add.reduceat(hyphens, starts) > totals if len(starts) else np.empty(0, np.bool_)
    words, kinds = shared["counts"].astype(np.int64), shared["kinds"].astype(np.uint8)
    pmi = pointwise(totals, words[first], words[second], task.total)
    missed = task.rules.missed(
        (totals, words[first], words[second]), pmi, (kinds[first], kinds[second]), hyphened, task.total
    )
    score = task.rules.score(totals, pmi, task.total)
    found = Bigrams(first, second, totals, pmi, score, np.zeros(distinct, np.int64), missed)
    wanted = places_among(shared["wanted"], pairs[starts]) >= 0
    passed = missed == 0
    near = ~passed & (totals >= max(2, task.rules.bigram // 2))
    told = np.flatnonzero(passed | near | wanted)  # few of all, and only these are put in order
    order = told[found.take(told).order]
    rows = order[_kept(passed[order], near[order], wanted[order], task.keep)]
    # The most frequent spelling of each, the first of equals. Forms that are not told apart count as one spelling.
    chosen = np.zeros(distinct, np.bool_)
    chosen[rows] = True
    group = np.repeat(np.arange(distinct), np.diff(np.append(starts, len(keys))))
    entries = np.flatnonzero(chosen[group])
    entries = entries[np.lexsort((keys[entries], -counts[entries], group[entries]))]
    best_entry = entries[np.searchsorted(group[entries], rows)]
    spelling = (keys[best_entry] & SPELLING_MASK).astype(np.int64)
    return replace(found.take(rows), spelling=spelling), np.bincount(missed, minlength=len(REASONS))


def _kept(
    passed: npt.NDArray[np.bool_], near: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_], keep: int
) -> npt.NDArray[np.bool_]:
    """Which of some bigrams, best first, are kept: the first ``keep`` that pass, as many near misses, for the question
    why one is missing, and the wanted ones. None of these takes a place from another."""
    return passed & (np.cumsum(passed) <= keep) | near & (np.cumsum(near) <= keep) | wanted


def load_bigrams(folder: str, ranges: int, keep: int) -> Bigrams:
    """The best ``keep`` bigrams of all ranges that pass the rules, as many that don't, and every wanted one, best
    first."""
    columns: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in _COLUMNS}
    for number in range(ranges):
        with np.load(bigrams_path(folder, number)) as arrays:
            for name in _COLUMNS:
                columns[name].append(arrays[name])
    found = Bigrams(**{name: np.concatenate(parts) for name, parts in columns.items()})
    found = found.take(found.order)
    shared = _load(folder)
    keys = found.first.astype(np.uint64) << np.uint64(WORD_BITS) | found.second.astype(np.uint64)
    wanted = places_among(np.sort(shared["wanted"]), keys) >= 0
    passed = found.missed == 0
    return found.take(np.flatnonzero(_kept(passed, ~passed, wanted, keep)))
