"""What a cell of a list holds, whatever was put into it.

In: values of Parquet columns, of CSV and JSON cells, or of a user's own reader: text, bytes, lists, numbers, dates,
nothing. Out: the texts, or the number, in it. No cell is an error: what Python has nothing for is None.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from webimagetext.foreign import one_line, valid

__all__ = ["kept_cells", "may_hold_text", "pixels", "shown", "texts_in", "values_of"]

MAX_DEPTH, MAX_TEXTS = 3, 100  # of lists in a cell
MAX_KEPT = 10_000  # characters of a text that goes along


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts in a cell: one, or those of a list, bytes being taken for UTF-8; none for a number or anything else."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
        for item in value[:MAX_TEXTS]:
            yield from texts_in(item, depth + 1)


def kept_cells(cells: Mapping[str, Any]) -> str | None:
    """JSON of cells that go along as they are: texts, numbers and lists of them, other values as text, none for what
    is not there; None for no cells."""
    if not cells:
        return None
    told = {valid(str(name)): _plain(value) for name, value in cells.items()}
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def _plain(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, bytes)):
        return valid(value)[:MAX_KEPT]
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)[:MAX_KEPT]  # more digits than readers of JSON hold
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
        return [_plain(item, depth + 1) for item in value[:MAX_TEXTS]]
    return shown(value)


def shown(value: Any) -> str:
    """A cell in a line, whatever it is."""
    try:
        return one_line(value if isinstance(value, (str, bytes)) else str(value))
    except Exception:  # of a user's own class
        return type(value).__name__


def pixels(value: Any) -> int | None:
    """A side of a picture that a cell states; None where it states none."""
    try:
        number = int(float(value))
    except Exception:  # what a user's own class says is no number either
        return None
    return number if 0 < number < 1_000_000 else None


def may_hold_text(kind: pa.DataType) -> bool:
    """Whether a column of this type may hold texts, or lists of them."""
    inner = getattr(kind, "storage_type", None) or getattr(kind, "value_type", None)
    if inner is not None and not pa.types.is_map(kind):
        return may_hold_text(inner)
    words = str(kind).removeprefix("large_")
    return words.startswith(("string", "binary", "fixed_size_binary", "null"))


def values_of(column: pa.Array) -> list[Any]:
    """A column's values; text that is no UTF-8 is mended, and a value that Python has nothing for becomes None."""
    try:
        found: list[Any] = column.to_pylist()
    except Exception:  # of one value among many
        return [_value(scalar) for scalar in column]
    return found


def _value(scalar: Any) -> Any:
    with contextlib.suppress(Exception):
        return scalar.as_py()
    with contextlib.suppress(AttributeError):
        return scalar.as_buffer().to_pybytes()
    if isinstance(scalar, pa.DictionaryScalar):
        return _value(scalar.value)
    values = getattr(scalar, "values", None)
    return values_of(values) if isinstance(values, pa.Array) else None
