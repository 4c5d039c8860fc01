"""Bringing rows with the same key together in Beam: the one shuffle that all steps use."""

from collections.abc import Iterable, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa

from pipeline.tables.batches import Keys, combine, split
from pipeline.tables.spill import Piece, ShuffleOptions, Spill, read_pieces

__all__ = ["Gather", "Meet"]

Values = Iterable[pa.RecordBatch | Piece]


class _SplitByKey(beam.PTransform):
    """Record batches in; (part, rows of that part) out, the rows in a file where the engine is to shuffle through
    files."""

    def __init__(self, keys: Keys, parts: int) -> None:
        super().__init__()
        self.keys, self.parts = keys, parts

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        if folder := batches.pipeline.options.view_as(ShuffleOptions).shuffle_folder:
            return batches | "Spill" >> beam.ParDo(Spill(self.keys, self.parts, folder)).with_output_types(
                tuple[int, Piece]
            )
        return batches | "Cut" >> beam.FlatMap(split, self.keys, self.parts).with_output_types(
            tuple[int, pa.RecordBatch]
        )


def _combine(group: tuple[int, Values], schema: pa.Schema, sort: tuple[str, ...]) -> tuple[int, pa.Table]:
    part, values = group
    return part, combine(read_pieces(values), schema, sort)


class Gather(beam.PTransform):
    """Record batches in; (part, table) out, where a row's part is ``keys(row) mod parts`` and a table is sorted by
    ``sort``.

    A part is held in memory as a whole, so ``parts`` follows from the number of rows.
    """

    def __init__(self, keys: Keys, parts: int, schema: pa.Schema, sort: Sequence[str]) -> None:
        super().__init__()
        self.keys, self.parts, self.schema, self.sort = keys, parts, schema, tuple(sort)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return (
            batches
            | "Split by key" >> _SplitByKey(self.keys, self.parts)
            | "Shuffle" >> beam.GroupByKey()
            | "Combine" >> beam.Map(_combine, self.schema, self.sort)
        )


def _read_sides(group: tuple[int, dict[str, Values]]) -> tuple[int, dict[str, list[pa.RecordBatch]]]:
    part, sides = group
    return part, {side: list(read_pieces(values)) for side, values in sides.items()}


class Meet(beam.PTransform):
    """Record batches of several sides, by name, in; (part, batches of each side) out.

    The rows of side ``s`` whose ``keys[s](row) mod parts`` is a part come together with those of the other sides. A
    part is held in memory as a whole.
    """

    def __init__(self, keys: Mapping[str, Keys], parts: int) -> None:
        super().__init__()
        self.keys, self.parts = dict(keys), parts

    def expand(self, sides: dict[str, beam.PCollection]) -> beam.PCollection:
        cut = {side: rows | f"Split {side}" >> _SplitByKey(self.keys[side], self.parts) for side, rows in sides.items()}
        return cut | "Together" >> beam.CoGroupByKey() | "Read" >> beam.Map(_read_sides)
