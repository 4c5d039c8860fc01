"""Retrieval: the text of an image among all texts, and the image of a text among all images.

In: a trained model and shards of pairs. Out: recall at 1, 5 and 10 both ways, beside what chance would give. Pairs with
the same caption count as one text: any of its images is a right answer, so a model is not punished for repeated
captions. And how far the pictures are from those trained on (apart.py).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.apart import apart, hashes_in, hashes_of
from trainer.evaluate.apart import render as render_apart
from trainer.evaluate.config import RetrievalConfig
from trainer.evaluate.features import Stored, encode_pictures, encode_texts, samples
from trainer.tokenizer import clean
from trainer.weights import Trained, comparing, load_chosen
from webimagetext.errors import UserError
from webimagetext.files import exists

__all__ = ["compare", "evaluate", "recalls", "render"]

RANKS = (1, 5, 10)
CELLS = 1 << 24  # similarities at once


def _ranks(rows: Tensor, columns: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """How many wrong columns are at least as similar to each row as the best right one; what is right are the pairs
    (row, column), at least one for each row. Never more than CELLS similarities at once."""
    found = []
    step = max(1, CELLS // len(columns))
    for first in range(0, len(rows), step):
        similarity = rows[first : first + step] @ columns.T
        right = torch.zeros_like(similarity, dtype=torch.bool)
        here = (row >= first) & (row < first + step)
        right[row[here] - first, column[here]] = True
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        found.append(((similarity >= best) & ~right).sum(dim=1))
    return torch.cat(found)


def _chance(count: Tensor, total: int) -> dict[str, float]:
    """What a random order would give: 1 - the chance that none of the first k of ``total`` is one of the ``count``
    right ones of a row."""
    result = {}
    for k in RANKS:
        missed = torch.ones_like(count, dtype=torch.float64)
        for place in range(min(k, total)):
            missed *= ((total - count.double() - place) / (total - place)).clamp(min=0)
        result[str(k)] = float((1 - missed).mean())
    return result


def recalls(images: Tensor, texts: Tensor, image: Tensor, text: Tensor) -> dict[str, Any]:
    """Recalls, chance and the rank in the middle, both ways: unit vectors (images, d) and (texts, d), and what belongs
    together as pairs of numbers (image, text)."""
    ways = {
        "image_to_text": (images, texts, image, text),
        "text_to_image": (texts, images, text, image),
    }
    figures: dict[str, Any] = {}
    for way, (rows, columns, row, column) in ways.items():
        ranks = _ranks(rows, columns, row, column)
        figures[way] = {str(k): float((ranks < k).double().mean()) for k in RANKS}
        figures[f"{way}_chance"] = _chance(torch.bincount(row, minlength=len(rows)), len(columns))
        figures[f"{way}_median_rank"] = int(ranks.double().quantile(0.5)) + 1
    return figures


def _texts_of(caption: str, kind: str) -> list[str]:
    """The different texts of a picture, as they are compared."""
    found = [clean(line) for line in (caption.splitlines() if kind == "lines" else [caption])]
    return list(dict.fromkeys(text for text in found if text)) or [""]


def compare(
    trained: Trained,
    pairs: Iterable[Stored],
    device: torch.device,
    *,
    crop: str = "auto",
    batch_size: int = 64,
    captions: str = "text",
    label: str = "retrieval",
) -> tuple[list[Stored], dict[str, Any]]:
    """The pairs whose pictures could be read, and the figures of their retrieval. Raises UserError for fewer than
    two."""
    kept, images = encode_pictures(
        trained, pairs, lambda item: item[0], device=device, crop=crop, batch_size=batch_size, label=label
    )
    if len(kept) < 2:
        raise UserError("retrieval: there are fewer than two readable pairs")
    number: dict[str, int] = {}
    numbers = [
        (index, number.setdefault(text, len(number)))
        for index, (_, caption, _) in enumerate(kept)
        for text in _texts_of(caption, captions)
    ]
    image, text = torch.tensor(numbers).T
    texts = encode_texts(trained, list(number), device=device, batch_size=batch_size)
    return kept, {"images": len(kept), "texts": len(number), **recalls(images, texts, image, text)}


def evaluate(config: RetrievalConfig) -> dict[str, Any]:
    """Encodes the pairs and ranks them."""
    trained = load_chosen(config)
    comparing(trained)
    kept, found = compare(
        trained, samples(config.data, config.limit), World(config.device).device, crop=config.crop,
        batch_size=config.batch_size, captions=config.captions,
    )  # fmt: skip
    figures: dict[str, Any] = {**about(trained), **found}
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
