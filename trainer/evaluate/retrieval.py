"""Retrieval: the text of an image among all texts, and the image of a text among all images.

In: a trained model and shards of pairs. Out: recall at 1, 5 and 10 both ways, beside what chance would give. Pairs with
the same caption count as one text: any of its images is a right answer, so a model is not punished for repeated
captions. And how far the pictures are from those trained on (apart.py).
"""

from typing import Any

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.evaluate.apart import apart, hashes_in, hashes_of
from trainer.evaluate.apart import render as render_apart
from trainer.evaluate.config import RetrievalConfig
from trainer.evaluate.features import encode_pictures, encode_texts, samples
from trainer.tokenizer import clean
from trainer.weights import load_chosen
from webimagetext.errors import UserError
from webimagetext.files import exists

__all__ = ["evaluate", "render"]

RANKS = (1, 5, 10)


def _hits(similarity: Tensor, right: Tensor) -> dict[str, float]:
    """Recall at each rank: the share of rows whose best right answer ranks so high, ties counted against the model."""
    best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    above = ((similarity >= best) & ~right).sum(dim=1)
    return {str(k): float((above < k).double().mean()) for k in RANKS}


def _chance(right: Tensor) -> dict[str, float]:
    """What a random order would give: 1 - the chance that none of the first k of n is one of the r right ones."""
    count, total = right.sum(dim=1).double(), right.shape[1]
    result = {}
    for k in RANKS:
        missed = torch.ones_like(count)
        for place in range(min(k, total)):
            missed *= ((total - count - place) / (total - place)).clamp(min=0)
        result[str(k)] = float((1 - missed).mean())
    return result


def _recalls(images: Tensor, texts: Tensor, text_of_image: Tensor) -> dict[str, dict[str, float]]:
    """Recalls and chance, both ways: unit vectors (images, d) and (texts, d), and for each image the number of its
    text."""
    similarity = images @ texts.T
    right = text_of_image[:, None] == torch.arange(len(texts))[None]
    return {
        "image_to_text": _hits(similarity, right),
        "image_to_text_chance": _chance(right),
        "text_to_image": _hits(similarity.T, right.T),
        "text_to_image_chance": _chance(right.T),
    }


def evaluate(config: RetrievalConfig) -> dict[str, Any]:
    """Encodes the pairs and ranks them."""
    trained = load_chosen(config)
    device = World(config.device).device
    kept, images = encode_pictures(
        trained,
        samples(config.data, config.limit),
        lambda item: item[0],
        device=device,
        crop=config.crop,
        batch_size=config.batch_size,
        label="retrieval",
    )
    if len(kept) < 2:
        raise UserError(f"{', '.join(config.data)}: holds fewer than two readable pairs")
    number: dict[str, int] = {}
    text_of_image = torch.tensor([number.setdefault(clean(caption), len(number)) for _, caption, _ in kept])
    texts = encode_texts(trained, list(number), device=device, batch_size=config.batch_size)
    figures: dict[str, Any] = {
        "checkpoint": trained.origin,
        "step": trained.step,
        "images": len(kept),
        "texts": len(number),
    }
    figures |= _recalls(images, texts, text_of_image)
    shards = config.train_data or tuple(url for url in trained.trained_on if exists(url))
    if shards:
        hashes, _ = hashes_in(shards)
        evaluated = hashes_of(metadata.get("phash") for _, _, metadata in kept)
        figures["apart"] = apart(evaluated, hashes, len(kept) - len(evaluated))
    return figures


def render(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [
        f"{figures['images']:,} images, {figures['texts']:,} different texts, step {figures['step']:,}",
        f"{'recall in percent':<20}"
        + "".join(f"{'@' + str(k):>8}" for k in RANKS)
        + f"{'chance':>12}"
        + " (same ranks)",
    ]
    for way, label in (("image_to_text", "image to text"), ("text_to_image", "text to image")):
        found = "".join(f"{100 * figures[way][str(k)]:8.1f}" for k in RANKS)
        chance = "".join(f"{100 * figures[way + '_chance'][str(k)]:8.1f}" for k in RANKS)
        lines.append(f"{label:<20}{found}    {chance}")
    if "apart" in figures:
        lines.append(render_apart(figures["apart"]))
    return "\n".join(lines)
