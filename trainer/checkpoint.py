"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file that is there whole or not at
all.

In: the state of a run. Out: ``checkpoints/step-00001200.pt`` under the output folder, written as
:mod:`webimagetext.files` does; the last few are kept. A checkpoint also holds the model's sizes and the tokenizer, so
that it can be used by itself. One with numbers that are not finite is never written, and never gone on from.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from trainer import tensors
from webimagetext.errors import UserError
from webimagetext.files import join, listing, remove_file

__all__ = ["Checkpoint", "all_in", "is_ours", "newest", "newest_whole", "not_finite", "of", "read", "step_of", "write"]

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
    guard: Mapping[str, Any] = field(default_factory=dict)  # of the steps before (trainer/guard.py)


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


def step_of(url: str) -> int:
    """The steps behind a checkpoint, by its name."""
    found = _NAME.search(url)
    return int(found[1]) if found else 0


def not_finite(content: Checkpoint) -> str:
    """The first part of the weights or of the optimizer that holds a number that is not finite; empty when all are."""
    moments = {
        f"{kind} of {name}": value
        for name, state in dict(content.optimizer).get("state", {}).items()
        for kind, value in state.items()
    }
    for name, value in [*content.model.items(), *content.average.items(), *moments.items()]:
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            return name
    return ""


def write(output: str, checkpoint: Checkpoint, keep: int, good: int = 0) -> str:
    """Writes a checkpoint, then deletes others. Returns its address. Raises UserError when it holds a number that is
    not finite.

    The ``keep`` newest stay, and so does the newest before step ``good``, the last one whose loss is known to be
    finite: from there the run can go on, whatever the newest leads to. Those of later steps were no good to go on from.
    """
    url = join(folder(output), f"step-{checkpoint.step:08d}.pt")
    if wrong := not_finite(checkpoint):
        raise UserError(
            f"step {checkpoint.step}: {wrong} is not finite any more; no checkpoint was written",
            "lower --learning-rate; the same command then goes on from the checkpoint before",
        )
    tensors.save({"format": FORMAT, **vars(checkpoint)}, url)
    found = all_in(output)
    mine = [old for old in found if step_of(old) <= checkpoint.step]
    kept = {*mine[-max(1, keep) :], *[old for old in mine if step_of(old) < good][-1:]}
    for old in found:
        if old not in kept:
            remove_file(old)
    return url


def read(url: str) -> Checkpoint:
    """Reads a checkpoint. Raises DamagedError when the file is damaged, UserError when it is something else."""
    return of(tensors.load(url, "a checkpoint", "use an older one"), url)


def is_ours(content: Any) -> bool:
    """Whether the content of a file is a checkpoint of this trainer."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def of(content: Any, url: str) -> Checkpoint:
    """The checkpoint that a file's content is. Raises UserError when it is something else."""
    if not is_ours(content):
        raise UserError(f"{url}: is not a checkpoint of this trainer")
    try:
        stated = Checkpoint(**{name: value for name, value in content.items() if name != "format"})
        if "loss" in stated.config:  # what --objective was called, as long as there were two
            config = {**stated.config, "objective": stated.config["loss"]}
            stated = replace(stated, config={name: value for name, value in config.items() if name != "loss"})
        return stated
    except TypeError:
        raise UserError(f"{url}: was written by another version of this trainer", "use that version") from None


def newest_whole(output: str, say: Callable[[str], None]) -> tuple[str, Checkpoint] | None:
    """The newest checkpoint of a run that can be used, and its address; None where there are no checkpoints.

    ``say`` is told of each one that is damaged. Raises UserError when all of them are.
    """
    problem = ""
    for url in reversed(all_in(output)):
        try:
            content = read(url)
            if wrong := not_finite(content):
                raise tensors.DamagedError(f"{url}: {wrong} is not finite")
        except tensors.DamagedError as error:
            problem = problem or error.problem
            say(f"{error.problem}; the one before is looked for")
            continue
        return url, content
    if problem:
        raise UserError(
            f"{problem}, and no older one can be used", f"delete {folder(output)} to begin anew, or name another folder"
        )
    return None
