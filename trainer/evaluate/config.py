"""The settings of each evaluation."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainer.config import TrainedConfig
from webimagetext.ranges import Range, Ranged

__all__ = [
    "EvaluateConfig",
    "FewshotConfig",
    "LabelledConfig",
    "OverlapConfig",
    "ProbeConfig",
    "PromptsConfig",
    "ReportConfig",
    "RetrievalConfig",
    "RobustnessConfig",
    "ScalingConfig",
    "SuiteConfig",
    "ZeroshotConfig",
]


@dataclass(frozen=True)
class ReportConfig(Ranged):
    """Where the figures go, beside the terminal."""

    output: str = ""
    """A JSON file for the figures."""
    page: str = ""
    """An HTML file for the table and a drawing."""


@dataclass(frozen=True)
class EvaluateConfig(ReportConfig, TrainedConfig):
    """What every evaluation needs."""

    data: tuple[str, ...] = ()
    """What to evaluate on: patterns of shards, or for zeroshot also a folder with one folder of pictures a class."""
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
    captions: Literal["text", "lines"] = "text"
    """A picture's text is one caption, or each of its lines is one, any of which is a right answer."""


@dataclass(frozen=True)
class LabelledConfig(EvaluateConfig):
    """What every evaluation on pictures with classes needs."""

    classes: str = ""
    """A text file with one class name a line; left out: the folders' names, or the labels that occur."""
    label_field: str = "label"
    """Shards: the field of the JSON member with the class, a name or a number of a line in --classes, from 0 on; where
    there is none, the .cls member."""


@dataclass(frozen=True)
class PromptsConfig(EvaluateConfig):
    """What classes are told by."""

    prompts: tuple[str, ...] = ()
    """Templates with {} for the name, an ensemble of all; left out: a set of seven general ones."""
    prompts_file: str = ""
    """A text file with further templates, one a line."""
    text_cache: str = ""
    """A folder that keeps the classes' vectors, for the next evaluation with the same text tower, names and
    templates."""


@dataclass(frozen=True)
class ZeroshotConfig(PromptsConfig, LabelledConfig):
    """Classifies pictures by the class whose prompts are most similar: top-1 and top-5 accuracy, beside chance."""


@dataclass(frozen=True)
class SuiteConfig(PromptsConfig):
    """Zero-shot classification on every evaluation set in the folder --data, which has a folder for each.

    What is known of 27 sets and their relatives (class names, templates, what is usually stated) comes along; other
    sets go by the names of their folders. --limit is for each set, and --prompts for all of them.
    """


@dataclass(frozen=True)
class ProbeConfig(LabelledConfig):
    """Fits logistic regression to the features of pictures with classes, and classifies --data by it."""

    train_data: tuple[str, ...] = ()
    """What to fit it to, in the same forms as --data."""
    validation_data: tuple[str, ...] = ()
    """What to choose its strength on; left out: a fifth of --train-data, drawn by lot."""
    strength: Annotated[float, Range(0.0)] = 0.0
    """C, the weight of the loss against that of small coefficients; 0: the best of 1e-6 to 1e6, to an eighth of a
    decade, on the validation data."""
    iterations: Annotated[int, Range(1)] = 1000
    """Steps of L-BFGS at most."""


@dataclass(frozen=True)
class FewshotConfig(ZeroshotConfig):
    """Fits logistic regression to a few pictures a class, and tells how many match zero-shot classification."""

    train_data: tuple[str, ...] = ()
    """What the few are drawn from, in the same forms as --data."""
    shots: Annotated[tuple[int, ...], Range(1)] = (1, 2, 4, 8, 16)
    """Pictures a class."""
    draws: Annotated[int, Range(1)] = 3
    """How often to draw them; the mean counts."""
    strength: Annotated[float, Range(0.0)] = 1.0
    """C, the weight of the loss against that of small coefficients."""


@dataclass(frozen=True)
class RobustnessConfig(ZeroshotConfig):
    """Accuracy on shifted sets beside that on the pictures of --data of the same classes."""

    shifted: tuple[str, ...] = ()
    """Each a folder with one folder of pictures a class, or a pattern of shards; some of --data's classes will do."""
    others: tuple[str, ...] = ()
    """Files that --output made for other models on the same sets: what they let expect is subtracted."""


@dataclass(frozen=True)
class OverlapConfig(ZeroshotConfig):
    """Finds the pictures of --data among those trained on, and what they make of the zero-shot accuracy."""

    train_data: tuple[str, ...] = ()
    """Patterns of the shards that the model was trained on; left out: those that the checkpoint names, where they still
    lie there."""
    distance: Annotated[int, Range(-1, 8)] = 4
    """Bits of the perceptual hash within which a picture counts as the same (-1: equal contents alone)."""
    altered: bool = True
    """Altered copies count too: mirrored, cropped by up to a tenth of a side, framed, marked. Not where --distance is
    -1."""


@dataclass(frozen=True)
class ScalingConfig(ReportConfig):
    """Fits a power law over runs: how the error falls with the compute, the samples or the parameters."""

    runs: tuple[str, ...] = ()
    """Files that --output wrote, or folders of runs that were trained with --evaluate-every; three or more."""
    by: Literal["compute", "samples", "parameters"] = "compute"
    """Operations of the training, its pairs, or the size of the model."""
    figure: str = "top1"
    """What 1 is the best of: a figure of the files, such as top1, mean_per_class, mean (of a suite) or
    image_to_text.1."""
    floor: bool = False
    """Fits a constant too, below which the error doesn't fall; needs four runs."""
