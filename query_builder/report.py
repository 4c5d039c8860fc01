"""Draws a query list as one HTML page: counts by rank, overlap of the sources, head, foot and samples of each, and what
each rule took out.

In: ``queries.parquet``, and the near misses beside it where it has some. Out: an HTML file that needs no other file and
no network. The samples are picked by a hash of the query, so the page is the same every time.
"""

import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from query_builder.config import ReportConfig
from query_builder.inspect import head_and_foot, row_parts
from query_builder.lists import read_list, sources_of
from query_builder.near_misses import left_out, stable_order
from query_builder.schema import candidates_path, read_metadata
from webimagetext.files import exists, write_atomic

__all__ = ["report"]

CURVES = (
    ("word", "word_count", "occurrences"),
    ("bigram", "bigram_count", "occurrences"),
    ("title", "page_views", "views"),
)
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 84, 34
POINTS = 200
SAMPLES = 40
ENDS = 20  # of a source's head and foot
# What each rule asks, by its name in query_builder.schema.REASONS.
RULES = {
    "rare words": "a word of it occurs too seldom",
    "rare": "too few occurrences, or views",
    "low PMI": "its words stand together no oftener than by chance, or little",
    "low log-likelihood": "its few occurrences may be chance",
    "function word": "a word of it is a function word",
    "number": "it is a number, or begins with one",
    "stop word": "it is, or has, one of the stop words given",
    "excluded": "left out by a file that was given",
    "no room": "passed, and the list was full",
}
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #565d66; --paper: #fff; --card: #f3f5f7; --line: #d5dade;
  --bar: #7a94b8; --word: #3465a4; --bigram: #b4600a; --title: #4e7a1c; --synset: #75507b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9eb; --soft: #a4acb5; --paper: #15181b; --card: #262c32;
  --line: #3a4149; --bar: #6f8fbd; --word: #6cb2ee; --bigram: #f0a060; --title: #93cf58; --synset: #c79bd0; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem 1rem 4rem;
  color: var(--ink); background: var(--paper); overflow-wrap: break-word; }
h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; } td, th { padding: .2rem .6rem; text-align: left; vertical-align: top; }
tr:nth-child(even) td { background: var(--card); } tr:nth-child(even) .chip { background: var(--paper); }
code { overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } .wide table { min-width: 46rem; }
.chip { display: inline-block; margin: .15rem; padding: .05rem .5rem; border-radius: .6rem; background: var(--card); }
.chip small { color: var(--soft); padding-left: .3rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem; } .keys span { margin-right: 1rem; }
.plot { display: block; width: 100%; max-width: 46rem; }
.plot text { font: 13px system-ui, sans-serif; fill: var(--soft); }
.plot line { stroke: var(--line); } .plot polyline { fill: none; stroke-width: 2; }
.bar { display: block; height: .8rem; margin-top: .35rem; background: var(--bar); }
td.room { width: 40vw; max-width: 20rem; }
@media (max-width: 40rem) { .plot text { font-size: 22px; } td, th { padding: .2rem .3rem; } }
"""


def report(url: str, config: ReportConfig) -> None:
    """Writes the page. Raises UserError if ``url`` is not a query list."""
    table = read_list(url)
    metadata = read_metadata(url) or {}
    settings = "".join(f"<tr><td>{_text(k)}<td>{_text(v)}" for k, v in metadata.get("settings", {}).items())
    totals = "".join(
        f"<tr><td>{_text(k)}<td class='number'>{v:,}" for k, v in sorted(metadata.get("totals", {}).items())
    )
    inputs = "".join(
        f"<tr><td>{_text(item['name'])}<td class='number'>{item['bytes']:,}<td><code>{item['sha256']}</code>"
        for item in metadata.get("inputs", ())
    )
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Query list</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>
<h1>{len(table):,} queries</h1>
<h2>Counts by rank</h2><p>Both axes are logarithmic; each curve has the queries that its source gave.</p>
{_curves(table)}
<h2>Sources</h2>{_sources(table)}
<h2>Overlap</h2><p>Queries by the exact set of sources whose thresholds they pass.</p>{_overlap(table)}
<h2>Head, foot, samples</h2>{"".join(_samples(table, source) for source in sources_of(table))}
<h2>What each rule took out</h2>{_taken_out(url, metadata)}
<h2>How it was made</h2><table>{settings}</table>
<h2>What was read</h2><table>{totals}</table>
<h2>Inputs</h2><div class="wide"><table><tr><th>file<th class="number">bytes<th>SHA-256{inputs}</table></div></html>
"""
    with write_atomic(config.output, "w") as stream:
        stream.write(page)
    print(f"{config.output}: open it in a browser")


def _text(value: object) -> str:
    return html.escape(str(value))


def _curves(table: pa.Table) -> str:
    series = {}
    for source, column, unit in CURVES:
        part = table.filter(pc.equal(table["admitted"], source))
        values = np.sort(part[column].drop_null().to_numpy())[::-1]
        if len(values) and values[0] > 0:
            series[f"{source}s ({unit})"] = (f"var(--{source})", values[values > 0])
    if not series:
        return "<p>Nothing was counted.</p>"
    most = max(float(values[0]) for _, values in series.values())
    longest = max(len(values) for _, values in series.values())
    return _plot(series, max(math.log10(longest), 1e-9), max(math.log10(most), 1e-9))


def _plot(series: dict[str, tuple[str, npt.NDArray[np.int64]]], x_end: float, y_end: float) -> str:
    def place(x: float, y: float) -> str:
        return (
            f"{LEFT + x / x_end * (WIDTH - LEFT - 10):.1f},{HEIGHT - BOTTOM - y / y_end * (HEIGHT - BOTTOM - 10):.1f}"
        )

    keys = "".join(
        f'<span><i class="key" style="background:{c}"></i>{label}</span>' for label, (c, _) in series.items()
    )
    parts = [f'<p class="keys">{keys}</p><svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"']
    parts.append(' aria-label="Counts by rank">')
    for power in range(math.floor(x_end) + 1):
        x = place(power, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - 12}" text-anchor="middle">{10**power:,}</text>')
    for power in range(math.floor(y_end) + 1):
        y = place(0, power).split(",")[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" dominant-baseline="middle">{10**power:,}</text>')
    for colour, values in series.values():
        ranks = np.unique(np.geomspace(1, len(values), POINTS).astype(np.int64))
        points = " ".join(place(math.log10(rank), math.log10(values[rank - 1])) for rank in ranks.tolist())
        parts.append(f'<polyline points="{points}" style="stroke:{colour}"/>')
    return "".join([*parts, "</svg>"])


def _sources(table: pa.Table) -> str:
    passed = Counter(source for sources in table["sources"].to_pylist() for source in sources)
    admitted = Counter(table["admitted"].to_pylist())
    rows = "".join(
        f"<tr><td>{_text(name)}<td class='number'>{passed[name]:,}<td class='number'>{admitted[name]:,}"
        for name in sorted(passed | admitted)
    )
    return f"<table><tr><th>source<th>pass its threshold<th>stand in its places{rows}</table>"


def _overlap(table: pa.Table) -> str:
    sets = Counter(tuple(sources) for sources in table["sources"].to_pylist())
    most = max(sets.values(), default=1)
    rows = []
    for names, count in sorted(sets.items(), key=lambda item: (-item[1], item[0])):
        bar = f"<span class='bar' style='width:{100 * count / most:.1f}%'></span>"
        names_ = _text(" + ".join(names) or "none")
        rows.append(f"<tr><td>{names_}<td class='number'>{count:,}<td class='room'>{bar}")
    return f"<table><tr><th>sources<th>queries<th>{''.join(rows)}</table>"


def _samples(table: pa.Table, source: str) -> str:
    part = table.filter(pc.equal(table["admitted"], source))
    head, foot = head_and_foot(part, source, ENDS)
    drawn = sorted(zip(part["query"].to_pylist(), part["surface"].to_pylist(), strict=True), key=_drawn_by)[:SAMPLES]
    return (
        f"<h3>{_text(source or 'no source')}</h3>"
        f"<p>the first {len(head)}: {_chips(map(row_parts, head))}</p>"
        f"<p>the last {len(foot)}: {_chips(map(row_parts, foot))}</p>"
        f"<p>drawn by lot: {_chips([surface] for _, surface in drawn)}</p>"
    )


def _drawn_by(row: tuple[str, str]) -> bytes:
    return stable_order(row[0])


def _chips(rows: Iterable[Sequence[str]]) -> str:
    """A text each, with its numbers behind it."""
    chips = []
    for text, *numbers in rows:
        told = f"<small>{_text(', '.join(numbers))}</small>" if numbers else ""
        chips.append(f'<span class="chip">{_text(text)}{told}</span>')
    return " ".join(chips) or "none"


def _taken_out(url: str, metadata: Mapping[str, Any]) -> str:
    """A table of the rules: how many of a source's candidates each kept out, the best of them, and a sample."""
    if not exists(candidates_path(url)):
        return "<p>No file beside the list tells of it.</p>"
    counted = metadata.get("rules", {})
    rows = []
    for (source, reason), found in sorted(left_out(url, SAMPLES // 4, SAMPLES // 2).items()):
        count = counted.get(source, {}).get(reason, found.count)
        rows.append(
            f"<tr><td>{_text(source)}<td>{_text(RULES.get(reason, reason))}<td class='number'>{count:,}"
            f"<td>{_chips([text] for text in found.best)}<td>{_chips([text] for text in found.sample)}"
        )
    return (
        "<p>Bigrams are all that occur; words, those with at least a tenth of the occurrences needed; titles and "
        "synsets, the best.</p><div class='wide'><table><tr><th>source<th>rule<th>left out<th>the best of those kept"
        "<th>drawn by lot"
        f"{''.join(rows)}</table></div>"
    )
