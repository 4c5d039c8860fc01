"""Progress of a graph: a step that passes rows on and reports them."""

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa

from pipeline.engines.watching import Beacon
from pipeline.keeping.folder import RunFolder

__all__ = ["ReportRows"]


class ReportRows(beam.DoFn):
    """Record batches in and out; reports a batch's rows as done by the stage ``name`` once the steps after this one
    have had it."""

    def __init__(self, run: RunFolder, name: str) -> None:
        self.run, self.name = run, name

    def setup(self) -> None:
        self.beacon = Beacon(self.run, self.name)

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield batch
        self.beacon.advance(batch.num_rows)

    def finish_bundle(self) -> None:
        self.beacon.flush()
