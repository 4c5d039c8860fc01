"""One training step's gradient: forward, loss, backward, whole or in parts, in one process or many.

In: a batch of uint8 pictures and token ids on the device. Out: gradients in the parameters, and the loss. With
``accumulate`` parts the features of all parts are computed first without a graph, the loss over all of them gives the
gradient of each feature, and a second pass carries it back part by part: the gradient, also of the logit scale, is that
of the whole batch. Random numbers are seeded for each step and part, so the second pass repeats the first, and a
resumed run repeats an unbroken one.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainer.config import ObjectiveConfig
from trainer.distributed import World
from trainer.models.clip import Clip, normalise_images
from trainer.objectives.contrastive import contrastive_loss, sharded_contrastive_loss
from trainer.objectives.sigmoid import sigmoid_loss

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
        model: Clip,
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
            loss = self._loss(*self._features(images, ids))
            self._backward(loss)
        else:
            loss = self._in_parts(step, images.chunk(parts), ids.chunk(parts))
        self.world.average_scalars(self.model)
        return loss.detach()

    def _in_parts(self, step: int, images: tuple[Tensor, ...], ids: tuple[Tensor, ...]) -> Tensor:
        with torch.no_grad(), _statistics_untouched(self.module):
            found = []
            for part, (pictures, tokens) in enumerate(zip(images, ids, strict=True)):
                self._seed(step, part)
                found.append(self._features(pictures, tokens))
        whole = [torch.cat(side).requires_grad_() for side in zip(*found, strict=True)]
        loss = self._loss(whole[0], whole[1])
        self._backward(loss)
        slopes = [torch.split(leaf.grad, [len(p) for p in images]) for leaf in whole if leaf.grad is not None]
        for part, (pictures, tokens) in enumerate(zip(images, ids, strict=True)):
            self._seed(step, part)
            self.world.synchronise(self.module, part == len(images) - 1)
            features = self._features(pictures, tokens)
            torch.autograd.backward(features, [slope[part] for slope in slopes])
        return loss

    def _features(self, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors in float32 of pictures and texts; under autocast the towers compute in ``dtype``."""
        kind = images.device.type
        # The end token has the highest id; what follows is padding, and 0 is a piece as well ("!").
        length = int(ids.argmax(dim=1).max()) + 1 if kind == "cpu" else ids.shape[1]
        with torch.autocast(kind, self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            image, text = self.module(
                normalise_images(images, self.model.spec.mean, self.model.spec.std), ids[:, :length]
            )
        return image.float(), text.float()

    def _loss(self, images: Tensor, texts: Tensor) -> Tensor:
        model, world, tile = self.model, self.world, self.config.loss_tile
        scale = model.logit_scale.exp()
        offset = world.rank * len(images)
        if self.config.loss == "sigmoid":
            assert model.logit_bias is not None
            return sigmoid_loss(images, world.gather(texts), scale, model.logit_bias, offset, tile)
        if world.size == 1:
            return contrastive_loss(images, texts, scale, tile)
        return sharded_contrastive_loss(images, texts, world.gather(images), world.gather(texts), scale, offset, tile)

    def _backward(self, loss: Tensor) -> None:
        torch.autograd.backward(self.scaler.scale(loss))

    def _seed(self, step: int, part: int) -> None:
        torch.manual_seed((((self.seed * 1_000_003 + step) * 4099 + part) * 65_537 + self.world.rank) % 2**63)
