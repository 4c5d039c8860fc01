"""The settings of each evaluation."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainer.config import TrainedConfig
from webimagetext.ranges import Range

__all__ = ["EvaluateConfig", "RetrievalConfig", "ZeroshotConfig"]


@dataclass(frozen=True)
class EvaluateConfig(TrainedConfig):
    """What every evaluation needs."""

    data: tuple[str, ...] = ()
    """What to evaluate on: patterns of shards, or for zeroshot also a folder with one folder of pictures a class."""
    output: str = ""
    """A JSON file for the figures."""
    batch_size: Annotated[int, Range(1)] = 64
    """Pictures or texts at a time."""
    limit: Annotated[int, Range(0)] = 0
    """At most so many pairs or pictures; 0: all."""
    device: str = "auto"
    """"cuda", "cpu", or "auto" for the first that is there."""
    crop: Literal["auto", "center", "squash"] = "auto"
    """The middle square of a picture, as published, or the whole picture squeezed into one; "auto": as it was
    trained."""


@dataclass(frozen=True)
class RetrievalConfig(EvaluateConfig):
    """Finds for each image its text among all, and for each text its image: recall at 1, 5 and 10, beside chance."""

    train_data: tuple[str, ...] = ()
    """Patterns of the shards that the model was trained on, to tell how far the pictures are from those; left out:
    those that the checkpoint names, where they still lie there."""


@dataclass(frozen=True)
class ZeroshotConfig(EvaluateConfig):
    """Classifies pictures by the class whose prompts are most similar: top-1 and top-5 accuracy, beside chance."""

    classes: str = ""
    """A text file with one class name a line; left out: the folders' names, or the labels that occur."""
    label_field: str = "label"
    """Shards: the field of the JSON member with the class, a name or a number of a line in --classes, from 0 on; where
    there is none, the .cls member."""
    prompts: tuple[str, ...] = ()
    """Templates with {} for the name, an ensemble of all; left out: a set of seven general ones."""
