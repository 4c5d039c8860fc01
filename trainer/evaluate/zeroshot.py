"""Zero-shot classification: each class becomes the mean of its prompts' vectors, each picture goes to the nearest
class.

In: a trained model, and a folder with a folder of pictures a class, or shards whose JSON members state a label. Out:
top-1 and top-5 accuracy and the mean over classes, beside chance. The class vectors are computed once (normalise, mean,
normalise).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.distributed import World
from trainer.evaluate.config import ZeroshotConfig
from trainer.evaluate.features import encode_texts
from trainer.evaluate.labelled import encode_labelled, labelled
from trainer.weights import Trained, load_chosen

__all__ = ["PROMPTS", "accuracy", "class_vectors", "evaluate", "render"]

PROMPTS = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a bright photo of many {}.",
    "a photo of a small {}.",
    "{}",
)


def class_vectors(trained: Trained, names: Sequence[str], prompts: Sequence[str], device: torch.device) -> Tensor:
    """A unit vector for each name, the mean over its prompts: (names, embed)."""
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    vectors = encode_texts(trained, texts, device=device).view(len(names), len(prompts), -1)
    return F.normalize(vectors.mean(dim=1), dim=-1)


def evaluate(config: ZeroshotConfig) -> dict[str, Any]:
    """Encodes classes and pictures, and counts the right ones."""
    trained = load_chosen(config)
    device = World(config.device).device
    items, names = labelled(config, config.data)
    images, truth = encode_labelled(config, trained, items, names, "zeroshot")
    prompts = config.prompts or PROMPTS
    vectors = class_vectors(trained, names, prompts, device)
    return {
        "checkpoint": trained.origin,
        "step": trained.step,
        "images": len(images),
        "classes": len(names),
        "prompts": len(prompts),
        **accuracy(images @ vectors.T, truth),
        "chance": 1 / len(names),
    }


def accuracy(similarity: Tensor, truth: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy and the mean of the classes' own, from (pictures, classes) and each picture's class."""
    classes = similarity.shape[1]
    right = similarity.topk(min(5, classes), dim=1).indices == truth[:, None]
    per_class = [float(right[truth == index, 0].double().mean()) for index in range(classes) if (truth == index).any()]
    return {
        "top1": float(right[:, 0].double().mean()),
        "top5": float(right.any(dim=1).double().mean()),
        "mean_per_class": sum(per_class) / len(per_class),
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as lines for people."""
    return (
        f"{figures['images']:,} images, {figures['classes']:,} classes, {figures['prompts']} prompts, step "
        f"{figures['step']:,}\n"
        f"accuracy in percent: top-1 {100 * figures['top1']:.1f}, top-5 {100 * figures['top5']:.1f}, mean over "
        f"classes {100 * figures['mean_per_class']:.1f}; chance {100 * figures['chance']:.1f}"
    )
