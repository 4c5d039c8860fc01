"""The plot of the objectives' comparison: images processed against zero-shot accuracy, as an SVG of its own.

In: for each objective the images and the accuracies along its curve, and the range over seeds. Out: the text of an SVG
file: both axes labelled, a line with its range and a name at its end for each objective.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Curve", "figure"]

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 150, 16, 44
COLOURS = ("#0b6e99", "#c2410c", "#2e7d32", "#7b1fa2", "#a16207", "#be185d", "#475569")
GAP = 14  # between two names at the right

Scale = Callable[[float], float]


class Curve(NamedTuple):
    """One objective: at each number of images the mean accuracy, and the lowest and highest of the seeds."""

    name: str
    images: Sequence[int]
    mean: Sequence[float]
    lowest: Sequence[float]
    highest: Sequence[float]


def figure(curves: Sequence[Curve], goal: float, chance: float) -> str:
    """The SVG. The accuracy ``goal`` at which objectives are compared and ``chance`` are marked."""
    most = max(curve.images[-1] for curve in curves)
    top = max(max(curve.highest) for curve in curves) * 1.05

    def x(images: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * images / most

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share / top

    parts = [*_axes(x, y, most, top)]
    for share, name in ((goal, "compared here"), (chance, "chance")):
        parts.append(f'<path d="M{LEFT},{y(share):.1f} H{WIDTH - RIGHT}" class="mark"/>')
        parts.append(f'<text x="{LEFT + 4}" y="{y(share) - 4:.1f}" class="small">{name}</text>')
    places: list[float] = []
    ranked = sorted(zip(curves, COLOURS, strict=False), key=lambda pair: -pair[0].mean[-1])
    for curve, colour in ranked:
        upper = [f"{x(i):.1f},{y(v):.1f}" for i, v in zip(curve.images, curve.highest, strict=True)]
        lower = [f"{x(i):.1f},{y(v):.1f}" for i, v in zip(curve.images, curve.lowest, strict=True)]
        line = [f"{x(i):.1f},{y(v):.1f}" for i, v in zip(curve.images, curve.mean, strict=True)]
        parts.append(f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill="{colour}" opacity="0.15"/>')
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        places.append(max(y(curve.mean[-1]), places[-1] + GAP if places else 0))
        parts.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{places[-1] + 4:.1f}" fill="{colour}">{escape(curve.name)}</text>'
        )
    style = (
        "text{font:13px sans-serif}.small{font-size:11px;fill:#666}"
        ".grid{stroke:#ddd}.mark{stroke:#666;stroke-dasharray:4}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Zero-shot accuracy against images processed, by objective"><style>{style}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _axes(x: Scale, y: Scale, most: int, top: float) -> Iterator[str]:
    """Lines at round numbers, what they stand for, and what the axes are."""
    bottom = HEIGHT - BOTTOM
    for share in _round_numbers(top):
        yield f'<path d="M{LEFT},{y(share):.1f} H{WIDTH - RIGHT}" class="grid"/>'
        yield f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end" class="small">{share:.0%}</text>'
    for images in _round_numbers(most):
        yield f'<path d="M{x(images):.1f},{TOP} V{bottom}" class="grid"/>'
        yield f'<text x="{x(images):.1f}" y="{bottom + 16}" text-anchor="middle" class="small">{images:,.0f}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">images processed</text>'
    place = f"{14},{(TOP + bottom) / 2:.0f}"
    yield f'<text transform="translate({place}) rotate(-90)" text-anchor="middle">zero-shot accuracy</text>'


def _round_numbers(most: float) -> list[float]:
    """Five or so multiples of 1, 2 or 5 times a power of ten, from 0 up to ``most``."""
    power = 10 ** math.floor(math.log10(most / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most / 6)
    return [step * index for index in range(int(most / step) + 1)]
