"""How a received picture becomes a stored one, and which stored ones are good enough for a dataset.

In: the ``[image]`` and ``[package.rules]`` tables of a run's configuration. Out: :class:`ImageConfig` and
:class:`ImageRulesConfig`, checked. Import-light, because ``--help`` reads it.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from webimagetext.deciding import CODE, CONTENTS, FREE, check_name
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["PICTURE_TYPES", "HooksConfig", "ImageConfig", "ImageRulesConfig"]

Interpolation = Literal["auto", "nearest", "bilinear", "bicubic", "area", "lanczos"]
ResizeMode = Literal["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
WEB_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "WEBP")  # what browsers show
# How the media types begin under which servers send pictures, also where they do not know what it is; decoding tells.
PICTURE_TYPES = ("image/", "application/octet-stream", "binary/", "text/plain")


@dataclass(frozen=True)
class ImageConfig(Ranged):
    """Decoding, resizing and encoding of pictures."""

    resize_mode: ResizeMode = "keep_ratio"
    """no: as it is; keep_ratio: smaller side to image_size; keep_ratio_largest: larger side; center_crop: keep_ratio,
    then cut to a square; border: keep_ratio_largest, then white to a square."""
    image_size: Annotated[int, Range(1)] = 256
    """Pixels; see resize_mode."""
    upscale: bool = False
    """Enlarge smaller pictures to image_size too, instead of leaving them as they are."""
    interpolation: Interpolation = "auto"
    """How pixels are weighed in resizing. auto: Hamming's window, as quick as bilinear and nearly as sharp as bicubic,
    to make pictures smaller, bicubic to make them larger."""
    skip_reencode: bool = False
    """Store a JPEG's own data, without its metadata, where no pixel changes: RGB, upright, without a colour profile, of
    the size wanted, and encode_format jpg."""
    encode_format: Literal["jpg", "png", "webp"] = "jpg"
    """Format of the stored picture, which is also the ending of its name in the shards; png loses nothing."""
    quality: Annotated[int, Range(1, 100)] = 95
    """Quality of the stored picture, of jpg and webp."""
    min_image_size: Annotated[int, Range(0)] = 0
    """Pixels; a picture whose smaller side is shorter is not decoded (0: any). Curation has its own rule, see
    package."""
    max_aspect_ratio: Annotated[float, Range(1, also=0)] = 0.0
    """Larger side over smaller side; a picture beyond it is not decoded (0: any). Curation has its own rule, see
    package."""
    max_pixels: Annotated[int, Range(1)] = 25_000_000
    """Pixels; a picture that states more in its header is not decoded, against decompression bombs."""
    formats: tuple[str, ...] = WEB_FORMATS
    """Formats accepted, by Pillow's names; HEIF and JXL can be added, with the extra of that name, TIFF and JPEG2000
    too; their decoders are less hardened."""
    decoder: Literal["auto", "pillow", "turbo"] = "auto"
    """turbo: read and scale JPEG with simplejpeg and OpenCV, which the extra turbo brings; faster, as good, with
    slightly other pictures. auto: what the run's image store was begun with, else turbo where it is installed; the
    run's config.toml says which."""
    md5: bool = False
    """Note the MD5 of the bytes received too; extract.verify_hash needs it for a column of these."""
    threads: Annotated[int, FREE, Range(0, 1024)] = 0
    """Threads that decode, in each process; 0: one a core where a run goes on within one process, one in each worker
    process."""


@dataclass(frozen=True)
class ImageRulesConfig(Ranged):
    """Which pictures go into the shards, judged from their stored metadata; nothing is fetched again to change it."""

    min_side: Annotated[int, Range(0)] = 64
    """Pixels; the smaller side of the picture as received must be at least this (0: any)."""
    max_aspect_ratio: Annotated[float, Range(1, also=0)] = 4.0
    """Larger side over smaller side of the picture as received, at most (0: any)."""
    min_spread: Annotated[float, Range(0)] = 2.0
    """Grey levels of 256; a picture whose grey levels deviate less from their mean (standard deviation) is blank (0:
    any)."""
    allow_animated: bool = True
    """Keep animated pictures, of which the first frame was stored."""


@dataclass(frozen=True)
class HooksConfig(Ranged):
    """Models on the stored pictures: scores, rules on scores, and edits. Functions are named module:function."""

    scores: Annotated[dict[str, str], CODE] = field(default_factory=dict)
    """A score's name and the function that gives it: (list of Pillow pictures, list of captions) -> a number for
    each."""
    clip_checkpoint: Annotated[str, CONTENTS] = ""
    """Checkpoint file of the trainer; adds the score "clip", the cosine of the picture's and the caption's
    embeddings."""
    minimum: Annotated[dict[str, float], Range()] = field(default_factory=dict)
    """A score's name and its least value; pairs below it are dropped."""
    maximum: Annotated[dict[str, float], Range()] = field(default_factory=dict)
    """A score's name and its greatest value; pairs above it are dropped."""
    rules: Annotated[tuple[str, ...], CODE] = ()
    """Rules of your own on what is known of pictures, after [package.rules]: record batch (columns as in the shards'
    metadata) -> a reason for each row, or None where it stays."""
    edits: Annotated[tuple[str, ...], CODE] = ()
    """Functions that change pictures as they are written into the shards, such as blurring faces: list of Pillow
    pictures -> the same number of pictures of the same sizes."""
    batch_size: Annotated[int, FREE, Range(1)] = 64
    """Pictures given to a function at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {*self.scores, *(("clip",) if self.clip_checkpoint else ())}
        if missing := {*self.minimum, *self.maximum} - known:
            raise UserError(
                f"package.hooks: there is no score {', '.join(sorted(missing))}", "name its function in scores"
            )
        for name in (*self.scores.values(), *self.rules, *self.edits):
            check_name("package.hooks", name)
