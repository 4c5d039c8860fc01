"""How a list of links becomes the same set again: the few settings that go with it.

In: the settings that a run was made with. Out: ``links/import.toml``: what makes a stored picture, a shard and the
split. And back: the configuration of an import, in which every rule that chose the pairs is off, for they are chosen. A
list may come from anybody, so its file is no configuration: it has the fields of :class:`Recipe` and no others, none of
which names a file, a function or an address, and sizes have limits.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pipeline.balance.config import BalanceConfig
from pipeline.config import RunConfig
from pipeline.image.config import ImageConfig, ImageRulesConfig, Interpolation, ResizeMode
from pipeline.read.config import ExtractConfig
from pipeline.text.config import TextConfig
from pipeline.write.config import PackageConfig
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged
from webimagetext.settings import from_dict, from_toml, to_toml

__all__ = ["HELD", "QUERIES", "RECIPE", "Recipe", "import_config", "recipe"]

RECIPE, QUERIES, HELD = "import.toml", "queries.txt", "test.txt"
ABOUT = "# How pictures and shards were made: `webimagetext import` makes the same of these links.\n\n"
MOST_SIDE = 8192  # pixels of a stored picture


@dataclass(frozen=True)
class Form(Ranged):
    """What makes a stored picture of a received one, as [image] has it."""

    resize_mode: ResizeMode = "keep_ratio"
    image_size: Annotated[int, Range(1, MOST_SIDE)] = 256
    upscale: bool = False
    interpolation: Interpolation = "auto"
    skip_reencode: bool = False
    encode_format: Literal["jpg", "png", "webp"] = "jpg"
    quality: Annotated[int, Range(1, 100)] = 95
    decoder: Literal["auto", "pillow", "turbo"] = "auto"


@dataclass(frozen=True)
class Recipe(Ranged):
    """What goes with a list."""

    splits: tuple[Literal["train", "test"], ...] = ("train",)
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    matching: Literal["words", "metaclip"] = "words"
    language: str = "en"
    samples_per_shard: Annotated[int, Range(1)] = 10_000
    shards: Literal["tar", "parquet", "both"] = "tar"
    holdout: Annotated[float, Range(0, below=1)] = 0.0
    image: Form = field(default_factory=Form)


def recipe(settings: Mapping[str, Any], splits: Collection[str]) -> str:
    """The file, TOML. ``settings`` are those of the run, as its steps stored them."""
    image, package = settings.get("image", {}), settings.get("package", {})
    told = {
        "splits": list(splits),
        "seed": settings.get("seed", 0),
        "matching": settings.get("matching", "words"),
        "language": settings.get("text", {}).get("language", "en"),
        "samples_per_shard": package.get("samples_per_shard", PackageConfig.samples_per_shard),
        "shards": package.get("format", PackageConfig.format),
        "holdout": package.get("holdout", 0.0),
        "image": {name: image[name] for name in asdict(Form()) if name in image},
    }
    return ABOUT + to_toml(from_dict(Recipe, told, where="the run"))


def import_config(place: str) -> RunConfig:
    """The configuration of an import, by the folder of an export or of its links. Raises UserError where there is none,
    or one that says more than it may."""
    folder = files.join(place, "links") if files.exists(files.join(place, "links", RECIPE)) else place.rstrip("/")
    if not files.exists(files.join(folder, RECIPE)):
        remedy = "give the folder that `pipeline export` wrote; `pipeline init list` is for lists of others"
        raise UserError(f"{place}: no {RECIPE} is there", remedy)
    told = from_toml(Recipe, files.join(folder, RECIPE))
    return RunConfig(
        queries=files.join(folder, QUERIES),
        matching=told.matching,
        seed=told.seed,
        extract=ExtractConfig(
            source="url_list",
            inputs=tuple(files.join(folder, f"{split}.parquet") for split in told.splits),
            url_column="url",
            text_columns=("caption",),
            page_column="page_url",
            verify_hash=("sha256", "sha256"),
        ),
        text=TextConfig(
            detector="off",
            language=told.language,
            min_words=0,
            max_words=0,
            min_characters=0,
            max_characters=0,
            min_letter_share=0.0,
            max_word_length=0,
            min_distinct_share=0.0,
            boilerplate=False,
            file_names=False,
            markup=False,
            max_repeats=0,
        ),
        balance=BalanceConfig(mode="none"),
        image=ImageConfig(**asdict(told.image)),
        package=PackageConfig(
            samples_per_shard=told.samples_per_shard,
            format=told.shards,
            holdout=told.holdout,
            holdout_distance=-1,
            holdout_list=files.join(folder, HELD) if "test" in told.splits else None,
            rules=ImageRulesConfig(min_side=0, max_aspect_ratio=0, min_spread=0.0),
        ),
    )
