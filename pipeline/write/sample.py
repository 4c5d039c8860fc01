"""How a row of a shard stands in KEY.json, so that every reader of JSON can hold it and may guess its types from a few
samples.

In: a row of schema SHARD. Out: an object with the same names, but for the sketch. Libraries infer a field's type from
the first samples they see, where an empty list and a null say nothing; so each field is in every sample, with one type,
and nothing is null: a text that is not known is "", a number that is not known is -1, what may be an empty list is a
text of words with blanks between. No number is longer than 63 bits. The Parquet file beside the tar keeps nulls and
lists as they are.
"""

import json
from typing import Any

import pyarrow as pa

from pipeline.tables.schema import SHARD

__all__ = ["sample_fields"]

UNKNOWN_NUMBER = -1  # no width, probability or id is negative
_IN_TABLES = {"sketch"}  # more bytes than all the rest, and of use to no training
_AS_WORDS = {"marks", "drawn_by"}  # lists that may be empty, of values without blanks


def sample_fields(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row's KEY.json; ``queries`` and ``query_ids`` are never empty, ``scores`` is the text of an
    object."""
    return {field.name: _stated(field, row[field.name], row) for field in SHARD if field.name not in _IN_TABLES}


def _stated(field: pa.Field, value: Any, row: dict[str, Any]) -> Any:
    if field.name in _AS_WORDS:
        return " ".join(map(str, value or ()))
    if field.name == "scores":
        return json.dumps({entry["name"]: entry["score"] for entry in value or ()}, allow_nan=False)
    if field.name == "texts":
        return value or [{"kind": "", "text": row["caption"]}]
    if value is not None:
        return value
    if pa.types.is_floating(field.type):
        return float(UNKNOWN_NUMBER)
    return UNKNOWN_NUMBER if pa.types.is_integer(field.type) else ""
