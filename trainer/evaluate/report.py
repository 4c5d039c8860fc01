"""The page of an evaluation: what the terminal shows, a drawing of it, and all figures.

In: the name of an evaluation, its figures, and its table. Out: one HTML file (webimagetext/page.py).
"""

import json
import math
from collections.abc import Callable
from html import escape
from typing import Any

from webimagetext.curves import Line, curves
from webimagetext.page import page

__all__ = ["report"]

Figures = dict[str, Any]


def _shares(rows: list[tuple[str, float]]) -> str:
    """A table with a bar for each share."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{100 * min(1.0, max(0.0, share)):.2f}" height="10"/></svg></td>'
        f'<td class="number">{100 * share:.1f} %</td></tr>'
        for name, share in rows
    )
    return f'<table class="bars"><caption>In percent</caption><tbody>{body}</tbody></table>'


def _retrieval(figures: Figures) -> str:
    lines = []
    for way in ("image_to_text", "text_to_image"):
        for suffix, kind in (("", "line"), ("_chance", "dashes")):
            points = [(float(k), 100 * value) for k, value in figures[way + suffix].items()]
            lines.append(Line((way + suffix).replace("_", " "), points, "line" if kind == "line" else "dashes"))
    return curves(lines, across="rank", up="recall in percent")


def _accuracies(figures: Figures) -> str:
    names = {"top1": "top-1", "top5": "top-5", "mean_per_class": "mean over classes", "chance": "chance"}
    return _shares([(words, figures[name]) for name, words in names.items()])


def _probe(figures: Figures) -> str:
    points = [(row["strength"], 100 * row["accuracy"]) for row in figures["strengths"]]
    lines = [Line("accuracy on what chose the strength", points)]
    return _accuracies(figures) + curves(lines, across="strength C", up="percent", log_across=True)


def _fewshot(figures: Figures) -> str:
    curve = figures["curve"]
    ends = (curve[0]["shots"], curve[-1]["shots"])
    lines = [Line("probe, mean of draws", [(row["shots"], 100 * row["top1"]) for row in curve])]
    lines += [
        Line(f"{name} of draws", [(row["shots"], 100 * row[name]) for row in curve], "dots")
        for name in ("lowest", "highest")
    ]
    lines.append(Line("zero-shot", [(shots, 100 * figures["zeroshot"]) for shots in ends], "dashes"))
    return curves(lines, across="pictures a class", up="top-1 in percent", log_across=True)


def _robustness(figures: Figures) -> str:
    rows = figures["shifted"]
    lines = [Line(row["set"], [(100 * row["base"]["top1"], 100 * row["top1"])], "dots") for row in rows]
    ends = [min(min(point) for line in lines for point in line.points), max(100 * row["base"]["top1"] for row in rows)]
    lines.append(Line("as on the base", [(value, value) for value in ends], "dashes"))
    return curves(lines, across="top-1 on the base, percent", up="top-1 on the shifted set, percent")


def _overlap(figures: Figures) -> str:
    names = {"top1": "all", "top1_clean": "without those trained on", "top1_overlap": "on those trained on"}
    return _shares([(words, figures[name]) for name, words in names.items() if name in figures])


def _suite(figures: Figures) -> str:
    return _shares([(row["title"], row["value"]) for row in figures["sets"]])


def _scaling(figures: Figures) -> str:
    runs = figures["runs"]
    first, last = math.log(runs[0]["x"]), math.log(10 * runs[-1]["x"])
    places = [math.exp(first + (last - first) * number / 50) for number in range(51)]
    fit = [(x, 100 * (figures["factor"] * x ** -figures["exponent"] + figures["floor"])) for x in places]
    lines = [Line("runs", [(row["x"], 100 * row["error"]) for row in runs], "dots"), Line("fit", fit, "dashes")]
    return curves(lines, across=figures["by"], up="error in percent", log_across=True, log_up=True)


DRAWN: dict[str, Callable[[Figures], str]] = {
    "retrieval": _retrieval,
    "zeroshot": _accuracies,
    "probe": _probe,
    "fewshot": _fewshot,
    "robustness": _robustness,
    "overlap": _overlap,
    "suite": _suite,
    "scaling": _scaling,
}


def report(verb: str, figures: Figures, table: str) -> str:
    """The page."""

    def block(text: str, name: str) -> str:
        return f'<pre tabindex="0" role="region" aria-label="{name}">{escape(text)}</pre>'

    model = figures.get("checkpoint", "")
    lead = f"<p>{escape(model)}, step {figures['step']:,}</p>" if model else ""
    everything = block(json.dumps(figures, indent=1), "All figures as JSON")
    sections = {
        "Result": block(table, "Result"),
        "Drawing": DRAWN[verb](figures),
        "All figures": f"<details><summary>as JSON</summary>{everything}</details>",
    }
    return page(f"Evaluation: {verb}", lead, sections)
