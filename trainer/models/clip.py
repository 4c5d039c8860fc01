"""The two towers and the temperature: the model that is trained.

In: a :class:`ModelSpec`. Out: a module that turns images and token ids into unit vectors of one space. ``build`` makes
one with the published initial values from a seed.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.layers import Transformer
from trainer.models.resnet import ResNet
from trainer.models.spec import MEAN, STD, ModelSpec
from trainer.models.text import TextTransformer
from trainer.models.vit import VisionTransformer

__all__ = ["LOGIT_SCALE_LIMIT", "Clip", "build", "normalise_images", "parameter_count"]

LOGIT_SCALE_LIMIT = math.log(100)


class Clip(nn.Module):
    """``visual`` and ``text`` towers, ``logit_scale`` (its exponential multiplies the similarities) and ``logit_bias``.

    The bias exists for the sigmoid loss only; the published models have none.
    """

    def __init__(self, spec: ModelSpec, *, bias: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.visual: VisionTransformer | ResNet = VisionTransformer(spec) if spec.is_vit else ResNet(spec)
        self.text = TextTransformer(spec)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.logit_bias = nn.Parameter(torch.tensor(-10.0)) if bias else None
        if bias:
            nn.init.constant_(self.logit_scale, math.log(10))

    def initialise(self) -> None:
        """Draws the published initial values from torch's random generator."""
        self.visual.initialise()
        self.text.initialise()

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (batch, 3, side, side) -> unit vectors (batch, embed)."""
        return F.normalize(self.visual(images), dim=-1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> unit vectors (batch, embed)."""
        return F.normalize(self.text(ids), dim=-1)

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The unit vectors of images and of texts."""
        return self.encode_image(images), self.encode_text(ids)

    def set_save_memory(self, on: bool) -> None:
        """Turns gradient checkpointing of all blocks on or off."""
        for module in self.modules():
            if isinstance(module, (ResNet, Transformer)):
                module.save_memory = on

    def blocks(self) -> Iterator[nn.Module]:
        """Every residual block of both towers, from the input on: the units in which FSDP shards."""
        if isinstance(self.visual, VisionTransformer):
            yield from self.visual.transformer.resblocks
        else:
            for stage in (self.visual.layer1, self.visual.layer2, self.visual.layer3, self.visual.layer4):
                yield from stage
        yield from self.text.transformer.resblocks


def build(spec: ModelSpec, *, seed: int = 0, bias: bool = False) -> Clip:
    """A model with the published initial values, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Clip(spec, bias=bias)
        model.initialise()
    return model


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
