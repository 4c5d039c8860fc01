"""The note by which the ``datasets`` library knows what a Parquet column holds, such as pictures among bytes.

In: an Arrow schema. Out: the same with the note in its metadata, under the key ``huggingface``; other readers pass it
over. The form is that of the library's Features, as its own writer leaves it in Parquet files.
"""

import json
from typing import Any

import pyarrow as pa

__all__ = ["with_feature"]

_NAMES = {"float": "float32", "double": "float64"}  # Arrow's words for types where the library has others


def with_feature(schema: pa.Schema, column: str, kind: str) -> pa.Schema:
    """``schema`` with the note that ``column`` is a ``kind`` of the library ("Image"); the others are as their types
    say."""
    features = {field.name: {"_type": kind} if field.name == column else _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return [inner] if pa.types.is_struct(kind.value_type) else {"feature": inner, "_type": "Sequence"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": _NAMES.get(str(kind), str(kind)), "_type": "Value"}
