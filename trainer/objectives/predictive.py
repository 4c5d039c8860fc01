"""Objectives that predict the text of an image, by what its words tell: a pair's loss needs no other pair.

In: images and token ids. Out: a loss for each pair, and how likely each of some texts is for each image, by which
pictures are classified. No vectors of texts: nothing to search by.
"""

import torch
from torch import Tensor

from trainer.models.model import Model, Others

__all__ = ["Predictive", "words_in"]


def words_in(ids: Tensor) -> Tensor:
    """True for the pieces of words in texts (texts, length): not for start, end, and what follows."""
    places = torch.arange(ids.shape[1], device=ids.device)[None]
    return (places > 0) & (places < ids.argmax(dim=1, keepdim=True))


class Predictive(Model):
    """A model that gives texts likelihoods.

    ``by_prompts`` tells that sentences about a class are what it scores; else its name alone.
    """

    by_prompts = False

    def loss(self, found: tuple[Tensor, ...], others: Others, tile: int) -> Tensor:
        """The mean over this process's pairs."""
        return found[0].mean()

    def scores(self, images: Tensor, ids: Tensor) -> Tensor:
        """The log-likelihood of each text for each normalised image: (images, texts)."""
        raise NotImplementedError
