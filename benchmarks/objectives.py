"""How many images each training objective needs for the same zero-shot accuracy, on real photographs: the paper's
figure 2 at a size that a processor's cores finish.

In: photographs of products with captions (objectives_data.py). Out: for each objective and seed the zero-shot accuracy
over 81 classes of held-out photographs as training goes on (objectives_training.py); the images until nine tenths of
the accuracy that the least of figure 2's three comes to; a plot (docs/objectives.svg). ``ours`` are the images of the
contrastive objective with a text encoder without order, ``peer`` those of caption prediction, as in that figure;
``order`` is from the fewest images to the most. ``equal`` tells that all saw the same photographs in the same order.
"""

import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.objectives_data import PICTURE, Photos, photos
from benchmarks.objectives_figure import Curve, figure
from benchmarks.table import Row
from benchmarks.table import figure as worded
from webimagetext.files import write_atomic

__all__ = ["images_until", "rows", "run", "summary"]

PLOT = Path(__file__).parents[1] / "docs" / "objectives.svg"
HELD = 324  # pictures to classify
BATCH, POINTS = 64, (10, 15, 20, 30, 40, 55, 75, 100, 135, 180, 240, 300)  # steps after which accuracy is taken
SEEDS = (0, 1, 2)
FIGURE_2 = ("contrastive-bow", "bag-of-words", "caption")  # the best first, as the figure has them
OBJECTIVES = (*FIGURE_2, "contrastive", "sigmoid", "ngram", "convirt")
NEAR_GOAL = 0.9  # of what the least efficient of figure 2's objectives comes to


def images_until(images: Sequence[int], curve: Sequence[float], goal: float) -> float | None:
    """The images after which a curve first reaches ``goal``, between two points by a straight line; None if never."""
    before, less = 0.0, 0.0
    for count, share in zip(images, curve, strict=True):
        if share >= goal:
            return before + (count - before) * (goal - less) / (share - less)
        before, less = float(count), share
    return None


def summary(curves: dict[str, list[list[float]]], chance: float) -> dict[str, Any]:
    """What the curves (objective, seed, point) show: the order, the images that each needs, the ratios."""
    images = [step * BATCH for step in POINTS]
    means = {name: [sum(point) / len(point) for point in zip(*runs, strict=True)] for name, runs in curves.items()}
    goal = NEAR_GOAL * min(max(means[name]) for name in FIGURE_2)
    needed = {name: images_until(images, mean, goal) for name, mean in means.items()}
    order = sorted(means, key=lambda name: (needed[name] or math.inf, -means[name][-1]))
    ratios = {}
    for fast, slow in combinations(FIGURE_2, 2):
        each = [
            [images_until(images, runs[seed], goal) for runs in (curves[slow], curves[fast])]
            for seed in range(len(curves[slow]))
        ]
        known = [a / b for a, b in each if a and b]
        whole = (needed[slow] or math.inf) / (needed[fast] or math.inf)
        ratios[f"{slow} / {fast}"] = {
            "ratio": round(whole, 2),
            "lowest": round(min(known), 2) if known else None,
            "highest": round(max(known), 2) if known else None,
        }
    return {
        "order": order,
        "ratios": ratios,
        "seeds": len(curves[FIGURE_2[0]]),
        "goal": round(goal, 4),
        "chance": round(chance, 4),
        "images": {name: count and round(count) for name, count in needed.items()},
        "accuracy": {name: round(mean[-1], 4) for name, mean in means.items()},
        "curves": {name: [[round(share, 4) for share in run] for run in runs] for name, runs in curves.items()},
        "points": images,
    }


def _show(found: dict[str, Any]) -> None:
    print(f"{'images to':<18}{found['goal']:>10.1%}{'at the end':>12}{'lowest':>9}{'highest':>9}")
    for name in found["order"]:
        ends = [run[-1] for run in found["curves"][name]]
        needed = found["images"][name]
        told = f"{needed:,}" if needed else "never"
        print(f"{name:<18}{told:>10}{found['accuracy'][name]:>12.1%}{min(ends):>9.1%}{max(ends):>9.1%}")


def _trained(job: tuple[str, int, Photos]) -> list[float]:
    """One curve, in a process of its own with one thread: models so small gain nothing from a second one."""
    from trainer.threads import wait_asleep

    wait_asleep()
    import torch

    from benchmarks.objectives_training import curve

    torch.set_num_threads(1)
    name, seed, data = job
    found = curve(name, seed, data, BATCH, POINTS)
    print(f"{name}, seed {seed}: {found[-1]:.1%}", flush=True)
    return found


def run() -> dict[str, Any]:
    """Trains every objective from every seed on the same batches, as many at a time as there are cores. Raises
    UserError where the photographs are not here."""
    data = photos(PICTURE, HELD)
    jobs = [(name, seed, data) for seed in SEEDS for name in OBJECTIVES]
    curves: dict[str, list[list[float]]] = {name: [] for name in OBJECTIVES}
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for (name, _, _), found in zip(jobs, pool.map(_trained, jobs), strict=True):
            curves[name].append(found)
    return _told(curves, 1 / len(data.names))


def _told(curves: dict[str, list[list[float]]], chance: float) -> dict[str, Any]:
    """The result, with the plot written and the table printed."""
    found = summary(curves, chance)
    lines = [
        Curve(name, found["points"], *([f(point) for point in zip(*runs, strict=True)] for f in (_mean, min, max)))
        for name, runs in curves.items()
    ]
    with write_atomic(str(PLOT), "w") as stream:
        stream.write(figure(lines, found["goal"], found["chance"]))
    _show(found)
    best, worst = found["images"][FIGURE_2[0]], found["images"][FIGURE_2[-1]]
    return {
        "ours": best,
        "peer": worst,
        "ratio": found["ratios"][f"{FIGURE_2[-1]} / {FIGURE_2[0]}"]["ratio"],
        "unit": f"images until {found['goal']:.1%} zero-shot accuracy over {round(1 / chance)} kinds of products",
        "equal": True,
        **found,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of figure 2's three objectives."""
    images = result["images"]
    ours = f"contrastive, bags of words: {worded(images[FIGURE_2[0]])} photographs until {result['goal']:.1%} zero-shot"
    peers = f"predicted: the words {worded(images[FIGURE_2[1]])}, the caption {worded(images[FIGURE_2[2]])}"
    return [Row(ours, peers, f"{result['ratio']:.1f}")]
