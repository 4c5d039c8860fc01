"""The two towers and the temperature: images and texts as unit vectors of one space.

In: a :class:`ModelSpec`. Out: a model for the contrastive loss, or with a bias for the sigmoid loss. ``build`` makes
one with the published initial values from a seed.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.model import Model, Others, initialised
from trainer.models.spec import MEAN, STD, ModelSpec
from trainer.models.text import TextTower, TextTransformer
from trainer.objectives.contrastive import contrastive_loss, sharded_contrastive_loss
from trainer.objectives.sigmoid import sigmoid_loss

__all__ = ["LOGIT_SCALE_LIMIT", "Clip", "build", "normalise_images", "parameter_count"]

LOGIT_SCALE_LIMIT = math.log(100)


class Clip(Model):
    """``visual`` and ``text`` towers, ``logit_scale`` (its exponential multiplies the similarities) and ``logit_bias``.

    The bias exists for the sigmoid loss only; the published models have none. Other encoders of texts are subclasses.
    """

    objective = "contrastive"
    whole_batch = True

    def __init__(self, spec: ModelSpec, *, bias: bool = False) -> None:
        super().__init__(spec)
        self.text = self.text_tower(spec)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.logit_bias = nn.Parameter(torch.tensor(-10.0)) if bias else None
        if bias:
            self.objective = "sigmoid"
            nn.init.constant_(self.logit_scale, math.log(10))

    def text_tower(self, spec: ModelSpec) -> TextTower:
        """The encoder of texts."""
        return TextTransformer(spec)

    def initialise(self) -> None:
        """Draws the published initial values from torch's random generator."""
        super().initialise()
        self.text.initialise()

    def encode_text(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> unit vectors (batch, embed)."""
        return F.normalize(self.text(ids), dim=-1)

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """The unit vectors of images and of texts."""
        return self.encode_image(images), self.encode_text(ids)

    def loss(self, found: tuple[Tensor, ...], others: Others, tile: int) -> Tensor:
        """This process's share of the loss over the pairs of all."""
        images, texts = found
        scale, offset = self.logit_scale.exp(), others.rank * len(images)
        if self.logit_bias is not None:
            return sigmoid_loss(images, others.gather(texts), scale, self.logit_bias, offset, tile)
        if others.size == 1:
            return contrastive_loss(images, texts, scale, tile)
        return sharded_contrastive_loss(images, texts, others.gather(images), others.gather(texts), scale, offset, tile)


def build(spec: ModelSpec, *, seed: int = 0, bias: bool = False) -> Clip:
    """A model with the published initial values, the same for the same seed."""
    return initialised(lambda: Clip(spec, bias=bias), seed)


def normalise_images(
    images: Tensor, mean: Sequence[float] = MEAN, std: Sequence[float] = STD, dtype: torch.dtype = torch.float32
) -> Tensor:
    """uint8 (batch, side, side, 3) -> normalised (batch, 3, side, side) in channels-last memory, on the same device."""
    middle = torch.tensor(mean, device=images.device, dtype=torch.float32) * 255
    scale = 1 / (torch.tensor(std, device=images.device, dtype=torch.float32) * 255)
    return images.to(torch.float32).sub_(middle).mul_(scale).to(dtype).permute(0, 3, 1, 2)


def parameter_count(model: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in model.parameters())
