"""The objectives by name, and the model of each.

In: a value of ``--objective`` and a model's sizes. Out: the model to train, or one to put stored tensors into.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from trainer.models.clip import Clip
from trainer.models.model import Model, initialised
from trainer.models.spec import ModelSpec
from trainer.objectives.bag_of_words import BagOfWords
from trainer.objectives.caption import Caption
from trainer.objectives.contrastive_bow import ContrastiveBow
from trainer.objectives.convirt import Convirt
from trainer.objectives.ngram import Ngram

__all__ = ["KINDS", "initial", "shaped"]

KINDS: dict[str, type[Model]] = {
    "contrastive": Clip,
    "sigmoid": Clip,
    "bag-of-words": BagOfWords,
    "caption": Caption,
    "contrastive-bow": ContrastiveBow,
    "ngram": Ngram,
    "convirt": Convirt,
}


def shaped(objective: str, spec: ModelSpec, states: Mapping[str, Tensor]) -> Model:
    """A model with a place for each of the tensors ``states``, of which only the n-grams' keys are looked at."""
    if objective == "sigmoid":
        return Clip(spec, bias=True)
    if objective == "ngram":
        return Ngram(spec, states.get("keys", torch.empty(0, dtype=torch.long)).clone())
    return KINDS[objective](spec)


def initial(objective: str, spec: ModelSpec, *, seed: int = 0, keys: Tensor | None = None) -> Model:
    """The model to train, with its initial values, the same for the same seed; ``keys`` are those of the n-grams."""
    return initialised(lambda: shaped(objective, spec, {} if keys is None else {"keys": keys}), seed)
