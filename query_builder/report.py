"""Draws a query list as one HTML page: counts by rank, overlap of the sources, head, foot and samples of each, and what
each rule took out.

In: ``queries.parquet``, and the near misses beside it where it has some. Out: an HTML file that needs no other file and
no network. The samples are picked by a hash of the query, so the page is the same every time.
"""

import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from query_builder.config import ReportConfig
from query_builder.inspect import head_and_foot, row_line
from query_builder.lists import read_list, sources_of
from query_builder.near_misses import left_out, stable_order
from query_builder.schema import candidates_path, read_metadata
from webimagetext.files import exists, write_atomic

__all__ = ["report"]

COLOURS = {"word": "#3465a4", "bigram": "#c4730a", "title": "#4e8a1c", "synset": "#75507b"}
CURVES = (
    ("word", "word_count", "occurrences"),
    ("bigram", "bigram_count", "occurrences"),
    ("title", "page_views", "views"),
)
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 60, 34
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
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.2rem; } table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr:nth-child(even) td { background: #f4f4f2; }
.chip { display: inline-block; margin: .15rem; padding: .05rem .5rem; border-radius: .6rem; background: #eeeeea; }
svg text { font: 12px system-ui, sans-serif; fill: #555; } code { overflow-wrap: anywhere; }
"""


def report(url: str, config: ReportConfig) -> None:
    """Writes the page. Raises UserError if ``url`` is not a query list."""
    table = read_list(url)
    metadata = read_metadata(url) or {}
    settings = "".join(f"<tr><td>{_text(k)}<td>{_text(v)}" for k, v in metadata.get("settings", {}).items())
    totals = "".join(f"<tr><td>{_text(k)}<td>{v:,}" for k, v in sorted(metadata.get("totals", {}).items()))
    inputs = "".join(
        f"<tr><td>{_text(item['name'])}<td>{item['bytes']:,}<td><code>{item['sha256']}</code>"
        for item in metadata.get("inputs", ())
    )
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Query list</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
<h1>{len(table):,} queries</h1>
<h2>Counts by rank</h2><p>Both axes are logarithmic; each curve has the queries that its source gave.</p>
{_curves(table)}
<h2>Sources</h2>{_sources(table)}
<h2>Overlap</h2><p>Queries by the exact set of sources whose thresholds they pass.</p>{_overlap(table)}
<h2>Head, foot, samples</h2>{"".join(_samples(table, source) for source in sources_of(table))}
<h2>What each rule took out</h2>{_taken_out(url, metadata)}
<h2>How it was made</h2><table>{settings}</table>
<h2>What was read</h2><table>{totals}</table>
<h2>Inputs</h2><table><tr><th>file<th>bytes<th>SHA-256{inputs}</table></html>
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
            series[f"{source}s ({unit})"] = (COLOURS[source], values[values > 0])
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

    parts = [f'<svg viewBox="0 0 {WIDTH + 190} {HEIGHT}" role="img" aria-label="Counts by rank">']
    for power in range(math.floor(x_end) + 1):
        x = place(power, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - 12}" text-anchor="middle">{10**power:,}</text>')
    for power in range(math.floor(y_end) + 1):
        y = place(0, power).split(",")[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" dominant-baseline="middle">{10**power:,}</text>')
    for number, (label, (colour, values)) in enumerate(series.items()):
        ranks = np.unique(np.geomspace(1, len(values), POINTS).astype(np.int64))
        points = " ".join(place(math.log10(rank), math.log10(values[rank - 1])) for rank in ranks.tolist())
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<rect x="{WIDTH}" y="{20 + 20 * number}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH + 18}" y="{30 + 20 * number}">{label}</text>')
    return "".join([*parts, "</svg>"])


def _sources(table: pa.Table) -> str:
    passed = Counter(source for sources in table["sources"].to_pylist() for source in sources)
    admitted = Counter(table["admitted"].to_pylist())
    rows = "".join(
        f"<tr><td>{_text(name)}<td>{passed[name]:,}<td>{admitted[name]:,}" for name in sorted(passed | admitted)
    )
    return f"<table><tr><th>source<th>pass its threshold<th>stand in its places{rows}</table>"


def _overlap(table: pa.Table) -> str:
    sets = Counter(tuple(sources) for sources in table["sources"].to_pylist())
    most = max(sets.values(), default=1)
    rows = []
    for names, count in sorted(sets.items(), key=lambda item: (-item[1], item[0])):
        bar = f'<svg width="240" height="12"><rect width="{240 * count / most:.1f}" height="12" fill="#7a94b8"/></svg>'
        rows.append(f"<tr><td>{_text(' + '.join(names) or 'none')}<td>{count:,}<td style='text-align:left'>{bar}")
    return f"<table><tr><th>sources<th>queries<th>{''.join(rows)}</table>"


def _samples(table: pa.Table, source: str) -> str:
    part = table.filter(pc.equal(table["admitted"], source))
    head, foot = head_and_foot(part, source, ENDS)
    drawn = sorted(zip(part["query"].to_pylist(), part["surface"].to_pylist(), strict=True), key=_drawn_by)[:SAMPLES]
    return (
        f"<h3>{_text(source or 'no source')}</h3>"
        f"<p>the first {len(head)}: {_chips(map(row_line, head))}</p>"
        f"<p>the last {len(foot)}: {_chips(map(row_line, foot))}</p>"
        f"<p>drawn by lot: {_chips(surface for _, surface in drawn)}</p>"
    )


def _drawn_by(row: tuple[str, str]) -> bytes:
    return stable_order(row[0])


def _chips(texts: Iterable[str]) -> str:
    return "".join(f'<span class="chip">{_text(text)}</span>' for text in texts) or "none"


def _taken_out(url: str, metadata: Mapping[str, Any]) -> str:
    """A table of the rules: how many of a source's candidates each kept out, the best of them, and a sample."""
    if not exists(candidates_path(url)):
        return "<p>No file beside the list tells of it.</p>"
    counted = metadata.get("rules", {})
    rows = []
    for (source, reason), found in sorted(left_out(url, SAMPLES // 4, SAMPLES // 2).items()):
        count = counted.get(source, {}).get(reason, found.count)
        rows.append(
            f"<tr><td>{_text(source)}<td>{_text(RULES.get(reason, reason))}<td>{count:,}"
            f"<td style='text-align:left'>{_chips(found.best)}<td style='text-align:left'>{_chips(found.sample)}"
        )
    return (
        "<p>Bigrams are all that occur; words, those with at least a tenth of the occurrences needed; titles and "
        "synsets, the best.</p><table><tr><th>source<th>rule<th>left out<th>the best of those kept<th>drawn by lot"
        f"{''.join(rows)}</table>"
    )
