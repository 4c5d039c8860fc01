"""Bringing rows with the same key together in Beam: the one shuffle that all steps use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline.tables.batches import Copies, Keys, combine
from pipeline.tables.spill import Cut, Piece, ShuffleOptions, Spill, read_cut, read_spilled

__all__ = ["Gather", "Meet"]

Sides = dict[str, list[pa.RecordBatch]]
Values = Iterable[Any]  # pieces, or packed rows


Batches = Any  # a collection of record batches, or a tuple of several


class _Cut(beam.PTransform):
    """Record batches of ``schema`` in, of one collection or of several; (part, their rows, packed) out, or (group of
    parts, where they lie) where the engine is to shuffle through files.

    Several are cut before they are one: the local runner would hold in its memory what it is to flatten.
    """

    def __init__(self, keys: Keys | Copies, parts: int, schema: pa.Schema) -> None:
        super().__init__()
        self.how = keys, parts, schema

    def expand(self, batches: Batches) -> beam.PCollection:
        if not isinstance(batches, tuple):
            return self._cut(batches)
        return tuple(each | f"Of {place}" >> _Cut(*self.how) for place, each in enumerate(batches)) | beam.Flatten()

    def _cut(self, batches: beam.PCollection) -> beam.PCollection:
        if folder := batches.pipeline.options.view_as(ShuffleOptions).shuffle_folder:
            return batches | "Spill" >> beam.ParDo(Spill(*self.how, folder)).with_output_types(tuple[int, Piece])
        return batches | "Cut" >> beam.ParDo(Cut(*self.how)).with_output_types(tuple[int, bytes])


def _read(group: tuple[int, Mapping[str, Values]], schemas: Mapping[str, pa.Schema]) -> Iterator[tuple[int, Sides]]:
    """The parts of a group, and the rows of each side."""
    part, sides = group
    held = {side: list(values) for side, values in sides.items()}
    if any(isinstance(value, Piece) for values in held.values() for value in values[:1]):
        yield from read_spilled(held, schemas)
    else:
        yield part, {side: read_cut(values, schemas[side]) for side, values in held.items()}


class Gather(beam.PTransform):
    """Record batches of ``schema`` in, of one collection or of several; (part, table) out, where a row's part is
    ``keys(row) mod parts`` and a table is sorted by ``sort``.

    A part is held in memory as a whole, so ``parts`` follows from the number of rows.
    """

    def __init__(self, keys: Keys, parts: int, schema: pa.Schema, sort: Sequence[str]) -> None:
        super().__init__()
        self.keys, self.parts, self.schema, self.sort = keys, parts, schema, tuple(sort)

    def expand(self, batches: Batches) -> beam.PCollection[tuple[int, pa.Table]]:
        return (
            batches
            | "Split by key" >> _Cut(self.keys, self.parts, self.schema)
            | "Shuffle" >> beam.GroupByKey()
            | "Combine" >> beam.FlatMap(_combine, self.schema, self.sort)
        )


def _combine(group: tuple[int, Values], schema: pa.Schema, sort: tuple[str, ...]) -> Iterator[tuple[int, pa.Table]]:
    part, values = group
    for each, sides in _read((part, {"rows": values}), {"rows": schema}):
        yield each, combine(sides["rows"], schema, sort)


class Meet(beam.PTransform):
    """Record batches of several sides, by name, in; (part, batches of each side) out.

    The rows of side ``s``, of the schema ``schemas[s]``, whose ``keys[s](row) mod parts`` is a part come together with
    those of the other sides; keys may repeat rows (spread.py). A part is held in memory as a whole.
    """

    def __init__(self, keys: Mapping[str, Keys | Copies], parts: int, schemas: Mapping[str, pa.Schema]) -> None:
        super().__init__()
        self.keys, self.parts, self.schemas = dict(keys), parts, dict(schemas)

    def expand(self, sides: dict[str, beam.PCollection]) -> beam.PCollection[tuple[int, Sides]]:
        cut = {
            side: rows | f"Split {side}" >> _Cut(self.keys[side], self.parts, self.schemas[side])
            for side, rows in sides.items()
        }
        return cut | "Together" >> beam.CoGroupByKey() | "Read" >> beam.FlatMap(_read, self.schemas)
