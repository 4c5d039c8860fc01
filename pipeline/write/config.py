"""What the shards hold and how the pictures are divided among them.

In: the ``[package]`` table of a run's configuration. Out: :class:`PackageConfig`, checked. Import-light, because
``--help`` reads it.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.image.config import HooksConfig, ImageRulesConfig
from webimagetext.deciding import CODE, CONTENTS, INPUT, check_name
from webimagetext.ranges import Range, Ranged

__all__ = ["PackageConfig"]


@dataclass(frozen=True)
class PackageConfig(Ranged):
    """Image rules, hold-out split, shards."""

    samples_per_shard: Annotated[int, Range(1)] = 10_000
    """Samples of a shard, on average: a sample's shard is drawn by a hash of its key."""
    format: Literal["tar", "parquet", "both"] = "tar"
    """tar: WebDataset tars, with the metadata in Parquet; parquet: Parquet alone, the images in a column jpg (bytes
    and path, as the datasets library has pictures); both: tars, and the images in the Parquet too."""
    holdout: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the pictures kept apart for evaluation, drawn by a hash of the picture's content."""
    holdout_distance: Annotated[int, Range(-1, 8)] = 4
    """Bits of the perceptual hash within which pictures go to the same side: none that is kept apart has so near a one
    in the shards (-1: equal contents alone). The hash sees shapes without colour."""
    holdout_altered: bool = True
    """Altered copies go to the same side too: mirrored, cropped by up to a tenth of a side, framed, marked. Not where
    holdout_distance is -1."""
    holdout_list: Annotated[str | None, CONTENTS] = None
    """Text file (path or URL) of the SHA-256 of pictures, one a line: these are kept apart, and no others are drawn."""
    near_duplicates: Annotated[int | None, Range(0, 8)] = None
    """Bits of the 64-bit perceptual hash in which two pictures may differ and still count as one, of which the
    one with most pixels stays; 4 is a good number. Off by default: the hash sees shapes without colour, so drawings
    that differ in colour alone count as one, and the published sets were not thinned this way."""
    near_altered: bool = False
    """Of a picture and its altered copies (mirrored, cropped by up to a tenth of a side, framed, marked) the one with
    most pixels stays, and none that an earlier run has. Off by default, as near_duplicates."""
    evaluation_sets: Annotated[tuple[str, ...], INPUT] = ()
    """Evaluation pictures that must not be in the data: folders of image files or shards, tars, or Parquet tables with
    columns sha256 and phash, and sketch for altered copies."""
    evaluation_distance: Annotated[int, Range(-1, 8)] = 4
    """Bits of the perceptual hash within which a picture counts as an evaluation picture (-1: equal contents alone)."""
    evaluation_altered: bool = True
    """Altered copies of evaluation pictures count too: mirrored, cropped by up to a tenth of a side, framed, marked.
    Not where evaluation_distance is -1."""
    steps: Annotated[tuple[str, ...], CODE] = ()
    """Beam transforms of your own, module:class, on pairs with an image that passed the rules, before duplicates are
    looked for; as in [steps]. Each round of topping up is given by itself."""
    rules: ImageRulesConfig = field(default_factory=ImageRulesConfig)
    hooks: HooksConfig = field(default_factory=HooksConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.steps:
            check_name("package.steps", name)
