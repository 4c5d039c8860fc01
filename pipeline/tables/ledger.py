"""What a filter is: a plain function of a record batch that answers, for each row, why the row should go.

A rule's module knows nothing of Beam. :func:`apply_rules` runs rules in order, counts nothing itself, and hands back
the rows that stay and a ledger row for each one that went, so that no drop is silent.
"""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.keeping.folder import key_of
from pipeline.tables.schema import REJECTS

__all__ = ["Rule", "apply_rules", "ledger"]


class Rule(Protocol):
    """A filter of rows. ``name`` says what it decides; calling it gives the verdicts.

    The answer is a string array, one entry a row: null to keep the row, else the reason (a short snake_case word). A
    rule may also return columns to add to the batch, as a dictionary beside the verdicts. An attribute ``detail`` names
    the column that the ledger quotes, by default the caption.
    """

    name: str

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]: ...


def ledger(batch: pa.RecordBatch, reasons: pa.Array, stage: str, detail: str = "caption") -> pa.RecordBatch:
    """A REJECTS batch for the rows of ``batch`` (with pair_id and url), each with its reason."""
    rows = batch.num_rows
    columns = [
        pa.array([key_of(pair) for pair in batch.column("pair_id").to_pylist()], pa.string()),
        pa.repeat("pair", rows),
        pa.repeat(stage, rows),
        reasons.cast(pa.string()),
        batch.column("url"),
        batch.column(detail).cast(pa.string()) if detail in batch.schema.names else pa.nulls(rows, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTS)


def apply_rules(
    batch: pa.RecordBatch, rules: Sequence[Rule], stage: str
) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Runs ``rules`` in order, each on the rows that the earlier ones kept; returns the rows kept and the ledger's
    batches."""
    rejected: list[pa.RecordBatch] = []
    for rule in rules:
        if batch.num_rows == 0:
            break
        reasons, added = rule(batch)
        for name, column in added.items():
            batch = batch.append_column(name, column)
        keep = pc.is_null(reasons)
        if pc.sum(keep).as_py() != batch.num_rows:
            drop = pc.invert(keep)
            detail = getattr(rule, "detail", "caption")
            rejected.append(ledger(batch.filter(drop), reasons.filter(drop), stage, detail))
            batch = batch.filter(keep)
    return batch, rejected
