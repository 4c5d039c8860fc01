"""What the shards hold and how the pictures are divided among them.

In: the ``[package]`` table of a run's configuration. Out: :class:`PackageConfig`, checked. Import-light, because
``--help`` reads it.
"""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.image.config import ImageRulesConfig
from webimagetext.errors import UserError

__all__ = ["PackageConfig"]


@dataclass(frozen=True)
class PackageConfig:
    """Image rules, hold-out split, shards."""

    samples_per_shard: int = 10_000
    """Samples of a shard, on average: a sample's shard is drawn by a hash of its key."""
    format: Literal["tar", "parquet", "both"] = "tar"
    """tar: WebDataset tars, with the metadata in Parquet; parquet: Parquet alone, the images' bytes in a column jpg; both: tars,
    and the bytes in the Parquet too."""
    holdout: float = 0.0
    """Share of the pictures kept apart for evaluation, 0 to 1, drawn by a hash of the picture's content."""
    rules: ImageRulesConfig = field(default_factory=ImageRulesConfig)

    def __post_init__(self) -> None:
        if self.samples_per_shard <= 0:
            raise UserError("package: samples_per_shard must be greater than 0")
        if not 0 <= self.holdout < 1:
            raise UserError(f"package: holdout {self.holdout} is not a share between 0 and 1")
