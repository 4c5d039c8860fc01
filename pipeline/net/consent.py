"""What a site says about the use of its content, beyond robots.txt, and what follows from all of it.

In: response headers, meta tags, ``/.well-known/tdmrep.json`` and ``/ai.txt``. Out: the refusals found, each as a
:class:`Refusal` with the words it was read from, and :class:`Consent`, the decision with its evidence. Signals:
X-Robots-Tag and meta robots (``noai``, ``noimageai``, ``noindex`` … also addressed to one agent), the TDM Reservation
Protocol (W3C community group, 2024: header, meta, file), ai.txt. Where two declarations of a reservation differ, the
refusal counts.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.net.config import HttpConfig, Signal
from pipeline.net.robots import matches, percent_normal
from pipeline.net.usage import refuses_training
from webimagetext.foreign import one_line

__all__ = [
    "ALLOWED",
    "Consent",
    "Refusal",
    "TdmRule",
    "decide",
    "directives",
    "header_refusals",
    "meta_refusals",
    "parse_tdmrep",
    "tdm_file_refusal",
]

ALLOWED = "allowed"

_AGENT_NAME = re.compile(r"[A-Za-z0-9_./-]+|\*")
# Directives that carry a value after a colon, so that the word before the colon names no agent.
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_HOUR = re.compile(r"(?:^|\s)\d{1,2}$")  # before the first colon of a time of day
_MAX_RULES = 10_000
MAX_WORDS = 300  # characters of one piece of evidence, which stands beside every pair of a site


@dataclass(frozen=True)
class Refusal:
    """A refusal read somewhere: the signal's name and the words themselves."""

    signal: Signal
    words: str


@dataclass(frozen=True)
class Consent:
    """The decision on one URL: ``allowed`` or the binding signal's name, and every piece of evidence looked at."""

    decision: str
    evidence: str
    detail: str = ""  # the words of the binding refusal

    @property
    def allowed(self) -> bool:
        """Whether nothing that binds refuses."""
        return self.decision == ALLOWED


@dataclass(frozen=True)
class TdmRule:
    """One entry of tdmrep.json: a path pattern and whether rights are reserved there."""

    pattern: str
    reserved: bool


def decide(refusals: Iterable[Refusal], looked_at: Sequence[str], config: HttpConfig) -> Consent:
    """The first refusal that binds decides; one that does not bind is noted beside the evidence in ``looked_at``."""
    evidence = [one_line(piece, MAX_WORDS) for piece in looked_at]
    for refusal in refusals:
        words = one_line(refusal.words, MAX_WORDS)
        if config.binds(refusal.signal):
            return Consent(refusal.signal, "; ".join(evidence), words)
        evidence.append(f"{words} (does not bind)")
    return Consent(ALLOWED, "; ".join(evidence))


def directives(value: str, agent: str) -> list[str]:
    """The directives in one X-Robots-Tag value, or a robots meta tag, that address ``agent`` or everybody, in lower
    case.

    ``"googlebot: noindex, noai"`` addresses one agent with both words; a later ``name:`` changes the addressee, whose
    name may have a version behind it. Words stand apart by commas, semicolons or blanks.
    """
    found: list[str] = []
    applies = True
    for part in re.split(r"[,;]", value):
        words = part.strip()
        name, colon, rest = words.partition(":")
        name = name.strip().lower()
        if colon and name.split()[-1:] and name.split()[-1] in _VALUED:
            if applies:
                found += [*name.split()[:-1], f"{name.split()[-1]}:{rest.lower()}"]
            continue
        if colon:
            before, _, name = name.rpartition(" ")
            if _AGENT_NAME.fullmatch(name) is None or _HOUR.search(before + " " + name):
                continue  # the rest of a date
            if applies:
                found += before.split()
            applies = name.partition("/")[0] in ("*", agent.lower())
            words = rest
        if applies:
            found += words.lower().split()
    return found


def header_refusals(headers: Mapping[str, Sequence[str]], config: HttpConfig) -> list[Refusal]:
    """Refusals in response headers, given as lower-case names with all their values."""
    refusals: list[Refusal] = []
    for value in headers.get("x-robots-tag", ()):
        words = [word for word in directives(value, config.user_agent) if word in config.binding_directives]
        if words:
            refusals.append(Refusal("x_robots_tag", f"X-Robots-Tag: {', '.join(words)}"))
    for name in ("content-usage", "content-signal"):
        words = [value for value in headers.get(name, ()) if refuses_training(value)]
        if words:
            refusals.append(Refusal("content_usage", f"{name} header: {words[0]}"))
    if any(value.strip() == "1" for value in headers.get("tdm-reservation", ())):
        refusals.append(Refusal("tdm_header", "tdm-reservation header: 1"))
    return refusals


def meta_refusals(metas: Iterable[tuple[str, str]], config: HttpConfig) -> list[Refusal]:
    """Refusals in a page's ``<meta name content>`` pairs; a name may be ``robots`` or the agent's own."""
    refusals: list[Refusal] = []
    for name, content in metas:
        name = name.strip().lower()
        if name.partition("/")[0] in ("robots", config.user_agent.lower()):
            words = set(directives(content, config.user_agent))
            bound = [word for word in config.binding_directives if word in words]
            if bound:
                refusals.append(Refusal("meta_robots", f"meta {name}: {', '.join(bound)}"))
        elif name == "tdm-reservation" and content.strip() == "1":
            refusals.append(Refusal("tdm_meta", "meta tdm-reservation: 1"))
    return refusals


def parse_tdmrep(content: bytes) -> tuple[TdmRule, ...]:
    """The rules of ``/.well-known/tdmrep.json`` in file order; entries and files that break its form are skipped."""
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(entries, list):
        return ()
    rules = []
    for entry in entries[:_MAX_RULES]:
        if isinstance(entry, dict) and isinstance(entry.get("location"), str):
            reserved = entry.get("tdm-reservation") in (1, "1")
            rules.append(TdmRule(percent_normal(entry["location"]), reserved))
    return tuple(rules)


def tdm_file_refusal(rules: Sequence[TdmRule], path: str) -> Refusal | None:
    """The refusal for ``path`` (with query), by the first rule that matches it."""
    path = percent_normal(path)
    for rule in rules:
        if matches(rule.pattern, path):
            return Refusal("tdm_file", f"tdmrep.json: {rule.pattern} reserved") if rule.reserved else None
    return None
