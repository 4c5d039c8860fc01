"""Evaluation while a model is trained: zero-shot classification and retrieval on sets that are read once.

In: a model as it is at a step, and the settings of its run. Out: figures, by the names that ``zeroshot`` and
``retrieval`` give them. Nothing is drawn by lot and the model is left as it was, so that training goes on with the same
numbers as without.
"""

from collections.abc import Sequence

import torch

from trainer.config import RunConfig
from trainer.evaluate.config import LabelledConfig, ZeroshotConfig
from trainer.evaluate.features import Stored, encode_pictures, samples
from trainer.evaluate.labelled import Labelled, bytes_of, labelled
from trainer.evaluate.retrieval import compare
from trainer.evaluate.zeroshot import accuracy, classifier, prompts_for
from trainer.models.model import Model
from trainer.tokenizer import Tokenizer
from trainer.weights import Trained, comparing
from webimagetext.errors import UserError

__all__ = ["During", "in_words"]


class During:
    """The sets of a run, and what a model can do on them. Raises UserError where there are none, or a model has no use
    for them."""

    def __init__(self, config: RunConfig, model: Model, tokenizer: Tokenizer, device: torch.device) -> None:
        crop = "squash" if config.crop == "squash" else "center"
        self._trained = Trained(model, tokenizer, config.output, 0, crop)
        self._device = device
        self._items: Sequence[Labelled] = []
        self._names: list[str] = []
        self._pairs: Sequence[Stored] = []
        limit = config.evaluate_limit
        if config.evaluate_zeroshot:
            sets = LabelledConfig(limit=limit, classes=config.evaluate_classes)
            self._items, self._names = labelled(sets, config.evaluate_zeroshot)
            self._prompts = prompts_for(ZeroshotConfig(), self._trained)
        if config.evaluate_retrieval:
            comparing(self._trained)
            self._pairs = list(samples(config.evaluate_retrieval, limit))
        if not (self._items or self._pairs):
            raise UserError(
                "--evaluate-every: there is nothing to evaluate on",
                "name held-out shards by --evaluate-retrieval, or labelled pictures by --evaluate-zeroshot",
            )

    def __call__(self) -> dict[str, float]:
        """The figures of the model as it is now."""
        training = self._trained.model.training
        try:
            return self._zeroshot() | self._retrieval()
        finally:
            self._trained.model.train(training)

    def _zeroshot(self) -> dict[str, float]:
        if not self._items:
            return {}
        score = classifier(self._trained, self._names, self._prompts, self._device)
        kept, scores = encode_pictures(
            self._trained, self._items, bytes_of, device=self._device, label="evaluate", encode=score
        )
        number = {name: index for index, name in enumerate(self._names)}
        return accuracy(scores, torch.tensor([number[name] for _, name in kept]))

    def _retrieval(self) -> dict[str, float]:
        if not self._pairs:
            return {}
        _, figures = compare(self._trained, self._pairs, self._device, label="evaluate")
        ways = ("image_to_text", "text_to_image")
        return {f"{way}_{k}": value for way in ways for k, value in figures[way].items()}


def in_words(figures: dict[str, float]) -> str:
    """The figures that say most, in a line."""
    names = {"top1": "top-1", "image_to_text_1": "image to text @1", "text_to_image_1": "text to image @1"}
    return ", ".join(f"{words} {100 * figures[name]:.1f}" for name, words in names.items() if name in figures)
