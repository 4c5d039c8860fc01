"""The order in which a report lists why rows went: that of the rules, so that a reader follows the flow.

In: counts by reason. Out: the same, ordered. What came of asking, such as http_404, comes first, the largest first;
reasons of rules that are not ours come last.
"""

from collections.abc import Mapping

__all__ = ["OF_CONTENT", "by_frequency", "in_rule_order", "in_words", "is_answer", "is_dead_link", "setting_of"]

# What asking for an address may come to, where nothing that is there was refused.
_DEAD = (
    *("connection_refused", "connection_lost", "connect_timeout", "deadline_exceeded", "dns_error", "tls_error"),
    *("host_given_up", "robots_unreachable", "truncated_body", "empty_body", "bad_response", "bad_encoding"),
    *(
        "bad_url",
        "bad_redirect",
        "too_many_redirects",
        "too_large",
        "forbidden_scheme",
        "forbidden_port",
        "forbidden_address",
    ),
)
OF_CONTENT = ("not_an_image", "wrong_type", "too_many_pixels", "too_small", "unsupported_mode", "decode_error")
_OF_PAGES = ("no_text", "same_page", "other_host", "sitemap", "host_too_costly")

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


def _rule_of(reason: str) -> str:
    """The entry of ORDER that a reason belongs to, or the reason. Scores have names of the user's: low_NAME,
    high_NAME."""
    return next((head for head in ("low_", "high_") if reason.startswith(head)), reason)


def _place(reason: str) -> int:
    """The place of a reason in the flow."""
    return _PLACE.get(_rule_of(reason), -1 if is_answer(reason) else len(ORDER))


def in_rule_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason in the order of the rules; where that does not decide, the largest first, then by name."""
    return dict(sorted(counts.items(), key=lambda item: (_place(item[0]), -item[1], item[0])))


def by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Counts by reason, the largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def in_words(reason: str) -> str:
    """A reason as stored (``small_image``) in words."""
    return reason.replace("_", " ")


# The setting by which each reason is more or less; reasons that are not here are not the user's to change.
_SETTINGS = {
    "text.file_names": ("file_name", "camera_name", "url", "slug"),
    "text.markup": ("html_tag", "html_entity", "percent_escape", "template", "bbcode", "script"),
    "text.boilerplate": ("boilerplate",),
    "text.max_repeats": ("repeated_text",),
    "text.min_words": ("too_few_words",),
    "text.max_words": ("too_many_words",),
    "text.min_characters": ("too_few_characters",),
    "text.max_characters": ("too_many_characters",),
    "text.min_letter_share": ("few_letters", "no_words"),
    "text.max_word_length": ("overlong_word",),
    "text.min_distinct_share": ("repeated_words",),
    "text.blocked_words": ("blocked_word",),
    "text.drop_marked": ("contact_email", "contact_phone", "contact_address", "contact_ip"),
    "text.language_threshold": ("other_language",),
    "queries": ("no_query",),
    "balance.t": ("not_drawn", "over_t"),
    "earlier_runs": ("earlier_pair", "earlier_url", "earlier_image", "near_earlier_image"),
    "http.allow_loopback": ("forbidden_address",),
    "http.ports": ("forbidden_port",),
    "http.max_bytes": ("too_large",),
    "http.deadline": ("deadline_exceeded",),
    "http.host_failures": ("host_given_up",),
    "fetch.round_seconds": ("not_reached",),
    "fetch.retry_failed": (
        "connection_refused",
        "connection_lost",
        "connect_timeout",
        "dns_error",
        "robots_unreachable",
    ),
    "image.formats": ("not_an_image",),
    "image.max_pixels": ("too_many_pixels",),
    "package.rules.min_side": ("small_image",),
    "package.rules.max_aspect_ratio": ("bad_aspect_ratio",),
    "package.rules.min_spread": ("blank_image",),
    "package.rules.allow_animated": ("animated_image",),
    "package.near_duplicates": ("near_duplicate",),
    "package.evaluation_sets": ("in_evaluation_set",),
    "package.hooks.minimum": ("low_",),
    "package.hooks.maximum": ("high_",),
}
_SETTING = {reason: name for name, reasons in _SETTINGS.items() for reason in reasons}


def setting_of(reason: str) -> str:
    """The name of the setting that decides how many rows go for ``reason``; "" where none does."""
    return _SETTING.get(_rule_of(reason), "")


def is_dead_link(reason: str) -> bool:
    """Whether ``reason`` says that an address led to nothing."""
    return reason.startswith("http_") or reason in _DEAD


def is_answer(reason: str) -> bool:
    """Whether ``reason`` is what came of asking for an address, and not the verdict of a rule."""
    return is_dead_link(reason) or reason.startswith("refused_by_") or reason in (*OF_CONTENT, *_OF_PAGES)
