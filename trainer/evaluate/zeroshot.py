"""Zero-shot classification: each class becomes the mean of its prompts' vectors, each picture goes to the nearest
class.

In: a trained model, and a folder with a folder of pictures a class, or shards whose JSON members state a label. Out:
top-1 and top-5 accuracy and the mean over classes, beside chance. The class vectors are computed once (normalise, mean,
normalise). A model that predicts texts gives each picture to the class whose prompts, or whose name, it finds most
likely.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.config import PromptsConfig, ZeroshotConfig
from trainer.evaluate.features import encode_texts
from trainer.evaluate.labelled import encode_labelled, labelled, lines_of
from trainer.objectives.predictive import Predictive
from trainer.tensors import digest
from trainer.weights import Trained, load_chosen
from webimagetext.errors import UserError
from webimagetext.files import join, make_folder, read, write_atomic

__all__ = ["PROMPTS", "accuracy", "class_vectors", "classifier", "evaluate", "filled", "prompts_for", "render"]

PROMPTS = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a bright photo of many {}.",
    "a photo of a small {}.",
    "{}",
)
TEXTS = 4096  # whose vectors are held at once


def prompts_for(config: PromptsConfig, trained: Trained, usual: Sequence[str] = PROMPTS) -> Sequence[str]:
    """The templates to use: those given by themselves and in a file, or else the ``usual``; the name alone where the
    model scores names. Raises UserError for one without a place for the name, or that is of no use."""
    given = list(config.prompts)
    if config.prompts_file:
        given += lines_of(config.prompts_file)
    for prompt in given:
        if filled(prompt, "a") == filled(prompt, "b"):
            raise UserError(f"--prompts: '{prompt}' has no place for a name", "write {} where the name belongs")
    if not isinstance(trained.model, Predictive) or trained.model.by_prompts:
        return given or usual
    if given:
        raise UserError(
            f"--prompts: a model of --objective {trained.model.objective} scores the words of the names alone",
            "leave out --prompts and --prompts-file",
        )
    return ("{}",)


def filled(prompt: str, name: str) -> str:
    """A template with the name in the places of ``{}``, or of ``{c}``, as webdataset's evaluation sets have it."""
    return prompt.replace("{}", name).replace("{c}", name)


def class_vectors(
    trained: Trained, names: Sequence[str], prompts: Sequence[str], device: torch.device, kept: str = ""
) -> Tensor:
    """A unit vector for each name, the mean over its prompts: (names, embed). They are taken from the folder ``kept``
    where it has them, and else left there; empty: neither."""
    path = ""
    if kept:
        words = {name: value for name, value in trained.model.state_dict().items() if not name.startswith("visual.")}
        made_from = [digest(words), trained.tokenizer.to_json(), *names, "", *prompts]
        path = join(kept, f"{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:32]}.npy")
        if stored := read(path):
            with contextlib.suppress(ValueError):  # which a damaged file raises
                return torch.from_numpy(np.load(io.BytesIO(stored)))
    found = []
    step = max(1, TEXTS // len(prompts))
    for first in range(0, len(names), step):
        part = names[first : first + step]
        vectors = encode_texts(trained, [filled(prompt, name) for name in part for prompt in prompts], device=device)
        found.append(F.normalize(vectors.view(len(part), len(prompts), -1).mean(dim=1), dim=-1))
    means = torch.cat(found)
    if path:
        make_folder(kept)
        with write_atomic(path) as stream:
            np.save(stream, means.numpy())
    return means


def classifier(
    trained: Trained, names: Sequence[str], prompts: Sequence[str], device: torch.device, kept: str = ""
) -> Callable[[Tensor], Tensor]:
    """What scores normalised images on ``device`` by class: (images, 3, side, side) -> (images, classes)."""
    model = trained.model
    if not isinstance(model, Predictive):
        vectors = class_vectors(trained, names, prompts, device, kept).to(device)
        return lambda images: model.encode_image(images) @ vectors.T
    ids = torch.from_numpy(trained.tokenizer.encode([filled(prompt, name) for name in names for prompt in prompts]))
    ids = ids.to(device)
    # A class is as likely as its prompts are together.
    return lambda images: model.scores(images, ids).view(len(images), len(names), -1).logsumexp(dim=-1)


def evaluate(config: ZeroshotConfig) -> dict[str, Any]:
    """Scores the pictures by class, and counts the right ones."""
    trained = load_chosen(config)
    prompts = prompts_for(config, trained)
    items, names = labelled(config, config.data)
    score = classifier(trained, names, prompts, World(config.device).device, config.text_cache)
    scores, truth = encode_labelled(config, trained, items, names, "zeroshot", encode=score)
    return {
        **about(trained),
        "images": len(scores),
        "classes": len(names),
        "prompts": len(prompts),
        **accuracy(scores, truth),
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
