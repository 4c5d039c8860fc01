"""Visual N-Grams (Li et al., ICCV 2017, arXiv 1612.09161): the image gives scores to a dictionary of n-grams.

In: images, token ids, and the dictionary (dictionary.py). Out: for each pair -Σ log p(piece | pieces before, image).
The n-grams' probabilities are a softmax over the whole dictionary; a piece's given those before is interpolated over
all lengths of what goes before, by Jelinek and Mercer::

    p(w_i | h) = λ min(1, p(h w_i) / p(h)) + (1 - λ) p(w_i | h without its first)        where h is in the dictionary

and it backs off to the shorter history where h is not. Words are pieces of the tokenizer here, so none is unknown. The
quotient is bounded, since nothing in the softmax says that a history is as likely as what begins with it. A class is
scored by the log-likelihood of its name.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.spec import ModelSpec
from trainer.objectives.dictionary import ORDER
from trainer.objectives.predictive import Predictive, words_in

__all__ = ["Ngram", "smoothed"]

SHARE = 0.2  # λ, of the longer history


def smoothed(logs: Tensor, there: Tensor) -> Tensor:
    """The log-probability of each place given those before: (…, ORDER, length) -> (…, length).

    ``logs`` are those of the n-gram of each order that ends at a place, ``there`` tells which are in the dictionary.
    """
    result = logs[..., 0, :]
    for order in range(1, logs.shape[-2]):
        before = F.pad(logs[..., order - 1, :-1], (1, 0))
        known = F.pad(there[..., order - 1, :-1], (1, 0))
        shorter = math.log(1 - SHARE) + result
        longer = math.log(SHARE) + (logs[..., order, :] - before).clamp(max=0)
        both = torch.where(there[..., order, :], torch.logaddexp(longer, shorter), shorter)
        result = torch.where(known, both, result)
    return result


class Ngram(Predictive):
    """The image tower and a vector for each entry: the pieces of the vocabulary, then the n-grams of ``keys``."""

    objective = "ngram"
    keys: Tensor

    def __init__(self, spec: ModelSpec, keys: Tensor) -> None:
        super().__init__(spec)
        self.register_buffer("keys", keys)
        self.head = nn.Linear(spec.embed_dim, spec.vocab_size + len(keys), bias=False)

    def initialise(self) -> None:
        """The tower as published; the vectors by their size."""
        super().initialise()
        nn.init.normal_(self.head.weight, std=self.spec.embed_dim**-0.5)

    def entries(self, ids: Tensor) -> Tensor:
        """The entry of the n-gram of each order that ends at each place: (texts, ORDER, length), -1 for none."""
        words, size = words_in(ids), self.spec.vocab_size
        found = [torch.where(words, ids, -1)]
        for _ in range(1, ORDER):
            before = F.pad(found[-1][:, :-1], (1, 0), value=-1)
            keys = before * size + ids  # below 0, and so none, where there is nothing before
            at = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
            found.append(torch.where(words & (self.keys[at] == keys), size + at, -1))
        return torch.stack(found, dim=1)

    def _logs(self, images: Tensor) -> Tensor:
        """The log-probability of each entry: (images, entries)."""
        return F.log_softmax(self.head(self.visual(images)).float(), dim=-1)

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        """The loss of each pair."""
        entries = self.entries(ids)
        logs = self._logs(images).gather(1, entries.clamp(min=0).flatten(1)).view(entries.shape)
        return (-(smoothed(logs, entries >= 0) * words_in(ids)).sum(dim=1),)

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The log-likelihood of each text: (images, texts)."""
        logs, columns = self._logs(images), []
        for entries, words in zip(self.entries(ids), words_in(ids), strict=True):
            found = smoothed(logs[:, entries.clamp(min=0)], entries >= 0)
            columns.append((found * words).sum(dim=1))
        return torch.stack(columns, dim=1)
