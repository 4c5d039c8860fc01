"""Unit vectors of pictures and texts from a trained model: what every evaluation compares.

In: samples of shards or files of pictures. Out: float32 arrays on the CPU, (count, embed). Pictures are decoded in
threads.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.images import BadImageError, evaluated
from trainer.data.sources import Library
from trainer.models.clip import normalise_images
from trainer.models.vit import VisionTransformer
from trainer.weights import Trained, comparing
from webimagetext.foreign import shown
from webimagetext.progress import Progress

__all__ = ["Stored", "encode_pictures", "encode_texts", "samples", "with_features"]

Item = TypeVar("Item")
Stored = tuple[bytes, str, dict[str, Any]]  # picture, caption, metadata


def samples(patterns: Sequence[str], limit: int) -> Iterator[Stored]:
    """The samples of shards in stored order, at most ``limit`` (0: all). Raises UserError when there are no shards."""
    broken: list[str] = []
    library = Library(fault=lambda kind, where: broken.append(f"{kind}: {where}"))
    left = limit or -1
    try:
        for shard in library.find(tuple(patterns)):
            with library.lent(shard) as reader:
                for number in range(len(reader)):
                    if left == 0:
                        return
                    try:
                        sample = reader.read(number, True)
                    except (ValueError, OSError) as error:
                        broken.append(f"{shard.url} sample {number}: {error}")
                        continue
                    yield sample
                    left -= 1
    finally:
        library.close()
        if broken:
            print(shown(f"left out as unreadable: {len(broken):,}, e.g. {broken[0]}"), file=sys.stderr)


def _pictures_of(
    items: Iterable[Item], data: Callable[[Item], bytes], side: int, crop: str, batch_size: int, broken: list[str]
) -> Iterator[tuple[list[Item], npt.NDArray[np.uint8]]]:
    """Batches of items with their pixels; an item whose picture is ``broken`` is left out, and there is told why."""

    def decode(item: Item) -> npt.NDArray[np.uint8] | None:
        try:
            return evaluated(data(item), side, "squash" if crop == "squash" else "center")
        except BadImageError as error:
            broken.append(str(error))
            return None

    stream = iter(items)
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(stream, batch_size)):
            pairs = [
                (item, pixels)
                for item, pixels in zip(chunk, pool.map(decode, chunk), strict=True)
                if pixels is not None
            ]
            if pairs:
                yield [item for item, _ in pairs], np.stack([pixels for _, pixels in pairs])


def with_features(trained: Trained, encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What ``encode`` makes of a batch, behind the features that the image tower gave on the way to it: those that
    :func:`encode_pictures` gives before the projection."""
    tower = trained.model.visual
    last = tower.ln_post if isinstance(tower, VisionTransformer) else tower.attnpool

    def both(images: Tensor) -> Tensor:
        caught: list[Tensor] = []
        with last.register_forward_hook(lambda module, given, found: caught.append(found)):
            made = encode(images)
        return torch.cat([caught[0], made], dim=1)

    return both


@torch.inference_mode()
def encode_pictures(
    trained: Trained,
    items: Iterable[Item],
    data: Callable[[Item], bytes],
    *,
    device: torch.device,
    crop: str = "auto",
    batch_size: int = 64,
    label: str = "encode",
    before_projection: bool = False,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> tuple[list[Item], Tensor]:
    """The items whose pictures could be read, and their unit vectors; or what the image tower gives, of any length, of
    a ViT ``before_projection`` into the common space, as published probes take it; or a row each of what ``encode``
    makes of a batch."""
    trained.model.to(device).eval()
    kind, spec = trained.crop if crop == "auto" else crop, trained.model.spec
    encode = encode or trained.model.encode_image
    if before_projection:
        tower = trained.model.visual
        encode = tower.trunk if isinstance(tower, VisionTransformer) else tower
    kept: list[Item] = []
    found: list[Tensor] = []
    broken: list[str] = []
    with Progress(label, "pictures") as bar:
        for part, pixels in _pictures_of(items, data, spec.image_size, kind, batch_size, broken):
            images = normalise_images(torch.from_numpy(pixels).to(device), spec.mean, spec.std)
            found.append(encode(images).float().cpu())
            kept.extend(part)
            bar.advance(len(part))
    if broken:
        print(shown(f"left out as no pictures: {len(broken):,}, e.g. {broken[0]}"), file=sys.stderr)
    return kept, torch.cat(found) if found else torch.empty(0, spec.embed_dim)


@torch.inference_mode()
def encode_texts(trained: Trained, texts: Sequence[str], *, device: torch.device, batch_size: int = 64) -> Tensor:
    """Unit vectors of texts: (texts, embed). Raises UserError for a model that has none."""
    model = comparing(trained).to(device).eval()
    found = []
    for first in range(0, len(texts), batch_size):
        ids = torch.from_numpy(trained.tokenizer.encode(texts[first : first + batch_size]))
        found.append(model.encode_text(ids.to(device)).float().cpu())
    return torch.cat(found) if found else torch.empty(0, trained.model.spec.embed_dim)
