"""Zero-shot classification: each class becomes the mean of its prompts' vectors, each picture goes to the nearest
class.

In: a trained model, and a folder with a folder of pictures a class, or shards whose JSON members state a label. Out:
top-1 and top-5 accuracy and the mean over classes, beside chance. The class vectors are computed once (normalise, mean,
normalise).
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.keeping.folder import IMAGE_SUFFIXES
from trainer.data.tar import CLASS
from trainer.distributed import World
from trainer.evaluate.config import ZeroshotConfig
from trainer.evaluate.features import encode_pictures, encode_texts, samples
from trainer.weights import Trained, load_chosen
from webimagetext.errors import UserError
from webimagetext.files import is_folder, listing, open_input

__all__ = ["evaluate", "render"]

PROMPTS = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a bright photo of many {}.",
    "a photo of a small {}.",
    "{}",
)


def _class_vectors(trained: Trained, names: Sequence[str], prompts: Sequence[str], device: torch.device) -> Tensor:
    """A unit vector for each name, the mean over its prompts: (names, embed)."""
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    vectors = encode_texts(trained, texts, device=device).view(len(names), len(prompts), -1)
    return F.normalize(vectors.mean(dim=1), dim=-1)


def _folder_items(root: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The pictures (path, class) of a folder of folders, and the class names."""
    found = [(path, path.rsplit("/", 2)[1]) for path in listing("*/*", root)]
    names = sorted({name for _, name in found})
    return sorted(
        ((path, name) for path, name in found if path.lower().endswith(IMAGE_SUFFIXES)), key=itemgetter(1, 0)
    ), names


def _named(value: Any, names: Sequence[str]) -> str:
    """A stored label as a class name."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return "" if value is None else str(value)


def _labelled(config: ZeroshotConfig) -> tuple[list[tuple[Any, str]], list[str]]:
    """The pictures (a path or bytes, and the class) and the names of the classes. Raises UserError when there are
    none."""
    names: list[str] = []
    if config.classes:
        with open_input(config.classes) as stream:
            names = [line.strip() for line in stream.read().decode("utf-8").splitlines() if line.strip()]
    items: list[tuple[Any, str]]
    if len(config.data) == 1 and is_folder(config.data[0]):
        items, folders = _folder_items(config.data[0])
        names = names or [name.replace("_", " ") for name in folders]
        if len(names) != len(folders):
            raise UserError(f"--classes: {len(names)} names for {len(folders)} folders", "give one a folder, in order")
        shown = dict(zip(folders, names, strict=True))
        items = [(path, shown[folder]) for path, folder in items]
    else:
        stored = samples(config.data, config.limit)
        items = [
            (data, _named(metadata.get(config.label_field, metadata.get(CLASS)), names)) for data, _, metadata in stored
        ]
        names = names or sorted({label for _, label in items if label})
    known = set(names)
    items = [item for item in items if item[1] in known]
    if not items or len(names) < 2:
        raise UserError(
            f"{', '.join(config.data)}: no pictures with known classes were found",
            "give a folder of folders, or shards with --label-field, or --classes",
        )
    if config.limit and config.limit < len(items):  # evenly from all, since they lie class by class
        items = [items[place * len(items) // config.limit] for place in range(config.limit)]
    return items, names


def evaluate(config: ZeroshotConfig) -> dict[str, Any]:
    """Encodes classes and pictures, and counts the right ones."""
    trained = load_chosen(config)
    device = World(config.device).device
    items, names = _labelled(config)
    kept, images = encode_pictures(
        trained, items, _bytes_of, device=device, crop=config.crop, batch_size=config.batch_size, label="zeroshot"
    )
    prompts = config.prompts or PROMPTS
    vectors = _class_vectors(trained, names, prompts, device)
    number = {name: index for index, name in enumerate(names)}
    truth = torch.tensor([number[label] for _, label in kept])
    return {
        "checkpoint": trained.origin,
        "step": trained.step,
        "images": len(kept),
        "classes": len(names),
        "prompts": len(prompts),
        **_accuracy(images @ vectors.T, truth),
        "chance": 1 / len(names),
    }


def _accuracy(similarity: Tensor, truth: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy and the mean of the classes' own, from (pictures, classes) and each picture's class."""
    classes = similarity.shape[1]
    right = similarity.topk(min(5, classes), dim=1).indices == truth[:, None]
    per_class = [float(right[truth == index, 0].double().mean()) for index in range(classes) if (truth == index).any()]
    return {
        "top1": float(right[:, 0].double().mean()),
        "top5": float(right.any(dim=1).double().mean()),
        "mean_per_class": sum(per_class) / len(per_class),
    }


def _bytes_of(item: tuple[Any, str]) -> bytes:
    if isinstance(item[0], bytes):
        return item[0]
    with open_input(item[0]) as stream:
        return stream.read()


def render(figures: dict[str, Any]) -> str:
    """The figures as lines for people."""
    return (
        f"{figures['images']:,} images, {figures['classes']:,} classes, {figures['prompts']} prompts, step "
        f"{figures['step']:,}\n"
        f"accuracy in percent: top-1 {100 * figures['top1']:.1f}, top-5 {100 * figures['top5']:.1f}, mean over "
        f"classes {100 * figures['mean_per_class']:.1f}; chance {100 * figures['chance']:.1f}"
    )
