"""Robustness: accuracy on shifted sets beside that on a base set of the same classes.

In: a trained model, a base set and shifted ones, each a folder of folders or shards, whose classes may be a part of the
base's. Out, for each shifted set: zero-shot accuracy on it and on the base's pictures of the same classes, chosen among
these classes alone, both with Wilson's interval; and, where other models were measured on the same sets, the effective
robustness: how far the accuracy is above what theirs let expect of such a base accuracy, by a line between the logits
(Taori et al. 2020).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.config import RobustnessConfig
from trainer.evaluate.intervals import wilson
from trainer.evaluate.labelled import Labelled, encode_labelled, labelled, labelled_as
from trainer.evaluate.zeroshot import classifier, prompts_for
from trainer.weights import load_chosen
from webimagetext.errors import UserError
from webimagetext.files import open_input

__all__ = ["among", "effective", "evaluate", "render"]


def among(similarity: Tensor, truth: Tensor, classes: Sequence[int]) -> dict[str, Any]:
    """How many of the pictures of some ``classes`` are classified rightly among them alone: (pictures, all classes)."""
    chosen = torch.tensor(sorted(classes))
    rows = torch.isin(truth, chosen)
    found = chosen[similarity[rows][:, chosen].argmax(dim=1)]
    right, total = int((found == truth[rows]).sum()), int(rows.sum())
    if not total:
        raise UserError("--data: has no picture of a shifted set's classes", "give a base set with the same classes")
    low, high = wilson(right, total)
    return {"images": total, "top1": right / total, "lowest": low, "highest": high}


def _logit(share: float, images: int) -> float:
    """The logit of a share, of half a picture more or less where all are right or none."""
    share = min(max(share, 0.5 / images), 1 - 0.5 / images)
    return math.log(share / (1 - share))


def effective(base: float, shifted: float, images: int, others: Sequence[tuple[float, float]]) -> float | None:
    """How far ``shifted`` is above what ``others`` (base and shifted accuracy of a model each) let expect; None where
    they give no line."""
    points = [(_logit(x, images), _logit(y, images)) for x, y in others]
    x_mean, y_mean = (sum(point[side] for point in points) / max(1, len(points)) for side in (0, 1))
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    if not spread:
        return None
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    expected = y_mean + slope * (_logit(base, images) - x_mean)
    return shifted - 1 / (1 + math.exp(-expected))


def _others(urls: Sequence[str]) -> list[dict[str, tuple[float, float]]]:
    """For each file that a former run wrote, the accuracies by the name of the shifted set."""
    found = []
    for url in urls:
        with open_input(url) as stream:
            try:
                rows = json.load(stream)["shifted"]
                found.append({row["set"]: (float(row["base"]["top1"]), float(row["top1"])) for row in rows})
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{url}: is none of these results", "give what `robustness --output` wrote for other models"
                ) from None
    return found


def evaluate(config: RobustnessConfig) -> dict[str, Any]:
    """Classifies all sets alike."""
    if not config.shifted:
        raise UserError("--shifted: is needed", "name one set or more to hold against --data")
    trained = load_chosen(config)
    others = _others(config.others)
    items, names = labelled(config, config.data)
    score = classifier(trained, names, prompts_for(config, trained), World(config.device).device, config.text_cache)

    def similarity(items: Sequence[Labelled]) -> tuple[Tensor, Tensor]:
        return encode_labelled(config, trained, items, names, "robustness", encode=score)

    base, truth = similarity(items)
    rows = []
    for data in config.shifted:
        found, right = similarity(labelled_as(names, config, (data,)))
        classes = sorted(set(right.tolist()))
        row = {"set": data, "classes": len(classes), **among(found, right, classes)}
        row["base"] = among(base, truth, classes)
        known = [other[data] for other in others if data in other]
        row["effective"] = effective(row["base"]["top1"], row["top1"], row["images"], known)
        rows.append(row)
    return {
        **about(trained),
        **among(base, truth, range(len(names))),
        "classes": len(names),
        "others": len(others),
        "shifted": rows,
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [
        f"{figures['images']:,} images, {figures['classes']:,} classes: top-1 {100 * figures['top1']:.1f} "
        f"({100 * figures['lowest']:.1f} to {100 * figures['highest']:.1f}) percent",
        f"{'top-1':>7}{'interval':>16}{'base':>7}{'drop':>7}{'effective':>11}{'classes':>9}{'images':>9}  set",
    ]
    for row in figures["shifted"]:
        interval = f"{100 * row['lowest']:.1f} to {100 * row['highest']:.1f}"
        above = "" if row["effective"] is None else f"{100 * row['effective']:+.1f}"
        base = row["base"]["top1"]
        lines.append(
            f"{100 * row['top1']:7.1f}{interval:>16}{100 * base:7.1f}{100 * (base - row['top1']):7.1f}{above:>11}"
            f"{row['classes']:>9,}{row['images']:>9,}  {row['set']}"
        )
    return "\n".join(lines)
