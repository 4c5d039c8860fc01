"""The two outputs of every filter step: the rows kept, and the ledger's rows under the tag REJECTED."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.tables.ledger import Rule, ledger
from pipeline.tables.schema import REJECTS
from pipeline.tables.sink import WriteTable, by_hashed

__all__ = ["REJECTED", "Group", "Outputs", "RuleOnGroups", "parts_for", "reject", "split_outputs", "write_rejects"]

REJECTED = "rejected"
Group = tuple[int, pa.Table]  # a part and its rows
ROWS_A_PART = 250_000  # of a table between two steps: about 100 MB in memory


def parts_for(rows: int, each: int = ROWS_A_PART) -> int:
    """How many parts a table of ``rows`` rows is cut into, so many rows each."""
    return max(1, -(-rows // each))


class Outputs(NamedTuple):
    """What a filter made of its rows: those that stay, and for each of the others a row of the ledger (REJECTS)."""

    kept: beam.PCollection
    rejected: beam.PCollection


def split_outputs(rows: beam.PCollection, label: str, work: beam.DoFn, kept: Any = pa.RecordBatch) -> Outputs:
    """Applies a filter step and names its two outputs; ``kept`` is the type of the elements that stay."""
    outputs = rows | label >> beam.ParDo(work).with_outputs(REJECTED, main="kept")
    outputs.kept.element_type, outputs[REJECTED].element_type = kept, pa.RecordBatch
    return Outputs(outputs.kept, outputs[REJECTED])


def reject(batches: Iterable[pa.RecordBatch]) -> Iterator[object]:
    """Ledger batches, tagged; empty ones are left out."""
    return (beam.pvalue.TaggedOutput(REJECTED, batch) for batch in batches if batch.num_rows)


def write_rejects(rejects: Iterable[beam.PCollection], folder: str, rows: int) -> None:
    """Writes the ledger of a stage that had about ``rows`` rows to judge."""
    order = ["key", "reason", "url", "detail"]
    tuple(rejects) | "Write rejects" >> WriteTable(folder, REJECTS, by_hashed("key"), order, parts_for(rows))


class RuleOnGroups(beam.DoFn):
    """Applies a rule that compares the rows of a gathered group (part, table); what it drops goes to the ledger."""

    def __init__(self, rule: Rule, stage: str) -> None:
        self.rule, self.stage = rule, stage

    def process(self, group: tuple[int, pa.Table]) -> Iterator[object]:
        part, table = group
        reasons, _ = self.rule(table)
        if reasons.null_count == len(reasons):  # as of most groups, which then need not be held twice
            yield group
            return
        keep = reasons.is_null()
        yield part, table.filter(keep)
        drop = pc.invert(keep)
        dropped = table.filter(drop).combine_chunks().to_batches()
        yield from reject(ledger(batch, reasons.filter(drop), self.stage) for batch in dropped)
