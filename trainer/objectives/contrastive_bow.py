"""The contrastive objective with a text encoder that knows no order: the mean of the words' vectors, and a linear map.

In: images and token ids. Out: unit vectors of both and the symmetric softmax loss, as with the text transformer.
"""

from torch import Tensor, nn

from trainer.models.clip import Clip
from trainer.models.spec import ModelSpec
from trainer.models.text import TextTower
from trainer.objectives.predictive import words_in

__all__ = ["BagEncoder", "ContrastiveBow"]


class BagEncoder(TextTower):
    """Token ids (batch, length) -> features (batch, embed)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(spec.vocab_size, spec.text_width)
        self.text_projection = nn.Linear(spec.text_width, spec.embed_dim, bias=False)

    def initialise(self) -> None:
        """Vectors as in the text transformer; the map by its width."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.text_projection.weight, std=self.text_projection.in_features**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """The map of the mean over the words of each text."""
        kept = words_in(ids)[..., None]
        mean = (self.token_embedding(ids) * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
        out: Tensor = self.text_projection(mean)
        return out


class ContrastiveBow(Clip):
    """The image tower and the encoder without order."""

    objective = "contrastive-bow"

    def text_tower(self, spec: ModelSpec) -> TextTower:
        """The encoder of texts."""
        return BagEncoder(spec)
