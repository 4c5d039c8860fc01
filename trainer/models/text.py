"""The text tower: token and position tables, a causal transformer, and a projection of the end token.

In: token ids (batch, length), zeros after the end token. Out: features (batch, embed). Because attention is causal,
tokens after the end token change nothing: a batch may be trimmed to its longest text.
"""

import torch
from torch import Tensor, nn

from trainer.models.layers import Transformer
from trainer.models.spec import ModelSpec

__all__ = ["TextTower", "TextTransformer"]


class TextTower(nn.Module):
    """What turns token ids (batch, length) into features (batch, embed)."""

    def initialise(self) -> None:
        """Draws the initial values from torch's random generator."""
        raise NotImplementedError


class TextTransformer(TextTower):
    """The text tower of every published model; parameter names as published."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(spec.vocab_size, spec.text_width)
        self.positional_embedding = nn.Parameter(torch.empty(spec.context_length, spec.text_width))
        self.transformer = Transformer(
            spec.text_width, spec.text_layers, spec.text_heads, spec.activation, spec.norm_epsilon
        )
        self.ln_final = nn.LayerNorm(spec.text_width, spec.norm_epsilon)
        self.text_projection = nn.Parameter(torch.empty(spec.text_width, spec.embed_dim))

    def initialise(self) -> None:
        """The published initial values."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=self.transformer.width**-0.5)
        self.transformer.initialise()

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, length) -> (batch, embed). The end token has the highest id of its text."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        x = self.transformer(x, ids.argmax(dim=-1), causal=True)
        out: Tensor = self.ln_final(x) @ self.text_projection
        return out
