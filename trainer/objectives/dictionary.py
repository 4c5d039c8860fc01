"""The dictionary of Visual N-Grams: which sequences of two to five pieces the captions repeat.

In: captions as token ids. Out: int64 keys, sorted. An entry is its beginning, one piece shorter, and its last piece;
its key is the number of the former times the size of the vocabulary plus the latter. Pieces are numbered by their ids,
and n-grams behind them in the order of the keys. The most frequent are kept; since a beginning is at least as frequent
as what begins with it, every entry's beginning is an entry too.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from webimagetext.errors import UserError

__all__ = ["ORDER", "dictionary"]

ORDER = 5  # pieces of the longest n-gram
LEAST = 2  # occurrences

Ids = npt.NDArray[np.int64]


def _flat(batches: Iterable[Ids]) -> Ids:
    """All texts behind each other, with -1 between two."""
    found = []
    for ids in batches:
        ends = ids.argmax(axis=1)[:, None]
        places = np.arange(ids.shape[1])[None]
        marked = np.where((places > 0) & (places < ends), ids, -1)
        found.append(marked[places <= ends])
    return np.concatenate(found) if found else np.empty(0, np.int64)


def dictionary(batches: Iterable[Ids], vocabulary: int, most: int) -> Ids:
    """The keys of the ``most`` frequent n-grams that occur twice or more, the shorter first of equally frequent ones.

    ``batches`` are texts (texts, length) as the tokenizer gives them. Raises UserError where there are none.
    """
    pieces = _flat(batches)
    ending, numbered = pieces, vocabulary  # the number of the n-gram that ends at each place, and how many there are
    levels: list[tuple[Ids, Ids]] = []  # keys and counts
    for _ in range(1, ORDER):
        before = np.concatenate([[-1], ending[:-1]])
        places = np.flatnonzero((before >= 0) & (pieces >= 0))
        keys, inverse, counts = np.unique(
            before[places] * vocabulary + pieces[places], return_inverse=True, return_counts=True
        )
        kept = counts >= LEAST
        numbers = np.where(kept, numbered + np.cumsum(kept) - 1, -1)
        ending = np.full(len(pieces), -1)
        ending[places] = numbers[inverse]
        levels.append((keys[kept], counts[kept]))
        numbered += int(kept.sum())
    if numbered == vocabulary:
        raise UserError("--objective ngram: the captions repeat no two words in a row", "give more of them")
    return _chosen(levels, vocabulary, most)


def _chosen(levels: list[tuple[Ids, Ids]], vocabulary: int, most: int) -> Ids:
    """The keys of the ``most`` frequent, numbered anew."""
    counts = np.concatenate([level[1] for level in levels])
    order = np.argsort(-counts, kind="stable")[:most]  # the levels come in order, so the shorter is first
    kept = np.zeros(len(counts), bool)
    kept[order] = True
    now = np.concatenate([np.arange(vocabulary), np.where(kept, vocabulary + np.cumsum(kept) - 1, -1)])
    keys = np.concatenate([level[0] for level in levels])[kept]
    result: Ids = now[keys // vocabulary] * vocabulary + keys % vocabulary
    return result
