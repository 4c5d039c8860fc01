"""Bringing rows with the same key together in Beam: the one shuffle that all steps use."""

from collections.abc import Iterable, Sequence

import apache_beam as beam
import pyarrow as pa

from pipeline.tables.batches import Keys, combine, split

__all__ = ["Gather"]


def _combine(
    group: tuple[int, Iterable[pa.RecordBatch]], schema: pa.Schema, sort: tuple[str, ...]
) -> tuple[int, pa.Table]:
    part, batches = group
    return part, combine(batches, schema, sort)


class Gather(beam.PTransform):
    """Record batches in; (part, table) out, where a row's part is ``keys(row) mod parts`` and a table is sorted by ``sort``.

    A part is held in memory as a whole, so ``parts`` follows from the number of rows.
    """

    def __init__(self, keys: Keys, parts: int, schema: pa.Schema, sort: Sequence[str]) -> None:
        super().__init__()
        self.keys, self.parts, self.schema, self.sort = keys, parts, schema, tuple(sort)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return (
            batches
            | "Split by key" >> beam.FlatMap(split, self.keys, self.parts).with_output_types(tuple[int, pa.RecordBatch])
            | "Shuffle" >> beam.GroupByKey()
            | "Combine" >> beam.Map(_combine, self.schema, self.sort)
        )
