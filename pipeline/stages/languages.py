"""Counts what the captions of each site are in, where no page tells it, as a list of addresses has none.

In: candidates/, the query list. Out: site_languages/ (SITE_LANGUAGES), which the language rule reads. The settings
text.detector and text.language, the number of the normal form and the content of the query list decide. It costs the
detection of these captions once more than the rule itself: a core-hour for some 300 million.
"""

from collections.abc import Iterator
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
from pipeline.tables.schema import SITE_LANGUAGES
from pipeline.tables.sink import WriteGroups
from pipeline.tables.source import ReadTable
from pipeline.text.config import TextConfig
from pipeline.text.english import Lexicon
from pipeline.text.rules import lexicon_for
from pipeline.text.sites import count_sites, sum_sites
from query_builder.normalize import NORMAL_FORM
from webimagetext.hashing import mix

__all__ = ["COLUMNS", "language_settings", "step"]
NAME = "tell languages of sites"
COLUMNS = ["caption", "url", "page_url", "page_language"]
LEAST = 2  # captions of a site that stands by itself; one caption has no others


def step(run: RunFolder, config: RunConfig) -> Step | None:
    """The stage, for a run with these settings; None where no caption is judged by its language."""
    text = config.text
    if text.detector == "off":
        return None
    return Step(
        name=NAME,
        verb="curate",
        output=run.site_languages,
        settings=language_settings(text),
        tables=(run.candidates,),
        documents=lambda: (config.queries,) if text.language == "en" else (),
        work=_work,
        result=lambda _: counted(run.site_languages, "sites without a page's language"),
    )


def language_settings(config: TextConfig) -> dict[str, Any]:
    """What decides, beside the query list, what sites are in."""
    return {"text.detector": config.detector, "text.language": config.language, "normal_form": NORMAL_FORM}


def _work(context: Context) -> None:
    run = context.run
    build = partial(count_languages, run=run, config=context.config)
    context.engine.run(NAME, build, total=rows_in(run.candidates), unit="pairs")


def count_languages(root: beam.Pipeline, run: RunFolder, config: RunConfig) -> None:
    """Candidates -> how many captions each site has, and what part of them is in the wanted language."""
    pairs = root | "Read captions" >> ReadTable(run.candidates, COLUMNS)
    pairs = reported(pairs, run, NAME)
    counts = pairs | "Count" >> beam.ParDo(_Count(config.text, config.queries)).with_output_types(pa.RecordBatch)
    groups = counts | "By site" >> Gather(_by_site, parts_for(rows_in(run.candidates)), SITE_LANGUAGES, ["site"])
    summed = groups | "Sum" >> beam.Map(_sum).with_output_types(tuple[int, pa.Table])
    summed | WriteGroups(run.site_languages)


def _by_site(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("site").to_numpy())


def _sum(group: tuple[int, pa.Table]) -> tuple[int, pa.Table]:
    part, counts = group
    return part, sum_sites(counts, LEAST)


class _Count(beam.DoFn):
    """Candidates -> the counts of their sites, batch by batch."""

    def __init__(self, config: TextConfig, queries: str) -> None:
        self.config, self.queries = config, queries
        self.lexicon: Lexicon | None = None

    def setup(self) -> None:
        self.lexicon = lexicon_for(self.config, self.queries)

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        counts = count_sites(batch, self.config.detector, self.config.language, self.lexicon)
        if counts.num_rows:
            yield counts
