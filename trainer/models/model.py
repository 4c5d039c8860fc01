"""What is trained: an image tower, and whatever an objective puts beside it.

In: normalised pictures and token ids. Out: what the objective's loss is made of, then the loss. The training step, the
optimizer, checkpoints and evaluations know no more of an objective than this class.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.layers import Transformer
from trainer.models.resnet import ResNet
from trainer.models.spec import ModelSpec
from trainer.models.vit import VisionTransformer

__all__ = ["Model", "Others", "initialised"]

Trained = TypeVar("Trained", bound="Model")


class Others(Protocol):
    """The processes that train together: this one is ``rank`` of ``size``."""

    rank: int
    size: int

    def gather(self, own: Tensor) -> Tensor:
        """The rows of all, in order of rank; differentiable."""
        ...


class Model(nn.Module):
    """The image tower ``visual``. An objective adds its parts, and says what is minimised.

    ``whole_batch`` tells that a pair's loss depends on the other pairs of its batch.
    """

    objective = ""  # the value of --objective
    whole_batch = False

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.visual: VisionTransformer | ResNet = VisionTransformer(spec) if spec.is_vit else ResNet(spec)

    def initialise(self) -> None:
        """Draws the initial values from torch's random generator."""
        self.visual.initialise()

    def prepare(self, images: Tensor) -> Tensor:
        """What is done to a batch of training pictures, uint8 (batch, side, side, 3), before they are normalised."""
        return images

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """Normalised images (batch, 3, side, side) and token ids (batch, length) -> tensors of a row a pair."""
        raise NotImplementedError

    def loss(self, found: tuple[Tensor, ...], others: Others, tile: int) -> Tensor:
        """This process's share of the loss, whose mean over processes is the loss, from what :meth:`forward` gave.

        No more than ``tile`` × ``tile`` similarities are held at once.
        """
        raise NotImplementedError

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (batch, 3, side, side) -> unit vectors (batch, embed)."""
        return F.normalize(self.visual(images), dim=-1)

    def set_save_memory(self, on: bool) -> None:
        """Turns gradient checkpointing of all blocks on or off."""
        for module in self.modules():
            if isinstance(module, (ResNet, Transformer)):
                module.save_memory = on

    def blocks(self) -> Iterator[nn.Module]:
        """Every residual block, from the input on: the units in which FSDP shards."""
        if isinstance(self.visual, ResNet):
            for stage in (self.visual.layer1, self.visual.layer2, self.visual.layer3, self.visual.layer4):
                yield from stage
        for module in self.modules():
            if isinstance(module, Transformer):
                yield from module.resblocks


def initialised(make: Callable[[], Trained], seed: int) -> Trained:
    """A model with its initial values, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        model.initialise()
    return model
