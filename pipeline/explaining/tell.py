"""A story in words for a terminal, and as JSON.

In: :class:`pipeline.explaining.story.Story`. Out: text.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.balance.threshold import t_in_words
from pipeline.explaining.rules import Change, Verdict
from pipeline.explaining.story import Drawn, Outcome, Source, Story
from pipeline.reasons import in_words

__all__ = ["in_json", "stories_in_words"]

STEPS = {
    "crawl": "reading the page",
    "extract": "extracting pairs",
    "match": "filtering texts and matching queries",
    "balance": "the balance",
    "join": "fetching the picture",
    "package": "packaging",
}
WAITING = {
    "candidates": "it is a candidate; `pipeline curate` goes on with it",
    "matched": "it holds a query; `pipeline curate` goes on with it",
    "selected": "it is drawn; `pipeline fetch` and `pipeline package` go on with it",
    "joined": "it has a picture; `pipeline package` goes on with it",
}


def in_json(asked: str, stories: Sequence[Story]) -> str:
    """The stories as JSON."""
    told = {"format": 1, "asked": asked, "stories": [dataclasses.asdict(story) for story in stories]}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def stories_in_words(stories: Sequence[Story]) -> str:
    """The stories, one after another."""
    return "\n\n".join("\n".join(_story(story)) for story in stories)


def _story(story: Story) -> Iterator[str]:
    yield f"{story.key or 'no pair'}  {story.url}"
    if story.caption:
        yield f'  "{story.caption}"'
    yield f"  {_outcome(story)}"
    yield from (f"  to keep it: {line}" for line in _changes(story.outcome))
    if story.source.kind:
        yield from _part("source", _source(story.source))
    if story.texts:
        told = [f"{each['kind']}: {each['text']}" for each in story.texts]
        yield from _part("texts", [*told, *([f"chosen: {story.why_this_text}"] if story.why_this_text else [])])
    if story.text_rules:
        yield from _part("text rules", map(_verdict, story.text_rules))
    if story.queries:
        yield from _part(_balance(story), (_drawn(drawn, story.mode) for drawn in story.queries))
    if story.image:
        yield from _part("picture", _image(story))
    if story.image_rules:
        yield from _part("image rules", map(_verdict, story.image_rules))
    if story.scores:
        yield from _part("scores", (f"{name}: {value:.4f}" for name, value in story.scores.items()))
    yield from (f"  note: {note}" for note in story.notes)


def _part(name: str, lines: Any) -> Iterator[str]:
    yield f"  {name}"
    yield from (f"    {line}" for line in lines)


def _outcome(story: Story) -> str:
    outcome = story.outcome
    if outcome.state == "kept":
        place = story.place
        return f"kept: row {place['row']:,} of {place['part']}/{place['table']}"
    if outcome.state == "reserve":
        return "in reserve: next in line where a query that drew it is short"
    if outcome.state == "open":
        return f"open: {WAITING.get(outcome.stage, 'nothing was dropped')}"
    if outcome.reason == "removed":
        return f"taken out by `pipeline remove`{f', {outcome.detail}' if outcome.detail else ''}"
    said = f"dropped in {STEPS.get(outcome.stage, outcome.stage)}: {in_words(outcome.reason)}"
    shown = outcome.detail if outcome.detail != story.caption else ""
    return f"{said} ({shown})" if shown else said


def _changes(outcome: Outcome) -> Iterator[str]:
    for change in outcome.changes:
        yield _change(change)
    if outcome.may_pass:
        yield "fetch.retry_failed = true asks once more"
    elif outcome.state == "dropped" and not outcome.changes and outcome.reason != "removed":
        yield "no setting decides this"


def _change(change: Change) -> str:
    now = f" (it is {_value(change.value)})" if change.value is not None else ""
    if change.would_keep is None:
        return f"{change.setting} decides{now}"
    return f"{change.setting} = {_value(change.would_keep)}{now}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _source(source: Source) -> Iterator[str]:
    place = source.page or source.input
    yield f"{source.kind}: {place}" + (f" (language: {source.page_language})" if source.page_language else "")
    if source.depth is not None:
        yield f"round {source.round} of the crawl, {source.depth} links from a seed"
    if source.input and source.page:
        yield f"read from {source.input}"
    if source.consent:
        yield f"consent: {source.consent}" + (f" ({source.evidence})" if source.evidence else "")
    if source.again:
        yield f"found {source.again:,} more time{'s' if source.again > 1 else ''}"


def _verdict(verdict: Verdict) -> str:
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {_value(value) if not isinstance(value, list) else ' '.join(value)}"
        for name, value in verdict.numbers.items()
        if value is not None and value != []
    )
    said = in_words(verdict.reason) if verdict.reason else "passes"
    return f"{verdict.rule.replace('_', ' ')}: {said}" + (f" ({numbers})" if numbers else "")


def _balance(story: Story) -> str:
    if story.mode == "none" or story.t is None:
        return "queries"
    more = f", with the reserve {t_in_words(story.limit)}" if story.limit is not None else ""
    return f"queries, at t = {t_in_words(story.t)}{more}"


def _drawn(drawn: Drawn, mode: str) -> str:
    head = f"{drawn.query}: {drawn.matches:,} pairs hold it"
    if drawn.rank is None:
        return f"{head}; the pair is of a rarer one" if mode == "capped" else head
    of = f" of {drawn.of:,} of its own" if mode == "capped" else ""
    said = "drawn" if drawn.is_drawn else "not drawn"
    return f"{head}; draw {drawn.draw:.4f}{of}, which takes a t above {drawn.rank:,.2f}: {said}"


def _image(story: Story) -> Iterator[str]:
    image = story.image
    wanted = "the balance" if not story.round else f"round {story.round} of topping up"
    yield f"asked for by {wanted}: {in_words(image['status'])}" + (
        f" ({image['error_message']})" if image.get("error_message") else ""
    )
    if "width" in image:
        sides = [f"{image[f'{prefix}width']} x {image[f'{prefix}height']}" for prefix in ("original_", "")]
        yield f"{sides[0]} pixels, stored as {sides[1]}"
    names = ("sha256", "phash", "file", "offset", "length", "consent", "consent_evidence")
    yield from (f"{name.replace('_', ' ')}: {image[name]}" for name in names if name in image)
