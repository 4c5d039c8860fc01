"""One process or many: what differs between them, in one place.

In: the environment that ``torchrun`` sets. Out: a :class:`World` that knows this process's rank and device, wraps the
model (DDP or FSDP2), gathers features with their gradients, and agrees on values. With one process every method is a
no-op.
"""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.models.model import Model
from trainer.pulse import Pulse, store_of_launcher
from webimagetext.errors import UserError
from webimagetext.foreign import shown

__all__ = ["World"]

HOWEVER_LONG = timedelta(days=365)
# What the libraries between the processes say when one has gone.
_LOST = re.compile(r"Connection (closed|reset) by|Broken pipe|Socket closed|remote process exited|NCCL", re.I)

T = TypeVar("T")


class _Gather(torch.autograd.Function):
    """All processes' rows, in order of rank; the gradient of each row goes back to its owner, summed over processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rank: int, world: int) -> Tensor:
        ctx.rank, ctx.count = rank, len(own)
        parts = [torch.empty_like(own) for _ in range(world)]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[ctx.rank * ctx.count : (ctx.rank + 1) * ctx.count], None, None


def _own_gradients(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients that this process has whole, and its parts of those that are sharded."""
    whole: list[Tensor] = []
    parts: list[Tensor] = []
    for parameter in model.parameters():
        gradient = parameter.grad
        if gradient is not None:
            if hasattr(gradient, "to_local"):
                parts.append(cast(Any, gradient).to_local())
            else:
                whole.append(gradient)
    return whole, parts


def _square(gradients: list[Tensor], device: torch.device) -> Tensor:
    """The square of the norm of all of them, in float64: one of a broken step may be very large."""
    if not gradients:
        return torch.zeros((), dtype=torch.float64, device=device)
    return torch.stack(list(torch._foreach_norm(gradients))).double().square().sum()


class World:
    """The processes of this run. ``close`` ends the connection between them.

    ``seconds`` without a sign of life of one of them, or waited for one in vain, end the run (trainer/pulse.py).
    """

    def __init__(self, device: str = "auto", seconds: float = 600.0) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            kind = torch.device(device).type
        except RuntimeError:
            raise UserError(f"--device {device}: there is no such device", "use cuda, cpu or auto") from None
        if kind == "cuda" and not torch.cuda.is_available():
            raise UserError(f"--device {device}: torch sees no GPU here", "use --device cpu")
        self.device = torch.device(kind, local) if kind == "cuda" and device == "cuda" else torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        self._pulse: Pulse | None = None
        self._firsts = 0
        if self.size > 1:
            dist.init_process_group("nccl" if kind == "cuda" else "gloo")
            self._pulse = Pulse(self.rank, self.size, seconds, store_of_launcher(seconds))
            self._store = store_of_launcher(seconds)

    def tell(self, doing: Callable[[], str]) -> None:
        """Says how to find out what this process does, for those that wait for it."""
        if self._pulse is not None:
            self._pulse.doing = doing

    @contextlib.contextmanager
    def told_of_losses(self) -> Iterator[None]:
        """Ends this process with a line when another one goes while the block runs."""
        try:
            yield
        except RuntimeError as error:
            if self._pulse is not None and _LOST.search(str(error)):
                self._pulse.end_without()
            raise

    def _enter(self) -> None:
        """Counts an exchange between the processes, which all enter in the same order."""
        if self._pulse is not None:
            self._pulse.place += 1

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def say(self, text: str) -> None:
        """A line for the person who looks on, from the first process only."""
        if self.is_first:
            print(shown(text), file=sys.stderr, flush=True)

    def wrap(self, model: Model, parallel: str) -> nn.Module:
        """The module to call for features: the model itself, or its DDP or FSDP2 form.

        The scale and bias of the logits are used outside of it and averaged by :meth:`average_scalars`.
        """
        if self.size == 1:
            return model
        if parallel == "ddp":
            # DDP joins a module's name and the parameter's by a dot, also for the root module, whose name is empty.
            scalar = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
            ignored = [*scalar, *(f".{name}" for name in scalar)]
            cast(Any, nn.parallel.DistributedDataParallel)._set_params_and_buffers_to_ignore_for_model(model, ignored)
            devices = [self.device] if self.device.type == "cuda" else None
            return nn.parallel.DistributedDataParallel(model, device_ids=devices, gradient_as_bucket_view=True)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.size,))
        for block in model.blocks():
            fully_shard(block, mesh=mesh)
        scalars = {parameter for parameter in model.parameters() if parameter.ndim == 0}
        fully_shard(model, mesh=mesh, ignored_params=scalars)
        return model

    def synchronise(self, module: nn.Module, on: bool) -> None:
        """Whether the next backward pass exchanges gradients (the last part of an accumulated batch does)."""
        if isinstance(module, nn.parallel.DistributedDataParallel):
            module.require_backward_grad_sync = on
        elif self.size > 1:
            cast(Any, module).set_requires_gradient_sync(on)

    def average_scalars(self, model: nn.Module) -> None:
        """Averages the gradients of parameters without dimensions over the processes."""
        if self.size > 1:
            for parameter in model.parameters():
                if parameter.ndim == 0 and parameter.grad is not None:
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= self.size

    def gather(self, own: Tensor) -> Tensor:
        """Rows of all processes (world · n, d); differentiable."""
        if self.size == 1:
            return own
        self._enter()
        rows: Tensor = _Gather.apply(own, self.rank, self.size)
        return rows

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the processes; nobody waits for the device."""
        if self.size == 1:
            return value
        self._enter()
        value = value.clone()
        dist.all_reduce(value)
        return value / self.size

    def gradient_norm(self, model: nn.Module) -> Tensor:
        """The norm of the whole gradient, on the device."""
        whole, parts = _own_gradients(model)
        square = _square(whole, self.device)
        if parts:
            shared = _square(parts, self.device)
            dist.all_reduce(shared)
            square = square + shared
        return square.sqrt()

    def clip_gradient(self, model: nn.Module, norm: Tensor, largest: float) -> None:
        """Scales the gradient, whose norm is ``norm``, down to the norm ``largest``."""
        factor = (largest / (norm + 1e-6)).clamp(max=1.0).float()
        for gradients in _own_gradients(model):
            if gradients:
                torch._foreach_mul_(gradients, factor)

    def largest(self, value: float) -> float:
        """The largest of a number over the processes."""
        return self._reduced(value, dist.ReduceOp.MAX) if self.size > 1 else value

    def same(self, value: Any) -> Any:
        """The first process's value of any kind, on every process."""
        if self.size == 1:
            return value
        self._enter()
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def first(self, make: Callable[[], T]) -> T:
        """What ``make`` gives on the first process, on every one. Its UserError is raised on every one too, and what a
        disk answers: none waits in vain."""
        made: T | UserError | OSError | None = None
        self._enter()
        self._firsts += 1
        if self.is_first:
            try:
                made = make()
            except (UserError, OSError) as error:
                made = error
        if self.size > 1:
            # By the store, for an exchange has a limit, and reading terabytes of shards may take longer than that.
            key = f"first/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{self._firsts}"
            self._store.set(key, "made") if self.is_first else self._store.wait([key], HOWEVER_LONG)
        made = self.same(made)
        if isinstance(made, (UserError, OSError)):
            raise made
        return cast(T, made)

    def close(self) -> None:
        """Leaves the group."""
        if self._pulse is not None:
            self._pulse.close()
            dist.destroy_process_group()

    def _reduced(self, value: float, operation: Any) -> float:
        self._enter()
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, operation)
        return float(tensor)
