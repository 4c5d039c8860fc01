"""How places are given out."""

import pytest

from query_builder.config import PUBLISHED_BUDGETS
from query_builder.select import choose, parse_budgets
from webimagetext.errors import UserError


def test_the_default_budgets_are_the_published_make_up() -> None:
    assert parse_budgets((), 500_000) == PUBLISHED_BUDGETS
    assert sum(parse_budgets((), 12_345).values()) == 12_345
    assert parse_budgets(("words=10", "synsets=0"), 100)["words"] == 10
    for bad in (("words=10",), ("nouns=1",), ("words=x",)):
        with pytest.raises(UserError):
            parse_budgets(bad, 5)


def test_a_name_takes_one_place_and_what_is_left_passes_on() -> None:
    ranked = {
        "word": list("abcdefgh"),
        "bigram": ["a b"],
        "title": ["a", "t1", "t2", "t3"],
        "synset": ["b", "s1", "s2"],
    }
    budgets = {"words": 2, "bigrams": 2, "titles": 2, "synsets": 4}
    chosen = choose(ranked, budgets, 10)
    assert chosen == {
        "a": "word", "b": "word", "a b": "bigram", "t1": "title", "t2": "title", "s1": "synset", "s2": "synset",
        "c": "word", "d": "word", "e": "word",
    }  # fmt: skip
    everything = choose(ranked, {**budgets, "words": 92}, 100)
    assert len(everything) == 14
