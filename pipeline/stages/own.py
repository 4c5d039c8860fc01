"""Steps of a user's own: Beam transforms between two stages, each seen to account for its rows.

In: rows of a table. Out: the rows that the transforms keep, and the ledger of the others. A transform takes record
batches and gives record batches with the same columns and one more, ``reason``: null where the row stays. It may change
every value but the pair's id.
"""

from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.own import failure, load
from pipeline.tables.ledger import ledger
from pipeline.tables.outputs import reject, split_outputs
from webimagetext.errors import UserError

__all__ = ["apply_own"]

REASON = "reason"


def apply_own(
    rows: beam.PCollection, setting: str, names: Sequence[str], stage: str, schema: pa.Schema
) -> tuple[beam.PCollection, list[beam.PCollection]]:
    """The rows that the transforms ``names`` keep, one after the other, and what each dropped."""
    rejected = []
    for name in names:
        try:
            judged = rows | name >> load(setting, name)()
        except UserError:
            raise
        except Exception as error:
            raise failure(setting, name, error) from error
        rows, dropped = split_outputs(judged, f"Split {name}", _ByReason(setting, name, stage, schema))
        rejected.append(dropped)
    return rows, rejected


class _ByReason(beam.DoFn):
    """Record batches with a column of reasons to the rows that stay, and the ledger's rows for the others."""

    def __init__(self, setting: str, name: str, stage: str, schema: pa.Schema) -> None:
        self.setting, self.name, self.stage, self.schema = setting, name, stage, schema

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        try:
            reasons = batch.column(REASON).cast(pa.string())
            rows = batch.select(self.schema.names).cast(self.schema)
        except (KeyError, pa.ArrowException) as error:
            raise UserError(
                f"{self.setting}: {self.name} gave rows that do not fit: {error}",
                f"it must give these columns, and {REASON}: {', '.join(self.schema.names)}",
            ) from None
        keep = pc.is_null(reasons)
        kept, drop = rows.filter(keep), pc.invert(keep)
        if kept.num_rows:
            yield kept
        yield from reject([ledger(rows.filter(drop), reasons.filter(drop), self.stage)])
