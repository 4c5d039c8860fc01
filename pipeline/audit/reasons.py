"""The order in which a report lists why rows went: that of the rules, so that a reader follows the flow.

In: counts by reason. Out: the same, ordered. Reasons that no rule gives are what servers answered; those come first, the largest
first.
"""

from collections.abc import Mapping

__all__ = ["in_rule_order"]

ORDER = (
    *("duplicate_pair", "earlier_pair", "earlier_url", "repeated_text"),
    *("file_name", "camera_name", "url", "slug", "boilerplate"),
    *("html_tag", "html_entity", "percent_escape", "template", "bbcode", "script"),
    *("too_few_words", "too_few_characters", "too_many_words", "too_many_characters"),
    *("no_words", "few_letters", "overlong_word", "repeated_words", "blocked_word"),
    *("contact_email", "contact_phone", "contact_address", "contact_ip", "other_language", "no_query", "not_drawn"),
    *("not_reached", "not_fetched", "small_image", "bad_aspect_ratio", "blank_image", "animated_image"),
    *("in_evaluation_set", "low_", "high_"),
    *("duplicate_image_caption", "earlier_image", "near_earlier_image", "near_duplicate", "over_t"),
)
_PLACE = {reason: place for place, reason in enumerate(ORDER)}


def _place(reason: str) -> int:
    """The place of a reason in the flow; -1 for one that no rule gives. Scores have names of the user's: low_NAME, high_NAME."""
    for beginning in ("low_", "high_"):
        if reason.startswith(beginning):
            return _PLACE[beginning]
    return _PLACE.get(reason, -1)


def in_rule_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason in the order of the rules; where that does not decide, the largest first, then by name."""
    return dict(sorted(counts.items(), key=lambda item: (_place(item[0]), -item[1], item[0])))
