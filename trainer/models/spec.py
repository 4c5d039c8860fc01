"""The sizes of a model: the nine published ones by name, a tiny one for the CPU, and any other from a TOML file.

In: a name or the path of a TOML file. Out: a :class:`ModelSpec`. Imports no torch, so that ``--help`` stays fast.
The numbers are those of tables 18 to 20 of the paper (arXiv 2103.00020) and of its published weights.
"""

import difflib
from dataclasses import dataclass
from typing import Annotated, Literal

from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged
from webimagetext.settings import from_toml

__all__ = ["MEAN", "PUBLISHED", "SPECS", "STD", "Activation", "ModelSpec", "find_spec"]

# Of the RGB values of the published training images, in [0, 1].
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
Activation = Literal["quick_gelu", "gelu"]


@dataclass(frozen=True)
class ModelSpec(Ranged):
    """Everything that decides what a model computes: models with equal specs and equal tensors give equal vectors."""

    embed_dim: Annotated[int, Range(1)]
    """Size of the space that images and texts share."""
    image_size: Annotated[int, Range(1)]
    """Side of the square input, pixels."""
    vision_layers: Annotated[int | tuple[int, ...], Range(1)]
    """Transformer blocks of a ViT, or the bottleneck blocks of a ResNet's four stages."""
    vision_width: Annotated[int, Range(1)]
    """Channels of a ViT, or of a ResNet's stem."""
    vision_heads: Annotated[int, Range(1)]
    """Attention heads of a ViT, or of a ResNet's attention pool."""
    patch_size: Annotated[int, Range(0)] = 0
    """Side of a ViT's patches, pixels; 0 makes the image tower a ResNet."""
    text_width: Annotated[int, Range(1)] = 512
    """Channels of the text transformer."""
    text_heads: Annotated[int, Range(1)] = 8
    """Attention heads of the text transformer."""
    text_layers: Annotated[int, Range(1)] = 12
    """Blocks of the text transformer."""
    context_length: Annotated[int, Range(2)] = 77
    """Longest text, tokens, with the start and the end token."""
    vocab_size: Annotated[int, Range(1)] = 49408
    """Rows of the token table; the tokenizer may have fewer entries, never more."""
    activation: Activation = "quick_gelu"
    """Within each MLP: x · sigmoid(1.702 x), which the published weights were trained with, or the exact GELU of most
    others."""
    norm_epsilon: Annotated[float, Range(above=0)] = 1e-5
    """Added to the variance in each layer norm."""
    mean: Annotated[tuple[float, ...], Range()] = MEAN
    """Mean of the pictures' red, green and blue, in [0, 1]; it is subtracted."""
    std: Annotated[tuple[float, ...], Range(above=0)] = STD
    """Their deviation, by which is divided."""
    learning_rate: Annotated[float, Range(above=0)] = 5e-4
    """The published peak learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_vit == (not isinstance(self.vision_layers, int)):
            raise ValueError("vision_layers is one number for a ViT (patch_size > 0) and four numbers for a ResNet")
        if not isinstance(self.vision_layers, int) and len(self.vision_layers) != 4:
            raise ValueError("vision_layers of a ResNet is four numbers, one a stage")
        if self.is_vit and (self.image_size % self.patch_size or self.vision_width % self.vision_heads):
            raise ValueError("image_size must be a multiple of patch_size, and vision_width of vision_heads")
        if not self.is_vit and (self.image_size % 32 or self.vision_width * 32 % self.vision_heads):
            raise ValueError("image_size must be a multiple of 32, and 32 × vision_width of vision_heads")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError("mean and std are three numbers each, for red, green and blue")
        if self.text_width % self.text_heads:
            raise ValueError("text_width must be a multiple of text_heads")

    @property
    def is_vit(self) -> bool:
        """Whether the image tower is a vision transformer (else a ResNet)."""
        return self.patch_size > 0

    @property
    def grid(self) -> int:
        """Patches, or final feature cells of a ResNet, along one side."""
        return self.image_size // (self.patch_size or 32)


def _vit(patch: int, layers: int, width: int, embed: int, text: int, rate: float, size: int = 224) -> ModelSpec:
    return ModelSpec(
        embed, size, layers, width, width // 64, patch, text_width=text, text_heads=text // 64, learning_rate=rate
    )


def _resnet(layers: tuple[int, ...], width: int, size: int, embed: int, text: int, rate: float) -> ModelSpec:
    return ModelSpec(embed, size, layers, width, width // 2, text_width=text, text_heads=text // 64, learning_rate=rate)


PUBLISHED = {
    "RN50": _resnet((3, 4, 6, 3), 64, 224, 1024, 512, 5e-4),
    "RN101": _resnet((3, 4, 23, 3), 64, 224, 512, 512, 5e-4),
    "RN50x4": _resnet((4, 6, 10, 6), 80, 288, 640, 640, 5e-4),
    "RN50x16": _resnet((6, 8, 18, 8), 96, 384, 768, 768, 4e-4),
    "RN50x64": _resnet((3, 15, 36, 10), 128, 448, 1024, 1024, 3.6e-4),
    "ViT-B/32": _vit(32, 12, 768, 512, 512, 5e-4),
    "ViT-B/16": _vit(16, 12, 768, 512, 512, 5e-4),
    "ViT-L/14": _vit(14, 24, 1024, 768, 768, 4e-4),
    "ViT-L/14@336": _vit(14, 24, 1024, 768, 768, 2e-5, 336),
}

SPECS = PUBLISHED | {
    "RN-tiny": ModelSpec(
        128, 64, (2, 2, 2, 2), 16, 8, text_width=128, text_heads=2, text_layers=2, vocab_size=4096, learning_rate=1e-3
    ),
    "ViT-tiny": ModelSpec(
        128, 64, 4, 128, 2, 16, text_width=128, text_heads=2, text_layers=2, vocab_size=4096, learning_rate=1e-3
    ),
}


def find_spec(name: str) -> ModelSpec:
    """The model called ``name``, or the one that the TOML file ``name`` states. Raises UserError when there is
    neither."""
    if name in SPECS:
        return SPECS[name]
    if name.endswith(".toml"):
        return from_toml(ModelSpec, name)
    close = difflib.get_close_matches(name, SPECS, 1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise UserError(f"--model: there is no model '{name}'", f"{hint}known: {', '.join(SPECS)}, or a .toml file")
