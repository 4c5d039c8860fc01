"""The objectives that the paper compared the contrastive one with (its figure 2), for the same image tower.

In: image vectors (before normalising) and token ids. Out: a loss to train with, and scores of texts for zero-shot
classification. ``CaptionPrediction`` reads the image and writes the caption word by word; ``BagOfWordsPrediction``
predicts which words occur; ``BagOfWordsContrast`` matches images with the mean of their words' vectors.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.layers import Transformer
from trainer.objectives.contrastive import contrastive_loss

__all__ = ["BagOfWordsContrast", "BagOfWordsPrediction", "CaptionPrediction"]


def _words(ids: Tensor) -> Tensor:
    """True for the words of a text (texts, length): not the start token, the end token, or what follows."""
    places = torch.arange(ids.shape[1], device=ids.device)[None]
    return (places > 0) & (places < ids.argmax(dim=1, keepdim=True))


class BagOfWordsContrast(nn.Module):
    """Contrastive learning with a text encoder without order: a linear map of the mean of the words' vectors."""

    def __init__(self, embed: int, vocab_size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, embed)
        self.project = nn.Linear(embed, embed, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_text(self, ids: Tensor) -> Tensor:
        """(texts, length) -> unit vectors (texts, embed)."""
        kept = _words(ids)[..., None]
        mean = (self.words(ids) * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
        return F.normalize(self.project(mean), dim=-1)

    def forward(self, images: Tensor, ids: Tensor) -> Tensor:
        """The symmetric contrastive loss of a batch of pairs."""
        return contrastive_loss(F.normalize(images, dim=-1), self.encode_text(ids), self.logit_scale.exp())

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """How well each text fits each image: (images, texts)."""
        return F.normalize(images, dim=-1) @ self.encode_text(ids).T


class BagOfWordsPrediction(nn.Module):
    """Predicts the caption's words in any order: cross-entropy between a softmax over the vocabulary and the bag."""

    def __init__(self, embed: int, vocab_size: int) -> None:
        super().__init__()
        self.head = nn.Linear(embed, vocab_size)

    def _means(self, images: Tensor, ids: Tensor, pairs: bool) -> Tensor:
        logs = F.log_softmax(self.head(images), dim=-1)
        kept = _words(ids).to(logs.dtype)
        bags = torch.zeros(len(ids), logs.shape[1], device=ids.device, dtype=logs.dtype).scatter_add_(1, ids, kept)
        bags = bags / bags.sum(dim=1, keepdim=True).clamp(min=1)
        return (logs * bags).sum(dim=1) if pairs else logs @ bags.T

    def forward(self, images: Tensor, ids: Tensor) -> Tensor:
        """The loss of a batch of pairs."""
        return -self._means(images, ids, True).mean()

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The mean log-probability of each text's words given each image: (images, texts)."""
        return self._means(images, ids, False)


class CaptionPrediction(nn.Module):
    """Predicts the caption's exact words in their order with a causal transformer that begins with the image."""

    def __init__(self, embed: int, vocab_size: int, context_length: int, layers: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, embed)
        self.positions = nn.Parameter(torch.empty(context_length + 1, embed))
        self.transformer = Transformer(embed, layers, max(1, embed // 64))
        self.ln_final = nn.LayerNorm(embed)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        self.transformer.initialise()

    def _log_likelihood(self, images: Tensor, ids: Tensor) -> Tensor:
        """The mean log-probability of each pair's next tokens, the end token included: (pairs,)."""
        inputs = torch.cat([images[:, None], self.words(ids[:, :-1])], dim=1)
        x = self.ln_final(self.transformer(inputs + self.positions[: inputs.shape[1]], None, True))
        logs = F.log_softmax(x[:, 1:] @ self.words.weight.T, dim=-1)
        targets = ids[:, 1:]
        kept = torch.arange(targets.shape[1], device=ids.device)[None] < ids.argmax(dim=1, keepdim=True)
        found = logs.gather(2, targets[..., None])[..., 0] * kept
        return found.sum(dim=1) / kept.sum(dim=1)

    def forward(self, images: Tensor, ids: Tensor) -> Tensor:
        """The loss of a batch of pairs."""
        return -self._log_likelihood(images, ids).mean()

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The mean log-probability of each text given each image: (images, texts)."""
        columns = [self._log_likelihood(images, row.expand(len(images), -1)) for row in ids]
        return torch.stack(columns, dim=1)
