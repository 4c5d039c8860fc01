"""A plan in words for a terminal, and as JSON.

In: a :class:`RunPlan`. Out: text.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence

from pipeline.balance.threshold import t_in_words
from pipeline.config import RunConfig
from pipeline.planning.crawl import Crawl
from pipeline.planning.figure import Figure
from pipeline.planning.make import RunPlan
from pipeline.planning.pairs import Expected
from webimagetext.progress import human_bytes

__all__ = ["in_json", "in_words"]


def in_json(plan: RunPlan) -> str:
    """The plan, with the rates that it goes by, as JSON."""
    return json.dumps({"format": 1, **dataclasses.asdict(plan)}, indent=1, ensure_ascii=False) + "\n"


def in_words(plan: RunPlan, config: RunConfig) -> str:
    """The plan as a page of text."""
    lines = ["Nothing was asked of any site."]
    if plan.crawl is not None:
        lines += ["", *_crawl(plan.crawl, config)]
    if plan.pairs is not None:
        lines += ["", *_pairs(plan, plan.pairs)]
    lines += ["", *_amounts(plan), "", *_hours(plan)]
    if plan.pairs is not None:
        lines += ["", *_hosts(plan, plan.pairs, config)]
    if plan.notes:
        lines += ["", *(f"note: {note}" for note in plan.notes)]
    return "\n".join(lines)


def _pairs(plan: RunPlan, pairs: Expected) -> Iterator[str]:
    assumed = plan.rates.assumed
    whole = "all" if pairs.share >= 1 else f"{pairs.share:.2%} of all"
    yield from _table(
        [f"pairs (looked at {pairs.looked_at:,}, {whole})", "expected", "95 % between"],
        [
            _row("candidates", pairs.candidates),
            _row("after the text rules", pairs.passed),
            _row("with a query", pairs.matched),
            _row(f"balanced at t = {t_in_words(pairs.t)}", pairs.balanced),
            _row("in reserve", pairs.reserve),
            _row(f"with a picture ({assumed.alive:.0%} of the addresses give one)", plan.fetched),
            _row(f"in the shards ({assumed.kept:.0%} of these are kept), topped up", plan.joined),
        ],
    )


def _amounts(plan: RunPlan) -> Iterator[str]:
    more = f", up to {_number(plan.topped_up)} more to top up" if plan.topped_up else ""
    yield from _table(
        ["asked and stored", "expected", "95 % between"],
        [
            _row("requests for pages and pictures", plan.requests),
            [f"requests for policy files, at least{more}", _number(plan.policy_requests), ""],
            ["received", human_bytes(plan.received), ""],
            ["pictures stored; once more in the shards", human_bytes(plan.stored), ""],
            ["tables and ledgers", human_bytes(plan.tables), ""],
        ],
    )


def _hours(plan: RunPlan) -> Iterator[str]:
    yield from _table(
        ["hours, by workers", "extract", "curate", "fetch", "bound by", "package", "in all", "dollars"],
        [
            [
                f"{time.engine}, {time.workers:,}",
                *map(_hour, (time.extract, time.curate, time.fetch)),
                time.fetch_bound,
                _hour(time.package),
                _hour(time.hours),
                f"{time.dollars:,.2f}",
            ]
            for time in plan.hours
        ],
    )


def _hosts(plan: RunPlan, pairs: Expected, config: RunConfig) -> Iterator[str]:
    rows = [[host, *_row("", figure)[1:], _hour(hours)] for host, (figure, hours) in plan.slowest.items()]
    if rows:
        yield from _table(["hosts that take longest at their delay", "pictures", "95 % between", "hours"], rows)
    yield f"A Crawl-delay is not known before: a longer one than http.delay = {config.http.delay:g} s takes longer."
    if plan.unseen_hours:
        yield (
            f"Of {pairs.seen:,} hosts seen only those with five rows or more are told; any other takes "
            f"{_hour(plan.unseen_hours)} hours at most."
        )
    for limit, lost in plan.left_open.items():
        if lost >= 1 and pairs.balanced.value:
            share = lost / pairs.asked.value
            yield (
                f"With fetch.max_hours = {limit:g}, {_number(lost)} pictures ({share:.1%}) of the hosts that are told "
                "stay open."
            )


def _crawl(crawl: Crawl, config: RunConfig) -> Iterator[str]:
    extract = config.extract
    rows = [["pages that the settings allow (extract.max_pages)", f"{crawl.most_pages:,}"]]
    if crawl.rounds:
        rows += [
            [
                f"asked for in {crawl.rounds} rounds{'' if crawl.goes_on else ', with other settings'}",
                f"{crawl.asked:,}",
            ],
            ["of these read", f"{crawl.read:,}"],
            ["pairs on them", f"{crawl.pairs:,}"],
            ["planned for the next round", f"{crawl.frontier:,}"],
        ]
    rows.append(["pages yet to come, at most", f"{crawl.left:,}"])
    rows.append([f"known hosts, of at most {extract.max_pages_per_host:,} pages each", f"{len(crawl.hosts):,}"])
    yield from _table(["crawl", ""], rows)
    if crawl.is_whole:
        yield "This crawl is whole."
        return
    yield (
        f"At the hosts' delays it takes {_hour(crawl.least / 3600)} hours if the pages are spread evenly over these "
        f"hosts, and {_hour(crawl.most / 3600)} if one has all that it may; waiting for the slowest host in each round "
        "comes on top."
    )
    if not crawl.closed:
        yield f"extract.scope = {extract.scope!r} may lead to other hosts, which share the pages."
    if not crawl.read:
        yield (
            "What is on the pages cannot be known before: pairs, pictures and their hosts are not told here. A crawl "
            "with a small extract.max_pages into a run folder, given as --output, tells them."
        )


def _row(name: str, figure: Figure) -> list[str]:
    between = "" if figure.low == figure.high else f"{_number(figure.low)} – {_number(figure.high)}"
    return [name, _number(figure.value), between]


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _hour(hours: float) -> str:
    return f"{hours:,.2f}" if hours < 10 else f"{hours:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with the columns under each other, the first to the left."""
    every = [list(head), *map(list, rows)]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    for row in every:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
