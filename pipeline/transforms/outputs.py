"""The two outputs of every filter step: the rows kept, and the ledger's rows under the tag REJECTED."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline.layout import RunFolder
from pipeline.rules import ledger
from pipeline.schema import REJECTS
from pipeline.tables.sink import WriteTable, by_hashed

__all__ = ["REJECTED", "KeepFirst", "parts_for", "reject", "split_outputs", "write_rejects"]

REJECTED = "rejected"
ROWS_A_PART = 250_000  # of a table between two steps: about 100 MB in memory


def parts_for(rows: int) -> int:
    """How many parts a table of ``rows`` rows is cut into."""
    return max(1, -(-rows // ROWS_A_PART))


def split_outputs(rows: beam.PCollection, label: str, work: beam.DoFn) -> tuple[beam.PCollection, beam.PCollection]:
    """Applies a filter step and names its two outputs."""
    outputs = rows | label >> beam.ParDo(work).with_outputs(REJECTED, main="kept")
    return outputs.kept, outputs[REJECTED]


def reject(batches: Iterable[pa.RecordBatch]) -> Iterator[object]:
    """Ledger batches, tagged; empty ones are left out."""
    return (beam.pvalue.TaggedOutput(REJECTED, batch) for batch in batches if batch.num_rows)


def write_rejects(rejects: Iterable[beam.PCollection], run: RunFolder, stage: str, rows: int) -> None:
    """Writes the ledger of a stage that had about ``rows`` rows to judge."""
    merged = tuple(rejects) | f"Rejects of {stage}" >> beam.Flatten()
    order = ["key", "reason", "url", "detail"]
    merged | f"Write rejects of {stage}" >> WriteTable(
        run.rejects(stage), REJECTS, by_hashed("key"), order, parts_for(rows)
    )


class KeepFirst(beam.DoFn):
    """Of the rows of a sorted group that share their pair_id, keeps the first; the others are rejected as ``duplicate_pair``."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def process(self, group: tuple[int, pa.Table]) -> Iterator[object]:
        part, table = group
        values = table.column("pair_id").to_numpy()
        repeated = np.zeros(len(values), dtype=bool)
        repeated[1:] = values[1:] == values[:-1]
        yield part, table.filter(pa.array(~repeated))
        for batch in table.filter(pa.array(repeated)).combine_chunks().to_batches():
            yield from reject([ledger(batch, pa.repeat("duplicate_pair", batch.num_rows), self.stage)])
