"""The few-shot curve: how many labelled pictures a class a probe needs to match zero-shot classification.

In: a trained model, pictures with classes to draw a few from, and others to classify. Out: the accuracy of logistic
regression on the features of 1, 2, 4 … drawn pictures a class, the mean of several draws, beside that of the model's
own class vectors; and where the curve reaches it, between two numbers by the logarithm of the shots.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.config import FewshotConfig
from trainer.evaluate.features import with_features
from trainer.evaluate.labelled import encode_labelled, labelled_as
from trainer.evaluate.logistic import fit
from trainer.evaluate.probe import features_of
from trainer.evaluate.zeroshot import accuracy, classifier, prompts_for
from trainer.weights import load_chosen
from webimagetext.errors import UserError

__all__ = ["evaluate", "render", "shots_to_match"]


def _drawn(truth: Tensor, classes: int, shots: int, draw: int) -> Tensor:
    """``shots`` rows of each class, by lot: the same for the same numbers, and those of fewer shots are among them."""
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(draw))
    return torch.cat([order[truth[order] == index][:shots] for index in range(classes)])


def shots_to_match(curve: Sequence[tuple[int, float]], goal: float) -> float | None:
    """The number of shots at which a curve (shots, accuracy) first reaches ``goal``, between two by the logarithm of
    the shots; the first number where that reaches it already, None where none does."""
    before: tuple[int, float] | None = None
    for shots, value in curve:
        if value >= goal:
            if before is None:
                return float(shots)
            fewer, less = before
            return float(fewer * (shots / fewer) ** ((goal - less) / (value - less)))
        before = shots, value
    return None


def evaluate(config: FewshotConfig) -> dict[str, Any]:
    """Draws, fits and classifies. Raises UserError where no class has enough pictures for the fewest shots."""
    if not config.train_data:
        raise UserError("--train-data: is needed", "name labelled pictures to draw from, apart from --data")
    trained = load_chosen(config)
    names: list[str] = []
    features, truth = features_of(config, config.train_data, names, trained, "draw from")
    fewest = int(torch.bincount(truth, minlength=len(names)).min())
    sizes = sorted({shots for shots in config.shots if shots <= fewest})
    if not sizes:
        raise UserError(
            f"--train-data: the smallest class has {fewest} pictures, fewer than --shots asks for",
            "give more pictures, or fewer shots",
        )
    score = classifier(trained, names, prompts_for(config, trained), World(config.device).device, config.text_cache)
    items = labelled_as(names, config, config.data)
    both, answers = encode_labelled(config, trained, items, names, "few shots", encode=with_features(trained, score))
    test, scores = both[:, : -len(names)], both[:, -len(names) :]
    strength, curve = config.strength or 1.0, []
    for shots in sizes:
        found = []
        for draw in range(config.draws):
            rows = _drawn(truth, len(names), shots, draw)
            fitted = fit(features[rows], truth[rows], len(names), strength)
            found.append(accuracy(fitted.scores(test), answers)["top1"])
        mean = sum(found) / len(found)
        curve.append({"shots": shots, "top1": mean, "lowest": min(found), "highest": max(found)})
    goal = accuracy(scores, answers)["top1"]
    return {
        **about(trained),
        "images": len(test),
        "classes": len(names),
        "draws": config.draws,
        "strength": strength,
        "curve": curve,
        "zeroshot": goal,
        "shots_to_match": shots_to_match([(shots, row["top1"]) for shots, row in zip(sizes, curve, strict=True)], goal),
        "smallest_class": fewest,
        "chance": 1 / len(names),
    }


def render(figures: dict[str, Any]) -> str:
    """The curve as a table for people."""
    lines = [
        f"{figures['images']:,} images, {figures['classes']:,} classes; means of {figures['draws']} draws, in percent"
    ]
    lines.append(f"{'shots':>6}{'top-1':>8}{'lowest':>9}{'highest':>9}")
    lines += [
        f"{row['shots']:>6}{100 * row['top1']:8.1f}{100 * row['lowest']:9.1f}{100 * row['highest']:9.1f}"
        for row in figures["curve"]
    ]
    match, last = figures["shots_to_match"], figures["curve"][-1]["shots"]
    told = f"more than {last}" if match is None else f"{match:.1f}" if match > 1 else "1 or fewer"
    lines.append(
        f"zero-shot {100 * figures['zeroshot']:.1f}, which {told} shots a class match; chance "
        f"{100 * figures['chance']:.1f}"
    )
    return "\n".join(lines)
