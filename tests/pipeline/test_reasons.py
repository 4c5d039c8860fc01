"""Reasons: what came of asking, what a rule said, and what neither is."""

import pytest

from pipeline.balance.shortfall import CAUSES, cause_of
from pipeline.reasons import in_rule_order, is_answer, is_dead_link


def test_answers_come_first_then_the_rules_then_those_of_others() -> None:
    counts = {"my_own_rule": 9, "small_image": 2, "other_language": 3, "http_404": 1, "dns_error": 5, "low_clip": 4}
    assert list(in_rule_order(counts)) == [
        "dns_error",
        "http_404",
        "other_language",
        "small_image",
        "low_clip",
        "my_own_rule",
    ]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("http_404", "dead links"),
        ("connection_refused", "dead links"),
        ("refused_by_ai_txt", "refused"),
        ("not_an_image", "bad pictures"),
        ("not_fetched", "not reached"),
        ("high_nsfw", "scores"),
        ("near_duplicate", "duplicates"),
        ("my_own_rule", "other rules"),
    ],
)
def test_a_cause_is_never_guessed(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause and cause in CAUSES


def test_a_refusal_is_an_answer_and_no_dead_link() -> None:
    assert is_answer("refused_by_robots_txt") and not is_dead_link("refused_by_robots_txt")
    assert not is_answer("my_own_rule") and not is_answer("other_language")
