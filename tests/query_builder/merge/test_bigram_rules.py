"""The measures of bigrams against slow ones, and the order of the rules."""

import itertools
import math
import random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from query_builder.function_words import FUNCTION_WORDS, function_words
from query_builder.merge.bigram_rules import BigramRules, log_likelihood, pointwise, strength
from query_builder.normalize import normalize
from query_builder.schema import REASONS
from query_builder.word_kinds import FUNCTION, NUMBER, STOP, WordKinds

Ints = npt.NDArray[np.int64]


def slow_log_likelihood(pairs: list[tuple[str, str]], first: str, second: str) -> float:
    """Of the places in a text: twice the sum over the four kinds of place of observed x ln(observed / expected)."""
    places = list(itertools.product((True, False), repeat=2))
    kinds = [(a == first, b == second) for a, b in pairs]
    total = 0.0
    for kind in places:
        observed = kinds.count(kind)
        row, column = (sum(k[side] == kind[side] for k in kinds) for side in (0, 1))
        if observed:
            total += observed * math.log(observed * len(kinds) / (row * column))
    return 2 * total


def one(*values: int) -> tuple[Ints, ...]:
    return tuple(np.array([value]) for value in values)


def test_the_measures_are_those_of_a_count_of_all_places() -> None:
    draw = random.Random(1)
    words = ["a", "b", "c", "d"]
    text = draw.choices(words, (8, 4, 2, 1), k=400) + ["c", "d"] * 20
    pairs = list(itertools.pairwise([*text, text[0]]))  # a ring: every word is a first and a second one
    for first, second in itertools.product(words, repeat=2):
        together, total = pairs.count((first, second)), len(pairs)
        counts = one(together, text.count(first), text.count(second))
        chance = text.count(first) * text.count(second) / total
        expected = slow_log_likelihood(pairs, first, second)
        found = log_likelihood(*counts, total)[0]
        assert found == pytest.approx(expected if together >= chance else -expected)
        if together:
            pmi = pointwise(*counts, total)
            assert pmi[0] == pytest.approx(math.log2(together / chance))
            squared = together**2 / (text.count(first) * text.count(second))
            assert strength(counts[0], pmi, total)[0] == pytest.approx(math.log2(squared))
    assert log_likelihood(*one(20, 20, 20), 8_000_000)[0] > 500
    assert log_likelihood(*one(3, 3000, 1000), 8_000_000)[0] < 20, "three by chance"
    assert np.isfinite(log_likelihood(*one(9, 10, 10), 10)[0]), "one word and nothing else"


def missed(rules: BigramRules, kinds: tuple[int, int] = (0, 0), *, hyphen: bool = False, **counts: int) -> str:
    values = {"together": 30, "first": 50, "second": 60, **counts}
    together, first, second = one(*values.values())
    pmi = pointwise(together, first, second, 100_000)
    bits = tuple(np.array([kind], np.uint8) for kind in kinds)
    found = rules.missed((together, first, second), pmi, bits, np.array([hyphen]), 100_000)  # type: ignore[arg-type]
    return REASONS[found[0]]


def test_the_first_rule_that_a_bigram_misses_is_told() -> None:
    rules = BigramRules(word=50, bigram=30, pmi=3.0, log_likelihood=20.0)
    assert missed(rules) == ""
    assert missed(rules, first=49, together=29) == missed(rules, second=49) == "rare words"
    assert missed(rules, together=29, first=50_000) == "rare"
    assert missed(rules, first=90_000) == "low PMI"
    assert missed(BigramRules(50, 3, 3.0, 20.0), together=3, first=300) == "low log-likelihood"
    assert missed(BigramRules(50, 3, 3.0, 5.0), together=3, first=300) == ""
    for kinds in ((FUNCTION, 0), (0, FUNCTION), (FUNCTION | STOP, NUMBER)):
        assert missed(rules, kinds) == "function word"
    assert missed(rules, (0, STOP)) == missed(rules, (NUMBER, STOP)) == "stop word"
    assert missed(rules, (NUMBER, 0)) == "number"
    assert missed(rules, (0, NUMBER)) == missed(rules, (NUMBER, 0), hyphen=True) == "", "Apollo 13, 8-bit"
    assert missed(rules, (NUMBER, NUMBER), hyphen=True) == "number", "384-322"


def test_the_published_strength_is_pmi_times_the_logarithm_of_the_count() -> None:
    pmi = np.array([3.0])
    assert BigramRules(1, 1, 3.0, -math.inf, published=True).score(np.array([20]), pmi, 999)[0] == 3 * np.log(20)
    assert BigramRules(1, 1, 3.0, 20.0).score(np.array([20]), pmi, 80)[0] == 1.0


def test_the_kinds_of_words() -> None:
    words = ["the", "1984", "1980s", "٣", "½", "may", "big", "3d"]
    column = pa.array([word.encode() for word in words], pa.large_binary())
    kinds = WordKinds(function_words("en"), True, frozenset({"big", "1984"})).of(column)
    assert kinds.tolist() == [FUNCTION, NUMBER | STOP, 0, NUMBER, 0, FUNCTION, STOP, 0]
    assert not WordKinds().of(column).any()


def test_function_words_are_in_normal_form() -> None:
    assert len(FUNCTION_WORDS) == 16
    for language, listed in FUNCTION_WORDS.items():
        assert len(listed) > 80, language
        assert all(normalize(word) == word and " " not in word for word in listed), language
    assert not function_words("xx")
    assert {"の", "は"} <= function_words("ja") and "カ" not in function_words("ja")
