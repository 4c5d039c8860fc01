"""What the shards hold and how the pictures are divided among them.

In: the ``[package]`` table of a run's configuration. Out: :class:`PackageConfig`, checked. Import-light, because
``--help`` reads it.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.image.config import HooksConfig, ImageRulesConfig
from webimagetext.deciding import CODE, INPUT, check_name
from webimagetext.errors import UserError

__all__ = ["PackageConfig"]


@dataclass(frozen=True)
class PackageConfig:
    """Image rules, hold-out split, shards."""

    samples_per_shard: int = 10_000
    """Samples of a shard, on average: a sample's shard is drawn by a hash of its key."""
    format: Literal["tar", "parquet", "both"] = "tar"
    """tar: WebDataset tars, with the metadata in Parquet; parquet: Parquet alone, the images in a column jpg (bytes
    and path, as the datasets library has pictures); both: tars, and the images in the Parquet too."""
    holdout: float = 0.0
    """Share of the pictures kept apart for evaluation, 0 to 1, drawn by a hash of the picture's content."""
    near_duplicates: int | None = None
    """Bits (0 to 8) of the 64-bit perceptual hash in which two pictures may differ and still count as one, of which the
    one with most pixels stays; 4 is a good number. Off by default: the hash sees shapes without colour, so drawings
    that differ in colour alone count as one, and the published sets were not thinned this way."""
    evaluation_sets: Annotated[tuple[str, ...], INPUT] = ()
    """Evaluation pictures that must not be in the data: folders of image files or shards, tars, or Parquet tables with
    columns sha256 and phash."""
    evaluation_distance: int = 4
    """Bits of the perceptual hash within which a picture counts as an evaluation picture (0 to 8; -1: equal contents
    alone)."""
    steps: Annotated[tuple[str, ...], CODE] = ()
    """Beam transforms of your own, module:class, on pairs with an image that passed the rules, before duplicates are
    looked for; as in [steps]. Each round of topping up is given by itself."""
    rules: ImageRulesConfig = field(default_factory=ImageRulesConfig)
    hooks: HooksConfig = field(default_factory=HooksConfig)

    def __post_init__(self) -> None:
        for name in self.steps:
            check_name("package.steps", name)
        if self.samples_per_shard <= 0:
            raise UserError("package: samples_per_shard must be greater than 0")
        if not 0 <= self.holdout < 1:
            raise UserError(f"package: holdout {self.holdout} is not a share between 0 and 1")
        if self.near_duplicates is not None and not 0 <= self.near_duplicates <= 8:
            raise UserError(f"package: near_duplicates {self.near_duplicates} is not between 0 and 8 bits")
        if not -1 <= self.evaluation_distance <= 8:
            raise UserError(f"package: evaluation_distance {self.evaluation_distance} is not between -1 and 8 bits")
