"""The suite: zero-shot classification on every evaluation set that lies in a folder, in one table.

In: a trained model, and a folder with a folder for each set (known_sets.py). Out: for each set what is usually stated
of it, beside chance, with Wilson's interval where it is a share of pictures; and the mean over sets.
"""

from typing import Any

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.config import SuiteConfig
from trainer.evaluate.features import encode_pictures
from trainer.evaluate.intervals import wilson
from trainer.evaluate.known_sets import Found, Picture, find_sets, read_set
from trainer.evaluate.zeroshot import PROMPTS, accuracy, classifier, prompts_for
from trainer.weights import Trained, load_chosen
from webimagetext.errors import UserError
from webimagetext.files import is_folder

__all__ = ["evaluate", "render", "roc_auc"]

METRICS = {
    "top1": "top-1",
    "mean_per_class": "mean over classes",
    "mean_top1_top5": "mean of top-1 and top-5",
    "roc_auc": "area under the ROC curve",
}


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """The chance that a positive picture has a higher score than another one; half a chance where they are equal."""
    _, place, count = torch.unique(scores.double(), return_inverse=True, return_counts=True)
    ranks = (count.cumsum(0) - (count - 1) / 2)[place]
    right, wrong = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - right * (right + 1) / 2) / (right * wrong))


def _row(config: SuiteConfig, trained: Trained, found: Found, device: torch.device) -> dict[str, Any]:
    """The figures of one set."""
    pictures, names, theirs = read_set(found, config.limit)
    prompts = prompts_for(config, trained, theirs or PROMPTS)
    if len(names) < 2:
        raise UserError(f"{found.folder}: has pictures of fewer than two classes")
    score = classifier(trained, names, prompts, device, config.text_cache)
    kept, scores = encode_pictures(
        trained, pictures, Picture.take, device=device, crop=config.crop, batch_size=config.batch_size,
        label=found.name, encode=score,
    )  # fmt: skip
    if not kept:
        raise UserError(f"{found.folder}: none of its pictures could be read")
    number = {name: index for index, name in enumerate(names)}
    truth = torch.tensor([number[picture.name] for picture in kept])
    figures = accuracy(scores, truth)
    metric = found.known.metric if found.known else "top1"
    chance = 1 / len(names)
    if metric == "roc_auc" and len(names) == 2 == len(set(truth.tolist())):
        value, chance = roc_auc(scores[:, 1] - scores[:, 0], truth == 1), 0.5
    elif metric == "mean_top1_top5":
        value, chance = (figures["top1"] + figures["top5"]) / 2, (chance + min(1.0, 5 * chance)) / 2
    elif metric == "mean_per_class":
        value = figures["mean_per_class"]
    else:
        metric, value = "top1", figures["top1"]
    row: dict[str, Any] = {
        "set": found.name,
        "title": found.known.title if found.known else found.name,
        "images": len(kept),
        "classes": len(names),
        "prompts": len(prompts),
        "metric": metric,
        "value": value,
        "chance": chance,
        **figures,
    }
    if metric == "top1":
        row["lowest"], row["highest"] = wilson(round(value * len(kept)), len(kept))
    return row


def evaluate(config: SuiteConfig) -> dict[str, Any]:
    """Evaluates all sets by one model. Raises UserError where there is none that it can be evaluated on."""
    if len(config.data) != 1 or not is_folder(config.data[0]):
        raise UserError("--data: is one folder, with a folder for each set")
    sets = find_sets(config.data[0])
    trained = load_chosen(config)
    device = World(config.device).device
    rows, left_out = [], []
    for found in sets:
        try:
            rows.append(_row(config, trained, found, device))
        except UserError as error:
            left_out.append({"set": found.name, "why": str(error)})
    if not rows:
        raise UserError(f"{config.data[0]}: none of the sets can be evaluated: {left_out[0]['why']}")
    return {
        **about(trained),
        "sets": rows,
        "left_out": left_out,
        "mean": sum(row["value"] for row in rows) / len(rows),
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    width = max(len(row["title"]) for row in figures["sets"])
    lines = [f"{'set':<{width}}{'images':>9}{'classes':>9}{'percent':>9}{'interval':>16}{'chance':>8}  what"]
    for row in figures["sets"]:
        interval = f"{100 * row['lowest']:.1f} to {100 * row['highest']:.1f}" if "lowest" in row else ""
        lines.append(
            f"{row['title']:<{width}}{row['images']:>9,}{row['classes']:>9,}{100 * row['value']:9.1f}{interval:>16}"
            f"{100 * row['chance']:8.1f}  {METRICS[row['metric']]}"
        )
    lines.append(f"mean of {len(figures['sets'])} sets: {100 * figures['mean']:.1f}")
    lines += [f"left out: {row['set']}: {row['why']}" for row in figures["left_out"]]
    return "\n".join(lines)
