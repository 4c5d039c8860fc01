"""What is told of a pair: one dataclass a part of its story, as it goes out as JSON."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.explaining.rules import Change, Verdict

__all__ = ["Drawn", "Outcome", "Source", "Story"]


@dataclass(frozen=True)
class Source:
    """Where a pair was found; what is not known is "" or None."""

    kind: str = ""  # pages, warc, wat, url_list, crawl_index
    page: str = ""
    page_language: str = ""
    depth: int | None = None  # of the page in its crawl
    round: int | None = None  # of the crawl
    input: str = ""  # the list or archive, and the piece of it
    consent: str = ""
    evidence: str = ""
    again: int = 0  # more places where the same pair was found


@dataclass(frozen=True)
class Drawn:
    """A query that the caption holds, and its draw: the pair is this query's when ``draw`` times ``of`` is below t."""

    query: str
    matches: int  # pairs with it
    of: int  # pairs that it may draw: its matches, in capped mode those that it owns
    draw: float | None = None
    rank: float | None = None  # draw times ``of``: what t must exceed
    is_drawn: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of the pair: ``state`` is kept, dropped, reserve or open; the others say where and why."""

    state: str
    stage: str = ""
    reason: str = ""
    detail: str = ""
    changes: list[Change] = field(default_factory=list)  # that together would keep it, as far as is known
    may_pass: bool = False  # the same question asked later may be answered


@dataclass(frozen=True)
class Story:
    """All that is known of a pair, or of an address without one (``key`` is "" then)."""

    key: str
    url: str
    caption: str
    outcome: Outcome
    source: Source = field(default_factory=Source)
    texts: list[dict[str, str]] = field(default_factory=list)
    why_this_text: str = ""
    text_rules: list[Verdict] = field(default_factory=list)
    queries: list[Drawn] = field(default_factory=list)
    t: float | None = None
    limit: float | None = None  # t with the reserve
    mode: str = ""
    round: int | None = None  # that asked for the picture: 0, or a round of topping up
    image: dict[str, Any] = field(default_factory=dict)
    image_rules: list[Verdict] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    place: dict[str, Any] = field(default_factory=dict)  # part, table and row (from 0) of the pair in the shards
    notes: list[str] = field(default_factory=list)
