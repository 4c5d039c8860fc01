"""What each step of a run does: the driver's part around the graphs of flow.py."""

from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import flow
from pipeline.balance.tally import counts_table
from pipeline.balancing import make_plan
from pipeline.dedup.evaluation import EvaluationSet
from pipeline.fetch.decided import stored_form
from pipeline.fetch.left import adopt_parts
from pipeline.fetch.part import is_of_archive
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder, part_name
from pipeline.keeping.manifest import read_manifest, remove_unnamed, rows_in, write_manifest
from pipeline.keeping.step import Context
from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher
from pipeline.read.inputs import expand_inputs
from pipeline.stages.archives import answer_from_archives, read_archives, remove_unused, source_folder, units_of
from pipeline.stages.crawl import crawl, crawl_folder, replace_crawl, round_folder
from pipeline.tables.sink import write_part
from pipeline.tables.vectors import read_vector
from pipeline.write.shards import write_index
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import fingerprint

__all__ = [
    "balance",
    "check_store",
    "count_captions",
    "extract",
    "fetch",
    "fetch_pairs",
    "match",
    "read_evaluation",
    "write_shards",
]

SETTINGS_FILE = "_SETTINGS"  # in the image store: the fingerprint of the settings that its pictures were made with


def extract(context: Context) -> None:
    """Crawls, or reads archives or lists, and collects the pairs of all rounds or files."""
    run, config, engine = context.run, context.config, context.engine
    if config.extract.source == "pages":
        folder = crawl_folder(run, config)
        rounds = range(crawl(run, folder, config, engine))
        replace_crawl(run, folder, len(rounds))
        tables = [round_folder(folder, number, "candidates") for number in rounds]
        rejects = [round_folder(folder, number, "rejects") for number in rounds]
    else:
        _read_files(context)
        tables, rejects = [source_folder(run, "candidates")], [source_folder(run, "rejects")]
    engine.run("collect pairs", partial(flow.collect, tables=tables, rejects=rejects, run=run))
    for folder in (run.candidates, run.rejects("extract")):
        remove_unnamed(folder)


def _read_files(context: Context) -> None:
    run, config = context.run, context.config
    units = units_of(expand_inputs(config.extract), config)
    _claim_store(run, config.image)
    earlier = [entry for entry in read_manifest(run.images).to_pylist() if not is_of_archive(entry["file"])]
    name = f"read {config.extract.source}"
    build = partial(read_archives, units=units, run=run, config=config, earlier=earlier, name=name)
    context.engine.run(name, build, total=len(units), unit="files", heavy=len(units) > 1)
    if config.extract.source == "warc" and config.extract.archive_images:
        context.engine.run("find what the archives hold", partial(answer_from_archives, run=run, config=config))
    remove_unused(run)


def count_captions(context: Context) -> None:
    """Finds the captions that repeat."""
    run = context.run
    build = partial(flow.count_captions, run=run, config=context.config, name="count captions")
    context.engine.run("count captions", build, total=rows_in(run.candidates), unit="pairs")


def automaton_of(context: Context) -> str:
    """The compiled query list of the run, made when it is not there."""
    return build_automaton(context.config.queries, context.run.automaton, context.config.matching)


def match(context: Context) -> None:
    """Compiles the query list, filters the texts and matches."""
    run, config = context.run, context.config
    automaton = automaton_of(context)
    build = partial(
        flow.match, run=run, config=config, automaton=automaton, queries=len(Matcher(automaton)), name="match queries"
    )
    context.engine.run("match queries", build, total=rows_in(run.candidates), unit="pairs")


def balance(context: Context) -> None:
    """Finds t, draws the pairs and writes the table of counts."""
    run, config = context.run, context.config
    plan = make_plan(run, config.balance, config.seed, context.engine)
    queries = len(read_vector(run.match_counts))
    build = partial(flow.balance, run=run, plan=plan, queries=queries, name="draw pairs")
    context.engine.run("draw pairs", build, total=rows_in(run.matched), unit="pairs")
    matched, drawn, selected = map(
        read_vector, (run.match_counts, run.selected_counts("drawn_by"), run.selected_counts("query_ids"))
    )
    names = Matcher(automaton_of(context)).queries
    with files.write_atomic(run.counts) as stream:
        pq.write_table(pa.Table.from_batches([counts_table(names, matched, drawn, selected)]), stream)


def fetch(context: Context) -> None:
    """Fetches what the store lacks."""
    fetch_pairs(context, context.run.selected, "fetch images")


def fetch_pairs(context: Context, pairs: str, name: str) -> None:
    """Fetches what the store lacks of the pairs of a table."""
    run, config = context.run, context.config
    _claim_store(run, config.image)
    if context.fresh:
        adopt_parts(run, config.image)
    earlier = read_manifest(run.images).to_pylist()
    build = partial(flow.fetch, pairs=pairs, run=run, config=config, earlier=earlier, name=name)
    context.engine.run(name, build, total=rows_in(pairs), unit="images")


def check_store(run: RunFolder, image: ImageConfig) -> None:
    """Raises UserError where the pictures in the image store have another form than the settings ask for."""
    form = stored_form(image)
    if files.read(files.join(run.images, SETTINGS_FILE)) not in (None, fingerprint(form).encode()):
        raise UserError(
            f"{run.images}: these images were stored with another of {', '.join(f'image.{name}' for name in form)}",
            "use the old settings, another --output, or delete this folder to fetch all images again",
        )


def _claim_store(run: RunFolder, image: ImageConfig) -> None:
    """Makes an empty image store, or checks that the pictures in it have the form that the settings ask for."""
    check_store(run, image)
    url = files.join(run.images, SETTINGS_FILE)
    if not files.exists(url):
        with files.write_atomic(url, "w") as stream:
            stream.write(fingerprint(stored_form(image)))
    if not files.exists(files.join(run.images, MANIFEST_FILE)):
        write_manifest(run.images, [])


def read_evaluation(context: Context) -> None:
    """Takes the fingerprints of the pictures that the data must not hold."""
    run = context.run
    known = EvaluationSet.read(context.config.package.evaluation_sets)
    write_manifest(run.evaluation, [write_part(run.evaluation, part_name(0), known.table())])


def write_shards(context: Context) -> None:
    """Writes the shards and their indices."""
    run = context.run
    automaton = automaton_of(context)
    build = partial(flow.write_shards, run=run, config=context.config, automaton=automaton, name="write shards")
    context.engine.run("write shards", build, total=rows_in(run.joined), unit="samples")
    for folder in (run.shards, run.holdout):
        entries = read_manifest(folder).to_pylist()
        write_manifest(folder, [*entries, *write_index(folder, entries)])
