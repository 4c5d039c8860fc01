"""Bag-of-words prediction (Joulin et al., arXiv 1511.02251): which words a caption has, in whatever order.

In: images and token ids. Out: for each pair the cross-entropy between a softmax over the vocabulary and the shares of
the caption's words. A class is scored by the mean log-probability of its name's words.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.spec import ModelSpec
from trainer.objectives.predictive import Predictive, words_in

__all__ = ["BagOfWords", "bags"]


def bags(ids: Tensor, vocabulary: int) -> Tensor:
    """The share that each word has in each text: (texts, length) -> (texts, vocabulary)."""
    kept = words_in(ids).to(torch.float32)
    counts = torch.zeros(len(ids), vocabulary, device=ids.device).scatter_add_(1, ids, kept)
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


class BagOfWords(Predictive):
    """The image tower and a linear map to the vocabulary."""

    objective = "bag-of-words"

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.head = nn.Linear(spec.embed_dim, spec.vocab_size)

    def initialise(self) -> None:
        """The tower as published; the map so that all words begin about equally likely."""
        super().initialise()
        nn.init.normal_(self.head.weight, std=self.spec.embed_dim**-0.5)
        nn.init.zeros_(self.head.bias)

    def _logs(self, images: Tensor) -> Tensor:
        """The log-probability of each word of the vocabulary: (images, vocabulary)."""
        return F.log_softmax(self.head(self.visual(images)).float(), dim=-1)

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """The loss of each pair."""
        logs = self._logs(images)
        return (-(logs * bags(ids, logs.shape[1]).to(logs.dtype)).sum(dim=1),)

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The mean log-probability of each text's words: (images, texts)."""
        logs = self._logs(images)
        return logs @ bags(ids, logs.shape[1]).to(logs.dtype).T
