"""report.html: one page that shows a person what a run made, how, and what it threw away.

In: a run folder whose shards are written. Out: one HTML file that needs no other file, no script and no network.
Captions and addresses come from strangers: everything is escaped, and the page forbids itself to load or run anything.
"""

import base64
import unicodedata
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from pipeline.audit.charts import bars, concentration_curve, funnel_shape, number, share
from pipeline.audit.funnel import Step
from pipeline.audit.queries import asked_in_words
from pipeline.audit.summary import TOP, Queries, Sample, Summary
from pipeline.balance.threshold import t_in_words
from pipeline.reasons import in_words
from webimagetext.page import page

__all__ = ["render_report"]

SHOWN = 120  # characters of a text that stand there without a click


def render_report(
    name: str, steps: list[Step], summary: Summary, settings: str, threshold: float, formats: Sequence[str]
) -> str:
    """The page. ``settings`` is the run's configuration as TOML, ``threshold`` the pairs a query keeps (t of the
    balance), and ``formats`` are the names of the image formats that were read."""
    sections = {
        "What remained": _funnel(steps, formats),
        "Pictures and captions": _pictures(summary.samples),
        "Queries": _asked(summary.asked)
        + _queries(summary.queries, threshold)
        + _shortfall(summary.shortfall, threshold),
        "Make-up": _makeup(summary),
        "What was dropped": _dropped(steps, summary),
        "Settings": _settings(settings),
    }
    return page(f"Dataset {name}", _lead(steps, summary), sections)


def _folded(text: str) -> str:
    """A stranger's text, running as its letters do. Of a long one the beginning is shown, and a click or a key opens
    the rest."""
    if len(text) <= SHOWN:
        return f'<p dir="auto">{escape(text)}</p>'
    end = text.rfind(" ", SHOWN // 2, SHOWN) + 1 or SHOWN
    while end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end += 1  # an accent or a vowel sign stays with its letter
    return (
        f'<details class="text" dir="auto"><summary>{escape(text[:end])}<span class="more" aria-hidden="true"> '
        "…</span></summary>"
        f"<p>{escape(text[end:])}</p></details>"
    )


def _lead(steps: list[Step], summary: Summary) -> str:
    found = next((step.rows_in for step in steps if step.unit == "pairs"), 0)
    text = f"{number(summary.pairs)} pairs of an image and a text, kept from {number(found)} that were found."
    lost = sum(abs(step.unaccounted) for step in steps)
    warning = (
        f'<p class="warning">{number(lost)} rows are not accounted for: this run has a defect.</p>' if lost else ""
    )
    unasked = sum(step.open for step in steps)
    if unasked:
        warning += (
            f'<p class="warning">{number(unasked)} addresses are open: nobody has asked for them yet. This '
            "dataset is not finished, and the same command goes on with them.</p>"
        )
    return f"<p>{text}</p>{warning}"


def _funnel(steps: list[Step], formats: Sequence[str]) -> str:
    widest = max((step.rows_in for step in steps if step.unit == "pairs"), default=0)
    items = []
    for step in steps:
        whole = widest if step.unit == "pairs" else step.rows_in
        shape = funnel_shape(step.rows_in / whole, step.rows_out / whole) if whole else ""
        rejects = list(step.rejects.items())
        gone = ""
        if rejects or step.set_aside:
            rows = [(in_words(reason), count) for reason, count in rejects]
            if step.set_aside:
                rows.append(("kept in reserve", step.set_aside))
            dropped = step.rows_in - step.rows_out
            table = bars(rows, f"Why {number(dropped)} went, as shares of {number(step.rows_in)}", step.rows_in)
            most = max(rows, key=lambda row: row[1])[0]
            gone = f"<details><summary>{number(dropped)} went, most for: {escape(most)}</summary>{table}</details>"
        parts = ", ".join(f"{number(count)} in {escape(part)}" for part, count in step.parts.items())
        words = f"<b>{number(step.rows_out)}</b> {escape(step.title)}{f' ({parts})' if parts else ''}"
        of = f"{share(step.rows_out, step.rows_in)} of {number(step.rows_in)} {step.unit}"
        if step.open:
            hosts = ", ".join(f"{escape(host)}: {number(count)}" for host, count in step.open_at.items())
            gone += f"<p>{number(step.open)} addresses are open, most of {hosts}.</p>"
        line = f'<div class="line"><span>{words}</span><span class="soft">{of}</span></div>'
        items.append(f'<li class="{step.unit}">{line}{shape}{gone}</li>')
    note = (
        "<p>Blue is the flow of pairs: each step takes in what the one above let through. Grey are the pages and "
        "images asked for on the way. Open a line to see why the rest went. Image formats that were read: "
        f"{escape(', '.join(formats))}.</p>"
    )
    return f'{note}<ol class="step">{"".join(items)}</ol>' if items else ""


def _pictures(samples: list[Sample]) -> str:
    if not samples:
        return ""
    items = []
    for sample in samples:
        data = base64.b64encode(sample.thumbnail).decode()
        page = ""
        if sample.page_url.startswith(("http://", "https://")):
            page = f'<p><a href="{escape(sample.page_url)}" rel="noreferrer noopener nofollow">page</a></p>'
        tags = "".join(f'<span class="tag" dir="auto">{escape(query)}</span>' for query in sample.queries[:6])
        # The caption stands right below the picture, so repeating it as its alternative text would be read out twice.
        items.append(f'<li><img src="data:image/jpeg;base64,{data}" alt="">{_folded(sample.caption)}{page}{tags}</li>')
    note = "<p>A random sample of the shards: each picture with its caption and the first queries found in it.</p>"
    return f'{note}<ul class="pictures">{"".join(items)}</ul>'


def _asked(facts: dict[str, Any] | None) -> str:
    """What was asked of the balance beside what came."""
    return f"<p>The balance was {escape(asked_in_words(facts))}.</p>" if facts else ""


def _queries(queries: Queries | None, threshold: float) -> str:
    if queries is None or not len(queries.matched):
        return ""
    matched, selected = queries.matched, queries.selected
    head = int(np.searchsorted(-matched, -threshold, side="left"))  # queries with more matches than the threshold
    total, kept = int(matched.sum()), int(selected.sum())
    before, after = share(int(matched[:head].sum()), total), share(int(selected[:head].sum()), kept)
    words = (
        f"Queries with a match: {number(len(matched))}; without: {number(queries.without_match)}. "
        f"With more than t = {t_in_words(threshold)} matches: {number(head)}; they hold {before} of all matches, "
        f"and {after} of those in the pairs that the balance kept."
    )
    curve = concentration_curve(
        matched, selected, head, f"Cumulative share of matches by query, most frequent first. {words}"
    )
    legend = (
        '<p><span class="key before"></span> all matches &nbsp; <span class="key after"></span> after the balance '
        '&nbsp; <span class="key mark"></span> left of it: more than t matches</p><p class="soft">Across: queries, '
        "the most frequent first. Up: the share of all matches that they hold together.</p>"
    )
    first = zip(queries.names[:TOP].to_pylist(), matched[:TOP], selected[:TOP], strict=True)
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{escape(query)}</th>'
        f'<td class="number">{number(found)}</td><td class="number">{number(left)}</td></tr>'
        for query, found, left in first
    )
    table = (
        '<table class="narrow"><caption>Most frequent queries</caption><thead><tr><th>query</th>'
        '<th class="number">pairs that hold it</th><th class="number">kept</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return f"<p>{words}</p>{curve}{legend}{table}"


def _shortfall(facts: dict[str, Any] | None, threshold: float) -> str:
    """What queries lack of t in the end, by cause."""
    if not facts or not facts["head_queries"]:
        return ""
    head, after = facts["head_queries"], facts["head_holding_t"]
    words = (
        f"Of {number(head)} queries that could draw more than t = {t_in_words(threshold)} pairs, "
        f"{number(facts['head_holding_t_before_top_up'])} held t pairs of their own draw after the first fetch, and "
        f"{number(after)} ({share(after, head)}) after topping up from the reserve. {number(facts['short_queries'])} "
        f"queries lack {number(facts['missing_pairs'])} pairs: {number(facts['reserve_spent'])} of them have spent "
        f"their reserve, {number(facts['fewer_matches_than_t'])} had no more than t pairs to draw to begin with."
    )
    lost = facts["lost_of_short_queries"]
    table = bars(list(lost.items()), "What became of the pairs that short queries drew and lost") if lost else ""
    return f"<p>{words}</p>{table}"


def _makeup(summary: Summary) -> str:
    mean = summary.caption_characters / max(summary.pairs, 1)
    tables = [
        _top(summary.hosts, "Sites the images come from"),
        _in_order(summary.sides, "Smaller side as received, pixels"),
        _top(summary.languages, "Language that the page states"),
        _in_order(summary.english, "Probability of the wanted language, in tenths"),
        _top(summary.consent, "Consent"),
        _top(summary.sources, "Read from"),
    ]
    return f'<p>A caption has {mean:.0f} characters on average.</p><div class="columns">{"".join(tables)}</div>'


def _top(counts: Counter[str], caption: str) -> str:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = rows[:TOP]
    if rest := sum(count for _, count in rows[TOP:]):
        shown.append((f"{number(len(rows) - TOP)} others", rest))
    return f"<div>{bars(shown, caption)}</div>" if rows else ""


def _in_order(counts: Counter[str], caption: str) -> str:
    return f"<div>{bars(list(counts.items()), caption)}</div>" if counts.total() else ""


def _dropped(steps: list[Step], summary: Summary) -> str:
    totals: Counter[str] = Counter()
    for step in steps:
        if step.name != "fetch":  # the same failures as the step after it counts, by image instead of by pair
            totals.update(step.rejects)
    blocks = []
    for reason, rows in sorted(summary.rejects.items(), key=lambda item: (-totals[item[0]], item[0])):
        body = "".join(
            f'<tr><td>{_folded(row["detail"] or "")}</td><td class="soft">{_folded(row["url"] or "")}</td></tr>'
            for row in rows
        )
        blocks.append(
            f"<details><summary>{escape(in_words(reason))} ({escape(rows[0]['stage'])}): "
            f"{number(totals[reason])}</summary><table><thead><tr><th>text or detail</th><th>address</th></tr></thead>"
            f"<tbody>{body}</tbody></table></details>"
        )
    note = (
        "<p>Some of what each rule dropped, so that a rule that drops the wrong things is seen. All of it is in "
        "rejects/.</p>"
    )
    return note + "".join(blocks) if blocks else ""


def _settings(text: str) -> str:
    """The run's configuration. What scrolls sideways can be reached with the keyboard, and says what it is."""
    note = "<p>The configuration this run was made with, with everything that was left at its default.</p>"
    body = f'<pre tabindex="0" role="region" aria-label="Configuration as TOML">{escape(text)}</pre>'
    return f"{note}<details><summary>{number(len(text.splitlines()))} lines of TOML</summary>{body}</details>"
