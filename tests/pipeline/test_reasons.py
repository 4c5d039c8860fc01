"""Reasons: what came of asking, what a rule said, and what neither is."""

import pytest

from pipeline.image.process import Rejected
from pipeline.reasons import CAUSES, cause_of, in_rule_order, is_answer, may_pass, setting_of


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
    assert is_answer("refused_by_robots_txt") and cause_of("refused_by_robots_txt") == "refused"
    assert not is_answer("my_own_rule") and not is_answer("other_language")


def test_what_may_pass_is_trouble_and_never_a_lasting_answer() -> None:
    passing = ("http_503", "http_429", "deadline_exceeded", "dns_error", "robots_unreachable", "not_reached")
    assert all(map(may_pass, passing))
    lasting = ("http_404", "refused_by_robots_txt", "too_large", "forbidden_address", "not_fetched", "low_clip", "")
    assert not any(map(may_pass, lasting))


def test_a_reason_of_two_steps_is_told_by_its_step() -> None:
    """A picture too narrow to be stored is the image store's, one too narrow for the data the rules'."""
    reason = Rejected("bad_aspect_ratio").reason
    assert (cause_of(reason, "join"), cause_of(reason, "package")) == ("bad pictures", "image rules")
    assert setting_of(reason, "join") == "image.max_aspect_ratio" == setting_of(reason, "fetch")
    assert setting_of(reason, "package") == "package.rules.max_aspect_ratio"
