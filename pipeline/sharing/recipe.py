"""How a list of links becomes the same set again: a configuration that goes with it.

In: the settings that a run was made with. Out: ``links/import.toml``, with the lists it needs beside it: every rule
that chose the pairs is off, for they are chosen; what makes a stored picture, a shard and the split is as it was. And
back: the configuration of an import, with the paths of a list.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.balance.config import BalanceConfig
from pipeline.config import RunConfig
from pipeline.image.config import ImageConfig, ImageRulesConfig
from pipeline.read.config import ExtractConfig
from pipeline.text.config import TextConfig
from pipeline.write.config import PackageConfig
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import from_dict, from_toml, to_toml

__all__ = ["HELD", "QUERIES", "RECIPE", "import_config", "recipe"]

RECIPE, QUERIES, HELD = "import.toml", "queries.txt", "test.txt"
# Settings of pictures that change no byte of a stored one.
_NOT_OF_THE_FORM = ("threads",)


def recipe(settings: Mapping[str, Any], splits: Collection[str]) -> str:
    """The configuration, TOML, with paths by their names alone. ``settings`` are those of the run, as its steps stored
    them."""
    image = {name: value for name, value in settings.get("image", {}).items() if name not in _NOT_OF_THE_FORM}
    package = from_dict(PackageConfig, settings.get("package", {}), where="the run")
    text = settings.get("text", {})
    config = RunConfig(
        queries=QUERIES,
        matching=settings.get("matching", "words"),
        seed=settings.get("seed", 0),
        extract=ExtractConfig(
            source="url_list",
            inputs=tuple(f"{split}.parquet" for split in splits),
            url_column="url",
            text_columns=("caption",),
            page_column="page_url",
            verify_hash=("sha256", "sha256"),
        ),
        text=TextConfig(
            detector="off",
            language=text.get("language", "en"),
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
        image=from_dict(ImageConfig, image, where="the run"),
        package=PackageConfig(
            samples_per_shard=package.samples_per_shard,
            format=package.format,
            holdout=package.holdout,
            holdout_distance=-1,
            holdout_list=HELD if "test" in splits else None,
            rules=ImageRulesConfig(min_side=0, max_aspect_ratio=0, min_spread=0.0),
        ),
    )
    return to_toml(config)


def import_config(place: str) -> RunConfig:
    """The configuration that goes with a list, by the folder of an export or of its links. Raises UserError where there
    is none."""
    folder = files.join(place, "links") if files.exists(files.join(place, "links", RECIPE)) else place.rstrip("/")
    if not files.exists(files.join(folder, RECIPE)):
        remedy = "give the folder that `pipeline export` wrote; `pipeline init list` is for lists of others"
        raise UserError(f"{place}: no {RECIPE} is there", remedy)
    config = from_toml(RunConfig, files.join(folder, RECIPE))
    held = config.package.holdout_list
    return dataclasses.replace(
        config,
        queries=files.join(folder, config.queries),
        extract=dataclasses.replace(
            config.extract, inputs=tuple(files.join(folder, name) for name in config.extract.inputs)
        ),
        package=dataclasses.replace(config.package, holdout_list=files.join(folder, held) if held else None),
    )
