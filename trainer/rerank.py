"""``python -m trainer.rerank``: orders pictures by how well they fit a text.

In: a trained model, a prompt, and picture files or shards. Out: a table, best first, and a JSON file with ``--output``.
This is how the best of many generated pictures for a prompt is chosen.
"""

import json
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from trainer.config import TrainedConfig
from trainer.endings import in_words
from trainer.threads import wait_asleep
from webimagetext.command import leave, run_command
from webimagetext.errors import UserError
from webimagetext.files import is_folder, listing, open_input, write_atomic
from webimagetext.flags import need, parse_flags
from webimagetext.foreign import shown
from webimagetext.ranges import Range

__all__ = ["main"]

PROG = "python -m trainer.rerank"


@dataclass(frozen=True)
class RerankConfig(TrainedConfig):
    """Orders pictures by their similarity to a text, best first."""

    prompt: str = ""
    """The text."""
    images: tuple[str, ...] = ()
    """Picture files, patterns of them, or patterns of shards."""
    top: Annotated[int, Range(0)] = 10
    """How many to show; 0: all."""
    output: str = ""
    """A JSON file for the whole order."""
    crop: Literal["auto", "center", "squash"] = "auto"
    """The middle square of a picture, as published, or the whole picture squeezed into one; "auto": as it was
    trained."""


def _items(patterns: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Pictures by name: from shards under their URL or caption, from files under their path."""
    from pipeline.keeping.folder import IMAGE_SUFFIXES
    from trainer.evaluate.features import samples

    shards = [pattern for pattern in patterns if pattern.endswith((".tar", ".parquet", ".pq"))]
    found = []
    if shards:
        for data, caption, metadata in samples(shards, 0):
            found.append((str(metadata.get("url") or caption), data))
    for pattern in patterns:
        if pattern in shards:
            continue
        names = listing("*", pattern) if is_folder(pattern) else listing(pattern)
        names = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
        if not names:
            raise UserError(f"{pattern}: no pictures there")
        for name in names:
            with open_input(name) as stream:
                found.append((name, stream.read()))
    return found


def _ranked(config: RerankConfig) -> list[dict[str, Any]]:
    """The pictures with their similarities to the prompt, best first, equal ones by name."""
    import torch

    from trainer.evaluate.features import encode_pictures, encode_texts
    from trainer.weights import comparing, load_chosen

    trained = load_chosen(config)
    comparing(trained)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept, images = encode_pictures(
        trained, _items(config.images), lambda item: item[1], device=device, crop=config.crop, label="rerank"
    )
    if not kept:
        raise UserError(f"{', '.join(config.images)}: none of the pictures could be read")
    similarity = (images @ encode_texts(trained, [config.prompt], device=device)[0]).tolist()
    order = sorted(range(len(kept)), key=lambda index: (-similarity[index], kept[index][0]))
    return [{"image": kept[index][0], "similarity": similarity[index]} for index in order]


def main(args: list[str], prog: str = PROG) -> int:
    """Prints the order of the pictures; returns the exit status."""
    config = parse_flags(RerankConfig, args, prog=prog)
    example = "--checkpoint DIR --prompt 'a red circle' --images 'out/*.png'"
    need(config, "checkpoint", "prompt", "images", prog=prog, example=example)
    return in_words(lambda: _rerank(config), "all pictures are held at once: give fewer --images")


def _rerank(config: RerankConfig) -> int:
    wait_asleep()
    ranked = _ranked(config)
    for row in ranked[: config.top or None]:
        print(shown(f"{row['similarity']:8.4f}  {row['image']}"))
    if config.output:
        with write_atomic(config.output, "w") as stream:
            json.dump({"prompt": config.prompt, "ranked": ranked}, stream, indent=1)
    return 0


if __name__ == "__main__":
    leave(run_command(lambda: main(sys.argv[1:])))
