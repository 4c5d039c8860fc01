"""What makes two neighbouring words a bigram of the list, and which come first.

In: counts of pairs and of their words, and what kinds of words these are. Out: for each pair the first rule that it
misses, and its strength. Which measures hold was found by judging pairs of real articles (docs/bigrams.md): PMI alone,
or times the logarithm of the count, puts pairs of frequent words among the names; the square of the count over the
product of the words' counts (PMI^2; Daille, 1994) does not, and Dunning's log-likelihood ratio (1993) tells chance
where the counts are small.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from query_builder.schema import REASONS
from query_builder.word_kinds import FUNCTION, NUMBER, STOP

__all__ = ["BigramRules", "log_likelihood", "pointwise", "strength"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def pointwise(together: Counts, first: Counts, second: Counts, total: int) -> Floats:
    """Pointwise mutual information in bits: log2 of how much oftener than by chance two words stand together."""
    # The order of the sums decides the last bit, which the published form of a list holds.
    of_all: Floats = np.log2(together.astype(np.float64) * total)
    return of_all - np.log2(first.astype(np.float64)) - np.log2(second.astype(np.float64))


def strength(together: Counts, pmi: Floats, total: int) -> Floats:
    """PMI^2 in bits, log2 of ``together**2 / (first * second)``: 0 for words that occur in no other company."""
    return pmi + np.log2(together.astype(np.float64) / total)


def log_likelihood(together: Counts, first: Counts, second: Counts, total: int) -> Floats:
    """Dunning's ratio (G^2, in natural units) of the table of two words; negative where they stand together less often
    than by chance."""
    observed = [together, first - together, second - together, total - first - second + together]
    sides = [(first, second), (first, total - second), (total - first, second), (total - first, total - second)]
    sum_ = np.zeros(len(together))
    for count, (row, column) in zip(observed, sides, strict=True):
        expected = row.astype(np.float64) * column / total
        filled = (count > 0) & (expected > 0)
        sum_[filled] += count[filled] * np.log(count[filled] / expected[filled])
    chance = first.astype(np.float64) * second / total
    return np.where(together >= chance, 2 * sum_, -2 * sum_)


@dataclass(frozen=True)
class BigramRules:
    """What a bigram needs: least occurrences of each of its words and of itself, least PMI and log-likelihood; and
    whether the published rules hold, by which the strength is PMI times ln(count)."""

    word: int
    bigram: int
    pmi: float
    log_likelihood: float
    published: bool = False

    def missed(
        self,
        pairs: tuple[Counts, Counts, Counts],
        pmi: Floats,
        kinds: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
        hyphened: npt.NDArray[np.bool_],
        total: int,
    ) -> npt.NDArray[np.uint8]:
        """For each pair the place in REASONS of the first rule that it misses, 0 where it passes.

        ``pairs`` are the counts of the pairs, their first and their second words, ``kinds`` the kinds of these
        (query_builder/word_kinds.py), and ``hyphened`` tells the pairs that are most often written with a hyphen.
        """
        together, first, second = pairs
        found = np.zeros(len(together), np.uint8)
        either = kinds[0] | kinds[1]
        number = (kinds[0] & NUMBER > 0) & (~hyphened | (kinds[1] & NUMBER > 0))
        for reason, misses in (
            ("rare words", (first < self.word) | (second < self.word)),
            ("rare", together < self.bigram),
            ("low PMI", ~(pmi >= self.pmi)),
            ("function word", either & FUNCTION > 0),
            ("stop word", either & STOP > 0),
            ("number", number),
        ):
            found[(found == 0) & misses] = REASONS.index(reason)
        left = np.flatnonzero(found == 0)  # the dearest one last
        likelihood = log_likelihood(together[left], first[left], second[left], total)
        found[left[likelihood < self.log_likelihood]] = REASONS.index("low log-likelihood")
        return found

    def score(self, together: Counts, pmi: Floats, total: int) -> Floats:
        """What the best come first by."""
        return pmi * np.log(together) if self.published else strength(together, pmi, total)
