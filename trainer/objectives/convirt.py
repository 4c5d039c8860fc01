"""ConVIRT (arXiv 2010.00747), the model that CLIP simplifies: non-linear heads and stronger augmentation.

In: images and token ids. Out: unit vectors behind a head of two layers for each side, and the contrastive loss with a
fixed temperature in which the direction from images to texts weighs three times as much as the other. Its third
difference, one sampled sentence of a text, is ``--captions sentence``, which ``--objective convirt`` implies.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.clip import Clip
from trainer.models.model import Others
from trainer.models.spec import ModelSpec
from trainer.objectives.augment import altered
from trainer.objectives.contrastive import sharded_contrastive_loss

__all__ = ["Convirt"]

TEMPERATURE = 0.1
IMAGES_TO_TEXTS = 0.75  # the weight of that direction


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


class Convirt(Clip):
    """Both towers with heads. The temperature is a number of the model that training leaves as it is."""

    objective = "convirt"

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        nn.init.constant_(self.logit_scale, math.log(1 / TEMPERATURE))
        self.logit_scale.requires_grad_(False)
        self.image_head, self.text_head = _head(spec.embed_dim), _head(spec.embed_dim)

    def initialise(self) -> None:
        """The towers as published; the heads so that they keep the size of what goes through."""
        super().initialise()
        for head in (self.image_head, self.text_head):
            for layer in head:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5)
                    nn.init.zeros_(layer.bias)

    def prepare(self, images: Tensor) -> Tensor:
        """The training pictures, each altered by lot."""
        return altered(images) if self.training else images

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (batch, 3, side, side) -> unit vectors (batch, embed)."""
        return F.normalize(self.image_head(self.visual(images)), dim=-1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> unit vectors (batch, embed)."""
        return F.normalize(self.text_head(self.text(ids)), dim=-1)

    def loss(self, found: tuple[Tensor, ...], others: Others, tile: int) -> Tensor:
        """This process's share of the weighted loss over the pairs of all."""
        images, texts = found
        offset = others.rank * len(images)
        return sharded_contrastive_loss(
            images, texts, others.gather(images), others.gather(texts), self.logit_scale.exp(), offset, tile,
            rows_weigh=IMAGES_TO_TEXTS,
        )  # fmt: skip
