"""The card and the Croissant file of an export.

In: the counts of each split, and the settings that the run was made with. Out: README.md, with a head that the Hugging
Face hub takes, and croissant.json in the format 1.1 (JSON-LD, MLCommons 2026).
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline.audit.card import RIGHTS, consent_in_words, size_class
from pipeline.audit.croissant import CONTEXT, field_of, is_nested
from pipeline.sharing.tables import DATA, LINKS, PICTURE

__all__ = ["render_card", "render_croissant"]

WORDS = {"train": "the pairs to train on", "test": "pairs kept apart for evaluation"}


def render_card(name: str, counts: Mapping[str, int], settings: Mapping[str, Any], pictures: bool) -> str:
    """The card. ``counts`` are the pairs of each split; ``pictures`` says whether they are in the export."""
    language = settings.get("text", {}).get("language", "en")
    total = sum(counts.values())
    lines = [
        "license: other",
        "license_name: rights-of-the-authors",
        "license_link: README.md#licence-and-what-to-mind",
    ]
    lines += [f"language: [{language}]", f"pretty_name: {json.dumps(name)}"]
    lines += ["task_categories: [zero-shot-image-classification, image-to-text, text-to-image]"]
    lines += ["tags: [image-text, clip, webimagetext]", f'size_categories: ["{size_class(total)}"]', "configs:"]
    configs = [("default", "data/{}-*.parquet"), ("links", "links/{}.parquet")]
    for config, pattern in configs if pictures else [("default", "links/{}.parquet")]:
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in counts:
            lines += [f"  - split: {split}", f"    path: {pattern.format(split)}"]
    head = "\n".join(["---", *lines, "---"])
    held = f" and {counts['test']:,} kept apart for evaluation (split `test`)" if counts.get("test") else ""
    return f"""{head}

# {name}

Images from the web with the texts that describe them on their pages: {counts.get("train", 0):,} pairs{held}.

## What is here

{_files(pictures)}
`caption` is the text of a pair, `url` where its image came from, `page_url` where the text stood, `sha256` the hash of
the image as it was received, `queries` every query of the list that the caption holds.

## Loading

```python
{_loading(name, pictures)}
```

## The links alone

`links/` has everything but the pictures. `links/import.toml` says how these were made; where webimagetext is installed,

```console
$ webimagetext import {name} --output my-copy --http.contact you@example.org
```

asks the sites for them again, politely, keeps those that are still what they were (by `sha256`), and says which share
could be had. img2dataset reads the same lists: `--input_format parquet --url_col url --caption_col caption
--compute_hash sha256 --verify_hash '["sha256","sha256"]'`.

## Consent

{consent_in_words(settings)}

## Licence, and what to mind

{RIGHTS}
"""


def _files(pictures: bool) -> str:
    links = "`links/*.parquet`: a row for each pair, without its picture."
    return f"`data/*.parquet`: a row for each pair, its picture in the column `image`. {links}" if pictures else links


def _loading(name: str, pictures: bool) -> str:
    lines = ["from datasets import load_dataset", f'pairs = load_dataset("{name}", split="train", streaming=True)']
    return "\n".join([*lines, *(['links = load_dataset("' + name + '", "links", split="train")'] if pictures else [])])


def render_croissant(name: str, counts: Mapping[str, int], day: str, pictures: bool) -> dict[str, Any]:
    """The description, ready to be written as JSON; ``day`` (ISO 8601) is when the shards were made."""
    total, sets = sum(counts.values()), [("links", "links/{}.parquet", LINKS)]
    if pictures:
        sets.insert(0, ("data", "data/{}-*.parquet", DATA))
    named = {**CONTEXT, "arrayShape": "cr:arrayShape", "containedIn": "cr:containedIn", "isArray": "cr:isArray"}
    return {
        "@context": named,
        "@type": "sc:Dataset",
        "name": name,
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "description": (
            f"{total:,} images from the web with the texts that describe them on their pages, matched against a list "
            "of queries and balanced over them. Rights in images and texts are their authors'; none are granted."
        ),
        "license": "other",
        "version": "1.0.0",
        "datePublished": day,
        "citeAs": f"{name}: {total:,} image-text pairs made with webimagetext, {day}.",
        "distribution": [_file_set(kind, split, pattern) for kind, pattern, _ in sets for split in counts],
        "recordSet": [_record_set(kind, split, schema) for kind, _, schema in sets for split in counts],
    }


def _id(kind: str, split: str) -> str:
    return split if kind == "data" else f"{split}-links"


def _file_set(kind: str, split: str, pattern: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{_id(kind, split)}-files",
        "description": f"{WORDS[split]}{'' if kind == 'data' else ', without their pictures'}",
        "encodingFormat": "application/x-parquet",
        "includes": pattern.format(split),
    }


def _record_set(kind: str, split: str, schema: pa.Schema) -> dict[str, Any]:
    part = _id(kind, split)
    fields = [
        field_of(part, f"{part}-files", column)
        for column in schema
        if column.name != PICTURE and not is_nested(column.type)
    ]
    if kind == "data":
        fields.insert(0, _picture(part))
    return {
        "@type": "cr:RecordSet",
        "@id": part,
        "description": WORDS[split],
        "key": {"@id": f"{part}/key"},
        "field": fields,
    }


def _picture(part: str) -> dict[str, Any]:
    extract = {"column": PICTURE}
    return {
        "@type": "cr:Field",
        "@id": f"{part}/{PICTURE}",
        "description": "The picture, as it was stored: JPEG, PNG or WebP.",
        "dataType": "sc:ImageObject",
        "source": {"fileSet": {"@id": f"{part}-files"}, "extract": extract, "transform": {"jsonPath": "bytes"}},
    }
