"""Pictures with a class: from a folder of folders, or from shards that state a label.

In: a folder or patterns of shards, and the names of the classes if they are given. Out: the pictures, each a path or
bytes with the name of its class, and the names in their order; then their vectors and the numbers of their classes.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from pipeline.keeping.folder import IMAGE_SUFFIXES
from trainer.data.tar import CLASS
from trainer.distributed import World
from trainer.evaluate.config import LabelledConfig
from trainer.evaluate.features import encode_pictures, samples
from trainer.weights import Trained
from webimagetext.errors import UserError
from webimagetext.files import is_folder, listing, open_input

__all__ = ["Labelled", "bytes_of", "encode_labelled", "labelled", "labelled_as", "lines_of"]

Labelled = tuple[Any, str]  # a path or bytes, and the class


def bytes_of(item: Labelled) -> bytes:
    """The picture of an item."""
    if isinstance(item[0], bytes):
        return item[0]
    with open_input(item[0]) as stream:
        return stream.read()


def _folder_items(root: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The pictures (path, class) of a folder of folders, and the class names."""
    found = [(path, path.rsplit("/", 2)[1]) for path in listing("*/*", root)]
    names = sorted({name for _, name in found})
    return sorted(
        ((path, name) for path, name in found if path.lower().endswith(IMAGE_SUFFIXES)), key=itemgetter(1, 0)
    ), names


def lines_of(url: str) -> list[str]:
    """The lines of a text file that are not empty. Raises UserError for one that is no text."""
    with open_input(url) as stream:
        try:
            text = stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{url}: is no text in UTF-8: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _named(value: Any, names: Sequence[str]) -> str:
    """A stored label as a class name."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return "" if value is None else str(value)


def labelled(config: LabelledConfig, data: tuple[str, ...]) -> tuple[list[Labelled], list[str]]:
    """The pictures in ``data`` and the names of the classes. Raises UserError when there are none."""
    names: list[str] = []
    if config.classes:
        names = lines_of(config.classes)
    items: list[Labelled]
    if len(data) == 1 and is_folder(data[0]):
        items, folders = _folder_items(data[0])
        names = names or [name.replace("_", " ") for name in folders]
        if len(names) != len(folders):
            raise UserError(f"--classes: {len(names)} names for {len(folders)} folders", "give one a folder, in order")
        shown = dict(zip(folders, names, strict=True))
        items = [(path, shown[folder]) for path, folder in items]
    else:
        stored = samples(data, config.limit)
        items = [
            (picture, _named(metadata.get(config.label_field, metadata.get(CLASS)), names))
            for picture, _, metadata in stored
        ]
        names = names or sorted({label for _, label in items if label})
    known = set(names)
    items = [item for item in items if item[1] in known]
    if not items or len(names) < 2:
        raise UserError(
            f"{', '.join(data)}: no pictures with known classes were found",
            "give a folder of folders, or shards with --label-field, or --classes",
        )
    if config.limit and config.limit < len(items):  # evenly from all, since they lie class by class
        items = [items[place * len(items) // config.limit] for place in range(config.limit)]
    return items, names


def labelled_as(names: Sequence[str], config: LabelledConfig, data: tuple[str, ...]) -> list[Labelled]:
    """The pictures in ``data``, whose classes must be among the ``names`` of another set. Raises UserError for one that
    is not."""
    items, found = labelled(config, data)
    if unknown := sorted(set(found) - set(names)):
        raise UserError(
            f"{', '.join(data)}: has a class '{unknown[0]}', which the other pictures don't have",
            "give the same classes on both sides, or --classes",
        )
    return items


def encode_labelled(
    config: LabelledConfig,
    trained: Trained,
    items: Sequence[Labelled],
    names: Sequence[str],
    label: str,
    *,
    before_projection: bool = False,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Vectors of the pictures that could be read, as :func:`encode_pictures` gives them, and the number of each one's
    class among ``names``."""
    kept, vectors = encode_pictures(
        trained, items, bytes_of, device=World(config.device).device, crop=config.crop, batch_size=config.batch_size,
        label=label, before_projection=before_projection, encode=encode,
    )  # fmt: skip
    number = {name: index for index, name in enumerate(names)}
    return vectors, torch.tensor([number[name] for _, name in kept])
