"""Curves as fragments of HTML with inline SVG, without scripts or anything from outside.

In: lines of points. Out: a figure with axes and a key. Words stay in HTML where they can; the page has the numbers
beside it, since a picture tells nothing to who cannot see it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

__all__ = ["Line", "curves"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 240, 46, 10, 8, 26  # of the drawing, in its own units
COLOURS = ("var(--blue)", "var(--orange)", "#2f8f5b", "#8a63c9", "#b8860b", "#c04a6b", "#5b8a9a", "var(--soft)")
TICKS = 5
MOST = 400  # points of a line; of more, so many are drawn


@dataclass(frozen=True)
class Line:
    """One line: its name, its points (across, up), and how it is drawn."""

    name: str
    points: Sequence[tuple[float, float]]
    drawn: Literal["line", "dots", "dashes"] = "line"


class _Axis:
    """Places of values between two ends, by themselves or by their logarithms."""

    def __init__(self, values: Sequence[float], first: float, last: float, logarithmic: bool) -> None:
        self.logarithmic = logarithmic
        seen = [math.log10(value) for value in values] if logarithmic else list(values)
        low, high = min(seen), max(seen)
        room = (high - low) * 0.04 or max(abs(high) * 0.04, 1e-9)
        self.low, self.high = (low - room, high + room) if logarithmic or low else (low, high + room)
        self.first, self.last = first, last

    def at(self, value: float) -> float:
        """Where a value lies in the drawing."""
        seen = math.log10(value) if self.logarithmic else value
        return self.first + (seen - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Round values on the axis."""
        if self.logarithmic:
            span = self.high - self.low
            steps: Sequence[float] = (1,) if span > 2.5 else (1, 2, 5) if span > 0.7 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8)
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            found = [step * 10.0**decade for decade in decades for step in steps]
            return [value for value in found if self.low <= math.log10(value) <= self.high]
        raw = (self.high - self.low) / TICKS
        decade = 10.0 ** math.floor(math.log10(raw))
        step = next(size * decade for size in (1, 2, 2.5, 5, 10) if size * decade >= raw * 0.999)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def _figure(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.6g}"


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST points, with the first and the last."""
    if len(points) <= MOST:
        return list(points)
    return [points[place * (len(points) - 1) // (MOST - 1)] for place in range(MOST)]


def curves(lines: Sequence[Line], *, across: str, up: str, log_across: bool = False, log_up: bool = False) -> str:
    """The lines in one drawing, with what lies ``across`` and ``up`` in words. Values that are not finite, or not above
    zero on a logarithmic axis, are left out; empty where nothing is left."""
    kept = []
    for line in lines:
        points = [
            (x, y)
            for x, y in line.points
            if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_across) and (y > 0 or not log_up)
        ]
        if points:
            kept.append(Line(line.name, _thinned(points), line.drawn))
    if not kept:
        return ""
    x = _Axis([x for line in kept for x, _ in line.points], LEFT, WIDTH - RIGHT, log_across)
    y = _Axis([y for line in kept for _, y in line.points], HEIGHT - BOTTOM, TOP, log_up)
    parts = []
    for value in y.ticks():
        parts.append(f'<path class="grid" d="M{LEFT},{y.at(value):.1f} H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y.at(value) + 3:.1f}" text-anchor="end">{_figure(value)}</text>')
    for value in x.ticks():
        parts.append(f'<path class="grid" d="M{x.at(value):.1f},{HEIGHT - BOTTOM} v3"/>')
        anchor = "end" if x.at(value) > WIDTH - RIGHT - 12 else "middle"
        parts.append(f'<text x="{x.at(value):.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">{_figure(value)}</text>')
    keys = []
    for number, line in enumerate(kept):
        colour = COLOURS[number % len(COLOURS)]
        places = [(x.at(a), y.at(b)) for a, b in line.points]
        if line.drawn == "dots" or len(places) == 1:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" style="fill:{colour};stroke:none"/>' for a, b in places]
        else:
            dashes = ";stroke-dasharray:4 3" if line.drawn == "dashes" else ""
            path = " L".join(f"{a:.1f},{b:.1f}" for a, b in places)
            parts.append(f'<path d="M{path}" style="stroke:{colour}{dashes}"/>')
        keys.append(f'<span class="key" style="border-color:{colour}"></span> {escape(line.name)}')
    label = f"{up} by {across}: {', '.join(line.name for line in kept)}"
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
        f"<p>{' &nbsp; '.join(keys)}</p>"
        f'<p class="soft">Across: {escape(across)}. Up: {escape(up)}.</p>'
    )
