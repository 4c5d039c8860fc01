"""Caption prediction: a transformer language model that sees the image and writes its caption, piece by piece.

In: images and token ids. Out: for each pair the mean cross-entropy of its pieces and the end token, each by the image
and the pieces before. As in VirTex (arXiv 2006.06666) the language model looks at the cells of the image tower, not at
one vector alone; here they stand at the beginning of its sequence. A class is scored by the log-likelihood of prompts
with its name.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.layers import Transformer
from trainer.models.resnet import ResNet
from trainer.models.spec import ModelSpec
from trainer.objectives.predictive import Predictive

__all__ = ["Caption", "LanguageModel"]


class LanguageModel(nn.Module):
    """A causal transformer over an image's cells and a text's pieces, of the sizes of the text tower."""

    def __init__(self, spec: ModelSpec, cell_width: int) -> None:
        super().__init__()
        self.features_projection = nn.Linear(spec.embed_dim, spec.text_width)
        self.cells_projection = nn.Linear(cell_width, spec.text_width)
        self.token_embedding = nn.Embedding(spec.vocab_size, spec.text_width)
        self.positional_embedding = nn.Parameter(torch.empty(spec.context_length, spec.text_width))
        self.transformer = Transformer(
            spec.text_width, spec.text_layers, spec.text_heads, spec.activation, spec.norm_epsilon
        )
        self.ln_final = nn.LayerNorm(spec.text_width, spec.norm_epsilon)

    def initialise(self) -> None:
        """As in the text tower; maps by their width."""
        for projection in (self.features_projection, self.cells_projection):
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5)
            nn.init.zeros_(projection.bias)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        self.transformer.initialise()

    def seen(self, features: Tensor, cells: Tensor) -> Tensor:
        """An image as the beginning of a sequence: (batch, embed), (batch, cells, width) -> (batch, 1 + cells, …)."""
        return torch.cat([self.features_projection(features)[:, None], self.cells_projection(cells)], dim=1)

    def forward(self, seen: Tensor, ids: Tensor) -> Tensor:
        """The log-probability of each piece after the first: (batch, 1 + cells, …), (batch, length) -> (batch,
        length - 1)."""
        words = self.token_embedding(ids[:, :-1]) + self.positional_embedding[: ids.shape[1] - 1]
        x = self.transformer(torch.cat([seen, words.to(seen.dtype)], dim=1), None, causal=True)
        logits = self.ln_final(x[:, seen.shape[1] :]) @ self.token_embedding.weight.T
        return -F.cross_entropy(logits.float().transpose(1, 2), ids[:, 1:], reduction="none")


class Caption(Predictive):
    """The image tower and the language model ``text``, whose last layer shares its table with the first."""

    objective = "caption"
    by_prompts = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        width = 32 * spec.vision_width if isinstance(self.visual, ResNet) else spec.vision_width
        self.text = LanguageModel(spec, width)

    def initialise(self) -> None:
        """Draws the initial values from torch's random generator."""
        super().initialise()
        self.text.initialise()

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """The loss of each pair."""
        logs = self.text(self.text.seen(*self.visual.with_cells(images)), ids)
        last = ids.argmax(dim=1, keepdim=True)  # the end token, which is predicted too
        kept = torch.arange(logs.shape[1], device=ids.device)[None] < last
        return (-(logs * kept).sum(dim=1) / last[:, 0],)

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The log-likelihood of each text, its end included: (images, texts)."""
        seen = self.text.seen(*self.visual.with_cells(images))
        columns = []
        for text in ids:
            whole = text[: int(text.argmax()) + 1].expand(len(images), -1)
            columns.append(self.text(seen, whole).sum(dim=1))
        return torch.stack(columns, dim=1)
