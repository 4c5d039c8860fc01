"""The whole state of a run in memory, taken out for a checkpoint and put back, the same for one process, DDP and FSDP.

In: model, optimizer, scaler, average. Out: full tensors on the CPU under plain names, so that a run may go on with
another number of processes or another kind of parallelism.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from trainer.checkpoint import Checkpoint
from trainer.models.model import Model
from trainer.optim import Average

__all__ = ["collect", "restore"]


def _full(value: Tensor) -> Tensor:
    """A sharded tensor as a whole one, on the CPU."""
    whole = cast(Any, value).full_tensor() if hasattr(value, "full_tensor") else value
    return cast(Tensor, whole).detach().cpu().clone()


def collect(
    model: Model, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, average: Average | None
) -> dict[str, Any]:
    """The parts of a :class:`Checkpoint` that hold tensors. Every process must call it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    moments = get_optimizer_state_dict(model, optimizer, options=options)
    return {
        "model": {name: _full(value) for name, value in model.state_dict().items()},
        "optimizer": moments,
        "scaler": scaler.state_dict(),
        "average": {} if average is None else {name: _full(value) for name, value in average.values.items()},
    }


def restore(
    content: Checkpoint,
    model: Model,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    average: Average | None,
) -> None:
    """Puts a checkpoint's state into the parts of a run, whose settings stay its own. Every process must call it."""
    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(model, dict(content.model), options=options)
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    set_optimizer_state_dict(model, optimizer, cast(Any, dict(content.optimizer)), options=options)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)
    if content.scaler:
        scaler.load_state_dict(dict(content.scaler))
    if average is not None:
        average.load(content.average or content.model)
