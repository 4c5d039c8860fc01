"""Rows as bytes: the same rows come back, whatever they hold and however they are cut."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.tables import schema as schemas
from pipeline.tables.packing import check_packable, pack, unpack

WORDS = ["", "a", "naïve café", "言葉 🦜", "x" * 300]


def value(kind: pa.DataType, generator: np.random.Generator) -> object:
    """Some value of a type, extreme ones among them."""
    if pa.types.is_string(kind):
        return WORDS[generator.integers(len(WORDS))]
    if pa.types.is_list(kind):
        inner = kind.value_field
        return [filled(inner, generator) for _ in range(generator.integers(4))]
    if pa.types.is_struct(kind):
        return {field.name: filled(field, generator) for field in kind}
    if pa.types.is_floating(kind):
        return [0.0, -1.5, float("inf"), 2.0**-100][generator.integers(4)]
    if kind == pa.bool_():
        return bool(generator.integers(2))
    signed = pa.types.is_signed_integer(kind)
    low, high = (
        (-(1 << kind.bit_width - 1), (1 << kind.bit_width - 1) - 1) if signed else (0, (1 << kind.bit_width) - 1)
    )
    return [low, high, 1][generator.integers(3)]


def filled(field: pa.Field, generator: np.random.Generator) -> object:
    return None if field.nullable and generator.random() < 0.3 else value(field.type, generator)


def table(schema: pa.Schema, rows: int, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    whole = [{field.name: filled(field, generator) for field in schema} for _ in range(rows)]
    half = rows // 2
    return pa.concat_tables(pa.Table.from_pylist(part, schema=schema) for part in (whole[:half], whole[half:]))


@pytest.mark.parametrize("name", [name for name in schemas.__all__ if isinstance(getattr(schemas, name), pa.Schema)])
def test_every_table_comes_back(name: str) -> None:
    schema = getattr(schemas, name)
    rows = table(schema, 60)
    order = np.random.default_rng(1).permutation(60)
    packed = pack(rows, np.array([0, 1, 1, 20, 59, 60]), order)
    back, counts = unpack(packed.data, packed.edges[:-1], schema)
    back.validate(full=True)
    assert counts.tolist() == [1, 0, 19, 39, 1]
    assert pa.Table.from_batches([back]).equals(rows.take(pa.array(order)).combine_chunks())


def test_pieces_come_back_in_any_order_and_some_alone() -> None:
    rows = table(schemas.SELECTED, 60)
    packed = pack(rows, np.array([0, 10, 11, 60]))
    chosen = packed.edges[[2, 0]]
    back, counts = unpack(packed.data, chosen, schemas.SELECTED)
    assert counts.tolist() == [49, 10]
    assert pa.Table.from_batches([back]).equals(pa.concat_tables([rows.slice(11), rows.slice(0, 10)]))
    first = packed.data[: packed.edges[1]]
    assert unpack(first, np.zeros(1, np.int64), schemas.SELECTED)[0].num_rows == 10
    nothing, counts = unpack(first, np.zeros(0, np.int64), schemas.SELECTED)
    assert (nothing.num_rows, len(counts)) == (0, 0)


def test_a_row_alone_takes_four_bytes_more_than_among_others() -> None:
    rows = table(schemas.CANDIDATES, 500)
    whole, apart = (len(pack(rows, edges).data) for edges in (np.array([0, 500]), np.arange(501)))
    assert apart - whole == 4 * 499


def test_rows_of_a_slice_and_lists_under_a_null() -> None:
    lists = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()), pa.array([1, 2, 3, 4, 5]), mask=pa.array([False, True, False])
    )
    given = pa.table({"lists": lists, "flags": pa.array([True, None, False])}).slice(1)
    packed = pack(given, np.array([0, 1, 2]))
    back, _ = unpack(packed.data, packed.edges[:-1], given.schema)
    assert back.to_pylist() == [{"lists": None, "flags": None}, {"lists": [5], "flags": False}]


def test_what_cannot_be_packed_is_told() -> None:
    with pytest.raises(TypeError, match="dictionary"):
        check_packable(pa.schema([pa.field("text", pa.list_(pa.dictionary(pa.int8(), pa.string())))]))
    one = pa.schema([pa.field("number", pa.int64(), nullable=False)])
    with pytest.raises(ValueError, match="number holds a null"):
        pack(pa.table([pa.array([1, None])], schema=one), np.array([0, 2]))
