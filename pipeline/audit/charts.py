"""Charts as fragments of HTML with inline SVG, without scripts or anything from outside. Colours come from the page's
style.

Words stay in HTML, where they wrap and keep their size on a phone; only shapes are SVG. Every shape has its numbers
beside it.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

__all__ = ["bars", "concentration_curve", "funnel_shape", "number", "share"]

CURVE_POINTS = 200
WIDTH, HEIGHT, LEFT, BOTTOM = 360, 200, 34, 24  # of the curve's drawing, in its own units


def number(value: float) -> str:
    """``12345`` -> ``12,345``."""
    return f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """``part`` of ``whole`` in per cent, with a decimal where it is small; a dash of nothing."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def funnel_shape(before: float, after: float) -> str:
    """One segment of the funnel: from ``before`` to ``after``, both shares of the widest step, 0 to 1."""
    top, bottom = 50 * before, max(50 * after, 0.3)
    points = f"{50 - top:.2f},0 {50 + top:.2f},0 {50 + bottom:.2f},10 {50 - bottom:.2f},10"
    return (
        '<svg class="funnel" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{points}"/></svg>'
    )


def bars(rows: Sequence[tuple[str, int]], caption: str, total: int | None = None) -> str:
    """A table with a bar in each row; ``total`` is what shares refer to, by default the sum."""
    whole = sum(count for _, count in rows) if total is None else total
    largest = max((count for _, count in rows), default=0) or 1
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f'<td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * count / largest:.2f}" height="10"/></svg></td>'
        f'<td class="number">{number(count)}</td><td class="number">{share(count, whole)}</td></tr>'
        for name, count in rows
    )
    return f'<table class="bars"><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>'


def _cumulative(counts: npt.NDArray[np.int64]) -> str:
    """The path of the cumulative share of ``counts``, in their order."""
    total = int(counts.sum())
    running = np.concatenate([[0], np.cumsum(counts)]) / max(total, 1)
    places = np.unique(np.linspace(0, len(running) - 1, CURVE_POINTS).astype(int))
    x = LEFT + places / max(len(running) - 1, 1) * (WIDTH - LEFT - 6)
    y = (HEIGHT - BOTTOM) - running[places] * (HEIGHT - BOTTOM - 8)
    return "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def concentration_curve(matched: npt.NDArray[np.int64], selected: npt.NDArray[np.int64], head: int, label: str) -> str:
    """Which share of all matches the most frequent queries hold, before and after the balance.

    Both arrays are in the order of falling matches; the first ``head`` queries lie above the threshold and are marked.
    """
    ticks = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = (HEIGHT - BOTTOM) - part * (HEIGHT - BOTTOM - 8)
        x = LEFT + part * (WIDTH - LEFT - 6)
        ticks.append(f'<path class="grid" d="M{LEFT},{y:.1f} H{WIDTH - 6}"/>')
        ticks.append(f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{part:.0%}</text>')
        anchor = "end" if part == 1 else "middle"
        ticks.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{number(part * len(matched))}</text>')
    mark = LEFT + head / max(len(matched), 1) * (WIDTH - LEFT - 6)
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(ticks)}'
        f'<path class="mark" d="M{mark:.1f},8 V{HEIGHT - BOTTOM}"/>'
        f'<path class="before" d="{_cumulative(matched)}"/><path class="after" d="{_cumulative(selected)}"/></svg>'
    )
