"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file that is there whole or not at
all.

In: the state of a run. Out: ``checkpoints/step-00001200.pt`` under the output folder, written as
:mod:`webimagetext.files` does; the last few are kept. A checkpoint also holds the model's sizes and the tokenizer, so
that it can be used by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from webimagetext.errors import UserError
from webimagetext.files import join, listing, open_input, remove_file, write_atomic
from webimagetext.local import fetched

__all__ = ["Checkpoint", "all_in", "newest", "read", "write"]

_NAME = re.compile(r"step-(\d+)\.pt$")
FORMAT = "webimagetext checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """The state after ``step`` steps; tensors are on the CPU."""

    step: int
    seconds: float  # of training up to here, over all calls
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]
    average: Mapping[str, Tensor]  # of the weights, empty without --ema
    spec: Mapping[str, Any]
    tokenizer: str  # JSON
    config: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)  # what its files were known by (trainer/resume.py)


def folder(output: str) -> str:
    """Where a run's checkpoints lie."""
    return join(output, "checkpoints")


def all_in(output: str) -> list[str]:
    """The checkpoints of a run, oldest first."""
    found = [(int(match[1]), url) for url in listing("step-*.pt", folder(output)) if (match := _NAME.search(url))]
    return [url for _, url in sorted(found)]


def newest(output: str) -> str | None:
    """The newest checkpoint of a run, or None."""
    found = all_in(output)
    return found[-1] if found else None


def write(output: str, checkpoint: Checkpoint, keep: int) -> str:
    """Writes a checkpoint, then deletes all but the ``keep`` newest. Returns its address."""
    url = join(folder(output), f"step-{checkpoint.step:08d}.pt")
    with write_atomic(url) as stream:
        torch.save({"format": FORMAT, **vars(checkpoint)}, stream)
    for old in all_in(output)[: -max(1, keep)]:
        remove_file(old)
    return url


def read(url: str) -> Checkpoint:
    """Reads a checkpoint. Raises UserError when the file is damaged or something else."""
    try:
        with fetched(url) as path, open_input(path) as stream:  # torch seeks in it, tensor by tensor
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(f"{url}: cannot be read as a checkpoint: {error}", "use an older one") from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise UserError(f"{url}: is not a checkpoint of this trainer")
    return Checkpoint(**content)
