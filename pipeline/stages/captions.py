"""Finds the captions that too many pairs share, and which of these pairs stay.

In: candidates/. Out: frequent_captions/ (FREQUENT_CAPTIONS), which the text rules read. The setting text.max_repeats
decides.
"""

from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in
from pipeline.keeping.step import Context, Step, counted
from pipeline.tables.gather import Gather
from pipeline.tables.outputs import parts_for
from pipeline.tables.progress import reported
from pipeline.tables.schema import CAPTION_PAIRS
from pipeline.tables.sink import WriteGroups
from pipeline.tables.source import ReadTable
from pipeline.text.config import TextConfig
from pipeline.text.repeated import first_pairs, frequent
from query_builder.normalize import NORMAL_FORM

__all__ = ["FrequentCaptions", "repeat_settings", "step"]
NAME = "count captions"


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    return Step(
        name="find repeated captions",
        verb="curate",
        output=run.frequent_captions,
        settings=repeat_settings(config.text),
        tables=(run.candidates,),
        work=_work,
        result=lambda _: counted(run.frequent_captions, "captions that repeat too often"),
    )


def repeat_settings(config: TextConfig) -> dict[str, Any]:
    """What decides which captions repeat too often."""
    return {"text.max_repeats": config.max_repeats, "normal_form": NORMAL_FORM}


def _work(context: Context) -> None:
    run = context.run
    build = partial(count_captions, run=run, config=context.config)
    context.engine.run(NAME, build, total=rows_in(run.candidates), unit="pairs")


def count_captions(root: beam.Pipeline, run: RunFolder, config: RunConfig) -> None:
    """Candidates -> the captions that repeat too often to describe a picture."""
    captions = root | "Read captions" >> ReadTable(run.candidates, ["pair_id", "caption"])
    captions = reported(captions, run, NAME)
    frequent = captions | "Find frequent" >> FrequentCaptions(config.text, parts_for(rows_in(run.candidates)))
    frequent | WriteGroups(run.frequent_captions)


class FrequentCaptions(beam.PTransform):
    """Record batches with the columns ``pair_id`` and ``caption`` -> the captions that repeat too often, as (part,
    table of FREQUENT_CAPTIONS)."""

    def __init__(self, config: TextConfig, parts: int) -> None:
        super().__init__()
        self.config, self.parts = config, parts

    def expand(self, captions: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[tuple[int, pa.Table]]:
        first = beam.Map(first_pairs, self.config.max_repeats).with_output_types(pa.RecordBatch)
        groups = (
            captions | "First of batch" >> first | "By caption" >> Gather(by_caption, self.parts, CAPTION_PAIRS, [])
        )
        keep = beam.Map(keep_frequent, self.config).with_output_types(tuple[int, pa.Table])
        return groups | "Keep the frequent" >> keep


def by_caption(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by the hash of their caption."""
    return np.asarray(batch.column("hash").to_numpy())


def keep_frequent(group: tuple[int, pa.Table], config: TextConfig) -> tuple[int, pa.Table]:
    """The captions of a group that repeat more often than the settings allow."""
    part, table = group
    found = table.to_batches() if config.max_repeats else ()
    return part, frequent(found, config.max_repeats)
