"""Progress of a graph: a step that passes rows on and reports them."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline.engines.watching import Beacon
from pipeline.keeping.folder import RunFolder

__all__ = ["ReportRows", "reported"]


class ReportRows(beam.DoFn):
    """Record batches, or gathered tables (part, table), in and out; of sides that met (part, batches of each) the rows
    of one ``side`` count. Reports rows as done by the stage ``name`` once the steps after this one have had them."""

    def __init__(self, run: RunFolder, name: str, side: str = "") -> None:
        self.run, self.name, self.side = run, name, side

    def setup(self) -> None:
        self.beacon = Beacon(self.run, self.name)

    def process(self, element: Any) -> Iterator[Any]:
        yield element
        rows = element[1] if isinstance(element, tuple) else element
        self.beacon.advance(sum(batch.num_rows for batch in (rows[self.side] if self.side else [rows])))

    def finish_bundle(self) -> None:
        self.beacon.flush()


def reported(batches: beam.PCollection, run: RunFolder, name: str, label: str = "Report") -> beam.PCollection:
    """Record batches, each reported by the stage ``name``."""
    return batches | label >> beam.ParDo(ReportRows(run, name)).with_output_types(pa.RecordBatch)
