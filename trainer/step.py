"""One training step's gradient: forward, loss, backward, whole or in parts, in one process or many.

In: a batch of uint8 pictures and token ids on the device. Out: gradients in the parameters, and the loss. With
``accumulate`` parts, where a pair's loss depends on the whole batch, the features of all parts are computed first
without a graph, the loss over all of them gives the gradient of each feature, and a second pass carries it back part by
part: the gradient, also of the logit scale, is that of the whole batch. Random numbers are seeded for each step and
part, so the second pass repeats the first, and a resumed run repeats an unbroken one.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainer.config import ObjectiveConfig
from trainer.distributed import World
from trainer.models.clip import normalise_images
from trainer.models.model import Model

__all__ = ["Stepper"]


@contextlib.contextmanager
def _statistics_untouched(model: nn.Module) -> Iterator[None]:
    """Batch norms use the batch's statistics without adding them to their running ones."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class Stepper:
    """Computes gradients of ``model``, called through ``module`` (its wrapped form), at a precision.

    ``dtype`` is the arithmetic of the towers (None: float32); ``scaler`` guards half precision against underflow.
    """

    def __init__(
        self,
        model: Model,
        module: nn.Module,
        config: ObjectiveConfig,
        world: World,
        dtype: torch.dtype | None,
        scaler: torch.amp.GradScaler,
        seed: int,
    ) -> None:
        self.model, self.module, self.config, self.world = model, module, config, world
        self.dtype, self.scaler, self.seed = dtype, scaler, seed

    def gradient(self, step: int, images: Tensor, ids: Tensor) -> Tensor:
        """Adds the gradient of this process's pairs to the parameters; returns its share of the loss (a scalar)."""
        parts = self.config.accumulate
        if parts == 1:
            self._seed(step, 0)
            self.world.synchronise(self.module, True)
            loss = self._loss(self._features(images, ids))
            self._backward(loss)
        elif self.model.whole_batch:
            loss = self._in_parts(step, images.chunk(parts), ids.chunk(parts))
        else:
            loss = self._one_by_one(step, images.chunk(parts), ids.chunk(parts))
        self.world.average_scalars(self.model)
        return loss.detach()

    def _in_parts(self, step: int, images: tuple[Tensor, ...], ids: tuple[Tensor, ...]) -> Tensor:
        with torch.no_grad(), _statistics_untouched(self.module):
            found = []
            for part, (pictures, tokens) in enumerate(zip(images, ids, strict=True)):
                self._seed(step, part)
                found.append(self._features(pictures, tokens))
        whole = [torch.cat(side).requires_grad_() for side in zip(*found, strict=True)]
        loss = self._loss(tuple(whole))
        self._backward(loss)
        slopes = [torch.split(leaf.grad, [len(p) for p in images]) for leaf in whole if leaf.grad is not None]
        for part, (pictures, tokens) in enumerate(zip(images, ids, strict=True)):
            self._seed(step, part)
            self.world.synchronise(self.module, part == len(images) - 1)
            features = self._features(pictures, tokens)
            torch.autograd.backward(features, [slope[part] for slope in slopes])
        return loss

    def _one_by_one(self, step: int, images: tuple[Tensor, ...], ids: tuple[Tensor, ...]) -> Tensor:
        """Parts that know nothing of each other: the mean of their losses, and of their gradients."""
        losses = []
        for part, (pictures, tokens) in enumerate(zip(images, ids, strict=True)):
            self._seed(step, part)
            self.world.synchronise(self.module, part == len(images) - 1)
            loss = self._loss(self._features(pictures, tokens)) / len(images)
            self._backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _features(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """What the loss is made of, in float32: unit vectors of pictures and texts, or the loss of each pair; under
        autocast the model computes in ``dtype``."""
        kind = images.device.type
        # The end token has the highest id; what follows is padding, and 0 is a piece as well ("!").
        length = int(ids.argmax(dim=1).max()) + 1 if kind == "cpu" else ids.shape[1]
        with torch.autocast(kind, self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            pictures = normalise_images(self.model.prepare(images), self.model.spec.mean, self.model.spec.std)
            found = self.module(pictures, ids[:, :length])
        return tuple(values.float() for values in found)

    def _loss(self, found: tuple[Tensor, ...]) -> Tensor:
        return self.model.loss(found, self.world, self.config.loss_tile)

    def _backward(self, loss: Tensor) -> None:
        torch.autograd.backward(self.scaler.scale(loss))

    def _seed(self, step: int, part: int) -> None:
        torch.manual_seed((((self.seed * 1_000_003 + step) * 4099 + part) * 65_537 + self.world.rank) % 2**63)
