"""Scaling: the power law between what training took and the error that is left, over several runs.

In: files of figures that ``--output`` wrote, or folders of runs with evaluations in their logs. Out: the line that fits
best between the logarithms of the compute (or samples, or parameters) and of the error, its exponent with the standard
error, how much of the spread it explains, and what it lets expect of ten times as much. With a floor the error falls
towards a constant that is fitted too.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.evaluate.config import ScalingConfig
from webimagetext.errors import UserError
from webimagetext.files import is_folder, join, open_input

__all__ = ["Law", "evaluate", "fit_law", "render"]

FINEST = 200  # floors that are tried
HALVINGS = 60  # of the interval around the best of them
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Law:
    """error = factor · x ^ -exponent + floor."""

    factor: float
    exponent: float
    floor: float
    deviation: float  # the standard error of the exponent; nan of two points
    explained: float  # share of the spread of the logarithms, 0 to 1

    def at(self, x: float) -> float:
        """The error that it lets expect."""
        return float(self.factor * x**-self.exponent + self.floor)


def _line(x: Sequence[float], y: Sequence[float], floor: float) -> tuple[Law, float]:
    """The line through the logarithms above a floor, and the sum of its squared errors."""
    across, up = np.log(np.asarray(x)), np.log(np.asarray(y) - floor)
    centred = across - across.mean()
    spread = float(centred @ centred)
    slope = float(centred @ up) / spread
    left = up - up.mean() - slope * centred
    wrong, whole = float(left @ left), float(((up - up.mean()) ** 2).sum())
    deviation = math.sqrt(wrong / (len(x) - 2) / spread) if len(x) > 2 else math.nan
    factor = math.exp(float(up.mean()) - slope * float(across.mean()))
    return Law(factor, -slope, floor, deviation, 1 - wrong / whole if whole else 1.0), wrong


def fit_law(x: Sequence[float], y: Sequence[float], *, floor: bool = False) -> Law:
    """The law for errors ``y`` at ``x``, both above zero; with a ``floor`` the one between 0 and the least error that
    fits best. Raises ValueError for fewer than two different ``x``."""
    if len(set(x)) < 2:
        raise ValueError("one place gives no line")
    if not floor:
        return _line(x, y, 0.0)[0]
    least = min(y)
    tried = [least * number / FINEST for number in range(FINEST)]
    best = min(range(FINEST), key=lambda number: _line(x, y, tried[number])[1])
    low, high = tried[max(0, best - 1)], tried[min(FINEST - 1, best + 1)]
    for _ in range(HALVINGS):
        one, other = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, other) if _line(x, y, one)[1] <= _line(x, y, other)[1] else (one, high)
    return min((_line(x, y, value) for value in (0.0, (low + high) / 2)), key=lambda found: found[1])[0]


def _figure(figures: dict[str, Any], path: str) -> Any:
    """A figure by its name, or by names with dots between."""
    found: Any = figures
    for name in path.split("."):
        found = found[name]
    return found


def _figures_of(url: str) -> dict[str, Any]:
    """The figures in a file, or those of the last evaluation that the log of a run has."""
    try:
        if not is_folder(url):
            with open_input(url) as stream:
                return dict(json.load(stream))
        with open_input(join(url, "log.jsonl")) as stream:
            events = [json.loads(line) for line in stream.read().decode().splitlines() if line.strip()]
        return next(dict(event) for event in reversed(events) if event["event"] == "evaluation")
    except StopIteration:
        raise UserError(f"{url}: its log has no evaluation", "train with --evaluate-every") from None
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{url}: holds no figures", "give what an evaluation's --output wrote, or the folder of a run"
        ) from None


def evaluate(config: ScalingConfig) -> dict[str, Any]:
    """Reads the runs and fits. Raises UserError where there are too few, or one doesn't say what is asked for."""
    if not config.runs:
        raise UserError("--runs: is needed", "name files that --output wrote, or folders of runs")
    rows: list[tuple[float, float, str]] = []
    for url in config.runs:
        figures = _figures_of(url)
        try:
            x, value = float(figures[config.by]), float(_figure(figures, config.figure))
        except (LookupError, TypeError, ValueError):
            known = ", ".join(sorted(name for name, value in figures.items() if isinstance(value, float | int)))
            raise UserError(
                f"{url}: does not state {config.by} and {config.figure}", f"choose --by and --figure from {known}"
            ) from None
        if not (x > 0 and value < 1):
            raise UserError(f"{url}: {config.by} {x:g} and {config.figure} {value:g} leave no error to fit")
        rows.append((x, 1 - value, url))
    least = 4 if config.floor else 3
    if len({x for x, _, _ in rows}) < least:
        raise UserError(f"--runs: a fit needs {least} runs or more of different {config.by}")
    rows.sort()
    law = fit_law([x for x, _, _ in rows], [error for _, error, _ in rows], floor=config.floor)
    most = rows[-1][0]
    return {
        "by": config.by,
        "figure": config.figure,
        "runs": [{"run": url, "x": x, "error": error, "expected": law.at(x)} for x, error, url in rows],
        "span": most / rows[0][0],
        "factor": law.factor,
        "exponent": law.exponent,
        "deviation": law.deviation,
        "floor": law.floor,
        "explained": law.explained,
        "expected_of_ten_times": law.at(10 * most),
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [f"{figures['by']:>12}{'error':>9}{'fit':>9}  run"]
    lines += [
        f"{row['x']:12.4g}{100 * row['error']:9.2f}{100 * row['expected']:9.2f}  {row['run']}"
        for row in figures["runs"]
    ]
    above = f" above {100 * figures['floor']:.2f} percent" if figures["floor"] else ""
    lines.append(
        f"error in percent of {figures['figure']}: falls as {figures['by']} ^ -{figures['exponent']:.4f} "
        f"(standard error {figures['deviation']:.4f}){above}, over {figures['span']:.3g} times; "
        f"{100 * figures['explained']:.1f} % of the spread explained"
    )
    lines.append(
        f"ten times the {figures['by']} of the largest lets expect {100 * figures['expected_of_ten_times']:.2f}"
    )
    return "\n".join(lines)
