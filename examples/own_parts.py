"""Parts of your own: a rule, a rule on pictures, a reader of lists, and a step between two stages. own_parts.toml names
them."""

import csv
from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc


def no_exclamation(batch: pa.RecordBatch) -> list[str | None]:
    """A rule on captions: a reason for each row, or None where it stays."""
    return ["exclamation" if caption.endswith("!") else None for caption in batch.column("caption").to_pylist()]


def landscape_only(batch: pa.RecordBatch) -> pa.Array:
    """A rule on pictures, by Arrow's functions, which is faster on millions of rows."""
    upright = pc.less(batch.column("original_width"), batch.column("original_height"))
    return pc.if_else(upright, "upright", pa.scalar(None, pa.string()))


def read_semicolons(path: str) -> Iterator[dict[str, str]]:
    """A reader of lists: the path of an input to its rows, by column."""
    with open(path, newline="", encoding="utf-8") as stream:
        yield from csv.DictReader(stream, delimiter=";")


class OnePairAText(beam.PTransform):  # type: ignore[misc]
    """A step between two stages: of pairs with the same text it keeps the one with the lowest id, wherever the others
    lie.

    A rule sees one batch; a step may bring all rows together. It gives each row back with a ``reason``, null where it
    stays.
    """

    def expand(self, pairs: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        rows = pairs | "Rows" >> beam.FlatMap(lambda batch: batch.to_pylist())
        groups = rows | "By text" >> beam.GroupBy(lambda row: row["caption"].lower())
        return groups | "Judge" >> beam.Map(_judge).with_output_types(pa.RecordBatch)


def _judge(group: tuple[str, list[dict[str, object]]]) -> pa.RecordBatch:
    from pipeline.tables.schema import CANDIDATES

    rows = sorted(group[1], key=lambda row: row["pair_id"])  # type: ignore[arg-type, return-value]
    reasons = [None] + ["same_text"] * (len(rows) - 1)
    return pa.RecordBatch.from_pylist(rows, schema=CANDIDATES).append_column("reason", pa.array(reasons, pa.string()))
