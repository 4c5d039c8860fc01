"""A bucket's journal of a round: what came of each page, as it came, so that a killed crawl asks again at most for the
pages that were under way.

In: visits. Out: the same visits in a later process, but for what nobody reads once a page was read: its body, headers
and other links. The journal is that of the image store (fetch/spool.py); a record that cannot be read is none.
"""

import json
from typing import Any

from pipeline.fetch.spool import Spool
from pipeline.net.client import Answer
from pipeline.net.consent import Consent
from pipeline.read.pages import Page, Pair
from pipeline.read.visitor import Visited

__all__ = ["known_visit", "note_visit"]

_ANSWER = ("url", "final_url", "status", "reason", "detail", "consent", "consent_evidence")
_PAGE = ("language", "title", "canonical", "refresh")
_PAIR = ("url", "caption", "texts", "width", "height")


def note_visit(journal: Spool, visit: Visited) -> None:
    """Writes down a visit."""
    told = {
        "host": visit.host,
        "depth": visit.depth,
        "size": visit.size,
        "answer": [getattr(visit.answer, name) for name in _ANSWER],
        "page": [getattr(visit.page, name) for name in _PAGE],
        "pairs": [_told(pair) for pair in visit.page.pairs],
        "skipped": visit.page.skipped,
        "consent": [visit.consent.decision, visit.consent.evidence, visit.consent.detail],
        "links": visit.links,
        "listed": [[_told(pair), page] for pair, page in visit.listed],
    }
    journal.add({"url": visit.url}, json.dumps(told, separators=(",", ":")).encode())


def known_visit(journal: Spool, url: str) -> Visited | None:
    """The visit that the journal has of a page; None where it has none that can be read."""
    if url not in journal:
        return None
    try:
        told = json.loads(journal.get(url)[1])
        page = Page(**dict(zip(_PAGE, told["page"], strict=True)))
        page.pairs = [_pair(pair) for pair in told["pairs"]]
        page.skipped = [(address, reason) for address, reason in told["skipped"]]
        return Visited(
            url=url,
            host=told["host"],
            depth=told["depth"],
            answer=Answer(**dict(zip(_ANSWER, told["answer"], strict=True))),
            page=page,
            consent=Consent(*told["consent"]),
            links=[(link, depth) for link, depth in told["links"]],
            listed=[(_pair(pair), shown) for pair, shown in told["listed"]],
            size=told["size"],
        )
    except (ValueError, KeyError, TypeError):  # of another version, perhaps
        journal.drop(url)
        return None


def _told(pair: Pair) -> list[Any]:
    return [getattr(pair, name) for name in _PAIR]


def _pair(told: list[Any]) -> Pair:
    pair = Pair(**dict(zip(_PAIR, told, strict=True)))
    pair.texts = [(kind, text) for kind, text in pair.texts]
    return pair
