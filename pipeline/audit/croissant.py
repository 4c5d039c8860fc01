"""croissant.json: the dataset described for machines, in the Croissant format 1.0 (JSON-LD, MLCommons 2024).

In: a run folder. Out: an object with a FileSet of the Parquet files and one of the tars for each part (shards,
holdout), and a RecordSet for each part, whose fields are the columns of schema SHARD as the Parquet files have them.
"""

from typing import Any

import pyarrow as pa

from pipeline.audit.summary import Summary
from pipeline.tables.schema import SHARD

__all__ = ["CONTEXT", "field_of", "is_nested", "render_croissant"]

_ITSELF = (
    "citeAs column conformsTo extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath key "
    "md5 equivalentProperty parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField"
)
# The context that the specification gives: most words stand for themselves in the format's own name space.
CONTEXT: dict[str, Any] = {word: f"cr:{word}" for word in [*_ITSELF.split(), "transform"]} | {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
_PARTS = {"shards": "the pairs to train on", "holdout": "pairs kept apart for evaluation"}
_COLUMNS = {
    "url": "Address of the image.",
    "caption": "The text of the pair.",
    "key": "Name of the pair's members in the tar: 16 hexadecimal digits.",
    "sha256": "SHA-256 of the image as received.",
    "page_url": "Address of the page that held the image and the text.",
    "queries": "Every query of the list that the caption holds.",
    "probability": "With which the balance keeps such a pair.",
    "p_english": "Probability that the text is in the wanted language, by itself and by what stands around it.",
    "p_context": "Probability that it is, by what stands around it alone: its page, its site, the image's other texts.",
    "consent": "What the site's own signals allow.",
    "consent_evidence": "Where that was read.",
    "columns": "JSON object: further columns of the list that the pair comes from.",
}


def render_croissant(name: str, summary: Summary, day: str) -> dict[str, Any]:
    """The description, ready to be written as JSON; ``day`` (ISO 8601) is when the shards were made.

    The hold-out part is described even while it is empty.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "description": (
            f"{summary.pairs:,} images from the web with the texts that describe them on their pages, matched against "
            "a list of queries and balanced over them. Rights in images and texts are their authors'; none are "
            "granted."
        ),
        "license": "other",
        "version": "1.0.0",
        "datePublished": day,
        "citeAs": f"{name}: {summary.pairs:,} image-text pairs made with webimagetext, {day}.",
        "distribution": [entry for part in _PARTS for entry in _file_sets(part, summary.tars)],
        "recordSet": [_record_set(part) for part in _PARTS],
    }


def _file_sets(part: str, tars: bool) -> list[dict[str, Any]]:
    kinds = [("parquet", "application/x-parquet"), *([("tar", "application/x-tar")] if tars else [])]
    # Every shard is named by a number; other files of the folder are not.
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{part}-{kind}",
            "description": f"{_PARTS[part]}: "
            f"{'the columns' if kind == 'parquet' else 'the picture, KEY.txt and KEY.json of each'}",
            "encodingFormat": encoding,
            "includes": f"{part}/[0-9]*.{kind}",
        }
        for kind, encoding in kinds
    ]


def _record_set(part: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": part,
        "description": _PARTS[part],
        "key": {"@id": f"{part}/key"},
        "field": [field_of(part, f"{part}-parquet", column) for column in SHARD if not is_nested(column.type)],
    }


def is_nested(kind: pa.DataType) -> bool:
    """Whether a column holds lists of several values each, which the format has no fields for."""
    return bool(pa.types.is_list(kind) and pa.types.is_struct(kind.value_type))


def field_of(part: str, source: str, column: pa.Field) -> dict[str, Any]:
    """The field of a record set for a column of the files ``source``."""
    kind = column.type.value_type if pa.types.is_list(column.type) else column.type
    if pa.types.is_integer(kind):
        word = "sc:Integer"
    else:
        word = "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{part}/{column.name}",
        "dataType": word,
        "source": {"fileSet": {"@id": source}, "extract": {"column": column.name}},
    }
    if column.name in _COLUMNS:
        field["description"] = _COLUMNS[column.name]
    if pa.types.is_list(column.type):
        field["repeated"] = True
    return field
