"""Why rows go: one row a reason, with its stage, its cause in a summary, the setting that decides, and whether it may
pass.

The rows stand in the order of the flow, which is that of every report. Not in the table, but known by their form:
answers of servers (http_404), refusals (refused_by_robots_txt), scores (unscored_NAME,
low_NAME, high_NAME). What is not known at all
is a rule of the user's own.
"""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "CAUSES",
    "NOT_REACHED",
    "Reason",
    "by_frequency",
    "cause_of",
    "in_rule_order",
    "in_words",
    "is_answer",
    "may_pass",
    "setting_of",
]

NOT_REACHED = "not_reached"  # the status of an address whose turn did not come in the time of a round


class Reason(NamedTuple):
    """What is known of a reason. ``stage``: "asking" for what came of an address, else the name of a step of the
    funnel."""

    stage: str
    cause: str = ""  # one of CAUSES, of those that pairs with a query are lost to
    setting: str = ""  # by which it is more or less; "" where none is the user's to change
    may_pass: bool = False  # a later run may do better


# Of pairs that were drawn, in the order of the flow.
CAUSES = (
    *("dead links", "refused", "not reached", "bad pictures"),
    *("image rules", "scores", "evaluation sets", "duplicates", "other rules", "taken out"),
)
PASSING = Reason("asking", "dead links", "fetch.retry_failed", may_pass=True)
DEAD = Reason("asking", "dead links")
REFUSED = Reason("asking", "refused")
OWN = Reason("", "other rules")


def _rows(reason: Reason, *names: str) -> dict[str, Reason]:
    return dict.fromkeys(names, reason)


def _text(setting: str, *names: str) -> dict[str, Reason]:
    return _rows(Reason("match", setting=f"text.{setting}"), *names)


_REASONS = {
    **_rows(PASSING, "connection_refused", "connection_lost", "connect_timeout", "dns_error"),
    **_rows(PASSING, "robots_unreachable", "truncated_body", "http_429"),
    "deadline_exceeded": PASSING._replace(setting="http.deadline"),
    "host_given_up": PASSING._replace(setting="http.host_failures"),
    **_rows(DEAD, "tls_error", "empty_body", "bad_response", "bad_encoding", "bad_url", "bad_redirect"),
    **_rows(DEAD, "too_many_redirects", "forbidden_scheme"),
    "too_large": DEAD._replace(setting="http.max_bytes"),
    "forbidden_port": DEAD._replace(setting="http.ports"),
    "forbidden_address": DEAD._replace(setting="http.allow_loopback"),
    "no_contact": Reason("asking", "not reached", "http.contact"),
    **_rows(Reason("asking"), "no_text", "same_page", "other_host", "sitemap", "host_too_costly"),
    "not_an_image": Reason("asking", "bad pictures", "image.formats"),
    "format_not_read": Reason("asking", "bad pictures", "image.formats"),
    "too_many_pixels": Reason("asking", "bad pictures", "image.max_pixels"),
    "too_small": Reason("asking", "bad pictures", "image.min_image_size"),
    **_rows(Reason("asking", "bad pictures"), "wrong_type", "unsupported_mode", "decode_error"),
    **_rows(Reason("extract"), "duplicate_pair", "no_address", "data_uri"),
    "further_text": Reason("extract", setting="extract.max_texts"),
    "site_wide": Reason("extract", setting="extract.max_image_pages"),
    **_rows(Reason("extract"), "placeholder", "tracking_pixel", "sprite", "decorative", "vector_picture"),
    "earlier_pair": Reason("match", setting="earlier_runs"),
    "earlier_url": Reason("match", setting="earlier_runs"),
    **_text("max_repeats", "repeated_text"),
    **_text("file_names", "file_name", "camera_name", "url", "slug"),
    **_text("boilerplate", "boilerplate"),
    **_text("markup", "html_tag", "html_entity", "percent_escape", "template", "bbcode", "script"),
    **_text("min_words", "too_few_words"),
    **_text("min_characters", "too_few_characters"),
    **_text("max_words", "too_many_words"),
    **_text("max_characters", "too_many_characters"),
    **_text("min_letter_share", "no_words", "few_letters"),
    **_text("max_word_length", "overlong_word"),
    **_text("min_distinct_share", "repeated_words"),
    **_text("blocked_words", "blocked_word"),
    **_text("drop_marked", "contact_email", "contact_phone", "contact_address", "contact_ip"),
    **_text("language_threshold", "other_language"),
    "no_query": Reason("match", setting="queries"),
    "not_drawn": Reason("balance", setting="balance.t"),
    NOT_REACHED: Reason("join", "not reached", "fetch.max_hours", may_pass=True),
    "not_fetched": Reason("join", "not reached"),
    "removed": Reason("join", "taken out"),
    "hash_mismatch": Reason("package", "bad pictures", "extract.verify_hash"),
    "small_image": Reason("package", "image rules", "package.rules.min_side"),
    "bad_aspect_ratio": Reason("package", "image rules", "package.rules.max_aspect_ratio"),
    "blank_image": Reason("package", "image rules", "package.rules.min_spread"),
    "animated_image": Reason("package", "image rules", "package.rules.allow_animated"),
    "in_evaluation_set": Reason("package", "evaluation sets", "package.evaluation_sets"),
    "unscored_": Reason("package", "scores"),
    "low_": Reason("package", "scores", "package.hooks.minimum"),
    "high_": Reason("package", "scores", "package.hooks.maximum"),
    "duplicate_image_caption": Reason("package", "duplicates"),
    "earlier_image": Reason("package", "duplicates", "earlier_runs"),
    "near_earlier_image": Reason("package", "duplicates", "earlier_runs"),
    "near_duplicate": Reason("package", "duplicates", "package.near_duplicates"),
    "over_t": Reason("package", "duplicates", "balance.t"),
}
# Reasons that two stages give: what holds where they come of storing the picture.
_OF_STORING = {"bad_aspect_ratio": Reason("asking", "bad pictures", "image.max_aspect_ratio")}
OF_SCORES = ("unscored_", "low_", "high_")
STORING = ("fetch", "join")  # steps at which a reason is what became of the image's address
# Reasons that are known by how they begin, the first that fits.
_FORMS = {
    "http_5": PASSING,
    "http_": DEAD,
    "refused_by_": REFUSED,
    **{head: _REASONS[head] for head in OF_SCORES},
}
_PLACE = {name: place for place, name in enumerate(_REASONS)}


def _known(reason: str, step: str = "") -> Reason:
    """The row of a reason that step ``step`` of the funnel gave."""
    if step in STORING and reason in _OF_STORING:
        return _OF_STORING[reason]
    if reason in _REASONS:
        return _REASONS[reason]
    return next((row for head, row in _FORMS.items() if reason.startswith(head)), OWN)


def cause_of(reason: str, step: str = "") -> str:
    """The cause, one of CAUSES, of a reason in the ledger of packaging, where ``step`` stands beside it."""
    return _known(reason, step).cause or OWN.cause


def setting_of(reason: str, step: str = "") -> str:
    """The name of the setting that decides how many rows go for ``reason``; "" where none does."""
    return _known(reason, step).setting


def may_pass(reason: str) -> bool:
    """Whether a later run may do better: trouble on the way or at the server, never a refusal or a lasting answer."""
    return _known(reason).may_pass


def is_answer(reason: str) -> bool:
    """Whether ``reason`` is what came of asking for an address, and not the verdict of a rule."""
    return _known(reason).stage == "asking"


def in_rule_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason in the order of the flow: what came of asking first, the largest first, rules of others last."""

    def place(reason: str) -> int:
        head = next((head for head in OF_SCORES if reason.startswith(head)), reason)
        return -1 if is_answer(reason) else _PLACE.get(head, len(_PLACE))

    return dict(sorted(counts.items(), key=lambda item: (place(item[0]), -item[1], item[0])))


def by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Counts by reason, the largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def in_words(reason: str) -> str:
    """A reason as stored (``small_image``) in words."""
    return reason.replace("_", " ")
