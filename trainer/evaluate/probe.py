"""Linear probes: how well logistic regression on a model's features tells classes apart.

In: a trained model, and pictures with classes to fit to, to choose the strength on, and to classify. Out: accuracy on
the last, beside chance, and what each strength gave. Features are those of a ViT before its projection, of a ResNet
those that it gives; nothing of the model changes.
"""

from typing import Any

import torch
from torch import Tensor

from trainer.evaluate.about import about
from trainer.evaluate.config import LabelledConfig, ProbeConfig
from trainer.evaluate.labelled import encode_labelled, labelled, labelled_as
from trainer.evaluate.logistic import best_strength, fit
from trainer.evaluate.zeroshot import accuracy
from trainer.weights import Trained, load_chosen
from webimagetext.errors import UserError

__all__ = ["evaluate", "features_of", "render"]

SHARE = 5  # one in so many of the pictures to fit to chooses the strength, where there are no others
SEED = 0


def features_of(
    config: LabelledConfig, data: tuple[str, ...], names: list[str], trained: Trained, label: str
) -> tuple[Tensor, Tensor]:
    """Features of the pictures in ``data`` before the projection, and the numbers of their classes among ``names``,
    which is filled if it is empty. Raises UserError for a class that is not among them."""
    if names:
        items = labelled_as(names, config, data)
    else:
        items, found = labelled(config, data)
        names.extend(found)
    return encode_labelled(config, trained, items, names, label, before_projection=True)


def _parted(rows: int) -> tuple[Tensor, Tensor]:
    """The rows to fit to and those to choose by, drawn by lot: the same for the same number."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(SEED))
    return order[rows // SHARE :], order[: rows // SHARE]


def evaluate(config: ProbeConfig) -> dict[str, Any]:
    """Fits, chooses and classifies."""
    if not config.train_data:
        raise UserError("--train-data: is needed", "name labelled pictures to fit to, apart from --data")
    trained = load_chosen(config)
    names: list[str] = []
    features, truth = features_of(config, config.train_data, names, trained, "fit to")
    tried: list[tuple[float, float]] = []
    strength, held = config.strength, 0
    if not strength:
        if config.validation_data:
            chosen, right = features_of(config, config.validation_data, names, trained, "choose by")
            fitted, known = features, truth
            features, truth = torch.cat([features, chosen]), torch.cat([truth, right])
        else:
            ours, others = _parted(len(features))
            if not len(others):
                raise UserError(f"--train-data: {len(features)} pictures are too few to choose a strength by")
            fitted, known, chosen, right = features[ours], truth[ours], features[others], truth[others]
        held = len(chosen)
        strength, tried = best_strength(fitted, known, chosen, right, len(names), iterations=config.iterations)
    # The strength is chosen; then all that is labelled is fitted to.
    classifier = fit(features, truth, len(names), strength, iterations=config.iterations)
    test, answers = features_of(config, config.data, names, trained, "probe")
    return {
        **about(trained),
        "images": len(test),
        "fitted_to": len(features),
        "chosen_by": held,
        "classes": len(names),
        "features": features.shape[1],
        "strength": strength,
        "strengths": [{"strength": c, "accuracy": share} for c, share in tried],
        **accuracy(classifier.scores(test), answers),
        "chance": 1 / len(names),
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as lines for people."""
    chosen = f", chosen by {figures['chosen_by']:,} of them or others" if figures["chosen_by"] else ""
    return (
        f"{figures['images']:,} images, {figures['classes']:,} classes; logistic regression on {figures['features']:,} "
        f"features of {figures['fitted_to']:,} images, C = {figures['strength']:.3g}{chosen}\n"
        f"accuracy in percent: top-1 {100 * figures['top1']:.1f}, top-5 {100 * figures['top5']:.1f}, mean over "
        f"classes {100 * figures['mean_per_class']:.1f}; chance {100 * figures['chance']:.1f}"
    )
