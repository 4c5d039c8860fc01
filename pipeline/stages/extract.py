"""Where candidate pairs come from: a crawl, archives, or lists; whichever it is, each pair stands once in candidates/
in the end.

In: the sites, or the files of extract.inputs by their contents. Out: candidates/ (CANDIDATES), rejects/extract/; what
crawl.py and archives.py keep between. The settings [extract] and [http] decide, and [image] where pictures come with an
archive; what was made before goes only when what replaces it is whole.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import apache_beam as beam

from pipeline.config import RunConfig
from pipeline.dedup.exact import DuplicatePair
from pipeline.dedup.texts import SiteTexts
from pipeline.fetch.part import ARCHIVE, is_of_archive
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import remove_unnamed, rows_in
from pipeline.keeping.step import Context, Step, counted
from pipeline.read.config import ExtractConfig
from pipeline.read.crawls import round_folder
from pipeline.read.inputs import inputs_of
from pipeline.read.mending import mend_round, mend_source
from pipeline.stages.archives import TABLES as SOURCE_TABLES
from pipeline.stages.archives import read_files, source_folder
from pipeline.stages.crawl import MARKER, crawl_sites, open_pages
from pipeline.stages.crawl import TABLES as ROUND_TABLES
from pipeline.tables.gather import Gather
from pipeline.tables.outputs import Group, RuleOnGroups, parts_for, split_outputs, write_rejects
from pipeline.tables.progress import ReportRows
from pipeline.tables.schema import CANDIDATES
from pipeline.tables.sink import WriteGroups, by_hashed
from pipeline.tables.source import ReadTable

__all__ = ["collect", "step"]
COLLECT = "collect pairs"


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    return Step(
        name="extract candidate pairs",
        verb="extract",
        output=run.candidates,
        owned=(run.rejects("extract"),),
        kept=(run.crawl, run.path("sources")),
        shared=(run.images,),
        mend=partial(_mend, run),
        settings={"extract": config.extract, "http": config.http, **_pictures_of_archives(config)},
        tables=(),
        documents=partial(inputs_of, config.extract),
        work=_work,
        keep=True,
        left=_left,
        result=lambda _: counted(run.candidates, "candidate pairs"),
    )


def _left(context: Context) -> Counter[str]:
    """The pages of a crawl that are still to be asked for."""
    return open_pages(context) if context.config.extract.source == "pages" else Counter()


def _mend(run: RunFolder, folder: str, name: str) -> bool:
    """Makes sure that a damaged file is made anew; False for one of the image store that did not come from an
    archive."""
    if folder == run.images:
        if not is_of_archive(name):
            return False
        mend_source(run, name, tuple(SOURCE_TABLES), ARCHIVE)
    elif folder.startswith(f"{run.path('sources')}/"):
        mend_source(run, name, tuple(SOURCE_TABLES), ARCHIVE)
    elif folder.startswith(f"{run.crawl}/"):
        mend_round(folder, name, tuple(ROUND_TABLES), MARKER)
    return True


def _pictures_of_archives(config: RunConfig) -> dict[str, ImageConfig]:
    """The settings by which extraction stores pictures, which it does from WARC files alone."""
    return {"image": config.image} if config.extract.source == "warc" else {}


def _work(context: Context) -> None:
    run = context.run
    if context.config.extract.source == "pages":
        folder, rounds = crawl_sites(context)
        tables = [round_folder(folder, number, "candidates") for number in range(rounds)]
        rejects = [round_folder(folder, number, "rejects") for number in range(rounds)]
    else:
        read_files(context)
        tables, rejects = [source_folder(run, "candidates")], [source_folder(run, "rejects")]
    build = partial(collect, tables=tables, rejects=rejects, run=run, extract=context.config.extract)
    context.engine.run(COLLECT, build, total=sum(map(rows_in, tables)), unit="pairs")
    for folder in (run.candidates, run.rejects("extract")):
        remove_unnamed(folder)


def collect(
    root: beam.Pipeline, tables: Sequence[str], rejects: Sequence[str], run: RunFolder, extract: ExtractConfig
) -> None:
    """Pairs of all rounds or files of a source -> candidates, each pair once, of one picture of a site but a few."""
    rows = sum(map(rows_in, tables))
    groups = (
        root
        | "Read pairs" >> ReadTable(tables)
        | Gather(by_hashed("url"), parts_for(rows), CANDIDATES, ["pair_id", "page_url"])
        | "Report" >> beam.ParDo(ReportRows(run, COLLECT)).with_output_types(Group)
    )
    of_sites = RuleOnGroups(SiteTexts(extract.max_texts, extract.max_image_pages), "extract")
    told, idle = split_outputs(groups, "Tell pictures of sites", of_sites, Group)
    once, repeated = split_outputs(told, "Keep each pair once", RuleOnGroups(DuplicatePair(), "extract"), Group)
    once | "Write candidates" >> WriteGroups(run.candidates)
    earlier = root | "Read rejects" >> ReadTable(rejects)
    write_rejects([earlier, idle, repeated], run.rejects("extract"), rows)
