"""What each verb of the command line does: the steps of a run, with their folders, settings and inputs."""

from collections.abc import Sequence
from functools import partial

from pipeline import work
from pipeline.audit.funnel import fetch_step, funnel_steps
from pipeline.audit.outcome import outcome
from pipeline.audit.write import write_audit
from pipeline.checks import check
from pipeline.config import RunConfig
from pipeline.dedup.evaluation import evaluation_files
from pipeline.engines.dataflow import check_paths
from pipeline.engines.engine import Engine
from pipeline.fetch.decided import fetch_settings
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import RunFolder, shards_of
from pipeline.keeping.manifest import is_complete, rows_in, samples_in
from pipeline.keeping.step import Context, Step, run_steps, settings_of
from pipeline.match.own_list import with_query_list
from pipeline.read.inputs import inputs_of
from pipeline.reasons import by_frequency, in_words
from pipeline.stages.join import join
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import to_toml

__all__ = ["run_verb", "steps_of"]


def steps_of(run: RunFolder, config: RunConfig) -> list[Step]:
    """Every step of a run, in order."""

    def counted(folder: str, what: str) -> str:
        return f"{rows_in(folder):,} {what}"

    evaluation = (run.evaluation,) if config.package.evaluation_sets else ()
    return [
        Step(
            name="extract candidate pairs",
            verb="extract",
            output=run.candidates,
            settings={"extract": config.extract, "http": config.http, **_pictures_of_archives(config)},
            tables=(),
            documents=partial(inputs_of, config.extract),
            work=work.extract,
            keep=True,  # what is there goes only when what replaces it is whole
            result=lambda _: counted(run.candidates, "candidate pairs"),
        ),
        Step(
            name="find repeated captions",
            verb="curate",
            output=run.frequent_captions,
            settings={"text.max_repeats": config.text.max_repeats},
            tables=(run.candidates,),
            work=work.count_captions,
            result=lambda _: counted(run.frequent_captions, "captions that repeat too often"),
        ),
        Step(
            name="filter texts and match queries",
            verb="curate",
            output=run.matched,
            owned=(run.automaton, run.rejects("match")),
            settings={"text": config.text, "matching": config.matching},
            tables=(run.candidates, run.frequent_captions, *shards_of(config.earlier_runs)),
            documents=lambda: (config.queries,),
            work=work.match,
            result=lambda _: counted(run.matched, "pairs hold a query"),
        ),
        Step(
            name="balance",
            verb="curate",
            output=run.selected,
            owned=(run.reserve, run.balance_plan, run.rejects("balance")),
            settings={"balance": config.balance, "seed": config.seed},
            tables=(run.matched,),
            documents=lambda: (run.match_counts,),
            work=work.balance,
            result=lambda _: f"{counted(run.selected, 'selected')}, {counted(run.reserve, 'in reserve')}",
        ),
        Step(
            name="fetch images",
            verb="fetch",
            output=run.images,
            settings={
                "asked": fetch_settings(config.http, config.image),
                "http_of_images": config.http,
                "image": config.image,
            },
            tables=(run.selected,),
            work=work.fetch,
            result=lambda _: _answers(run),
            keep=True,
            always=config.fetch.retry_failed,
        ),
        *(_evaluation_step(run, config) if config.package.evaluation_sets else ()),
        Step(
            name="join pairs and images",
            verb="package",
            output=run.joined,
            owned=(run.path("packing"), run.shortfall, run.rejects("package")),
            settings={
                "asked": fetch_settings(config.http, config.image),
                "package": config.package,
                "top_up_rounds": config.balance.top_up_rounds,
            },
            tables=(run.selected, run.reserve, run.images, *shards_of(config.earlier_runs), *evaluation),
            work=join,
            result=lambda _: counted(run.joined, "pairs with an image"),
            extends=True,
        ),
        Step(
            name="write shards",
            verb="package",
            output=run.shards,
            owned=(run.holdout,),
            settings={"package": config.package, "seed": config.seed},
            tables=(run.joined,),
            documents=lambda: (config.queries,),
            work=work.write_shards,
            result=lambda _: f"{samples_in(run.shards):,} samples in shards, {samples_in(run.holdout):,} held out",
        ),
    ]


def _answers(run: RunFolder) -> str:
    """What became of the image addresses: how many were had, and the most frequent reasons of the others."""
    step = fetch_step(run)
    lost = by_frequency(step.rejects)
    words = [f"{count:,} {in_words(reason)}" for reason, count in lost[:3]]
    words += [f"{sum(count for _, count in lost[3:]):,} for other reasons"] if lost[3:] else []
    return f"{step.rows_in:,} image URLs: {', '.join([f'{step.rows_out:,} stored', *words])}"


def _pictures_of_archives(config: RunConfig) -> dict[str, ImageConfig]:
    """The settings by which extraction stores pictures, which it does from WARC files alone."""
    return {"image": config.image} if config.extract.source == "warc" else {}


def _evaluation_step(run: RunFolder, config: RunConfig) -> list[Step]:
    return [
        Step(
            name="read evaluation sets",
            verb="package",
            output=run.evaluation,
            settings={"evaluation_sets": len(config.package.evaluation_sets)},
            tables=(),
            documents=lambda: evaluation_files(config.package.evaluation_sets),
            work=work.read_evaluation,
            result=lambda _: f"{rows_in(run.evaluation):,} evaluation pictures",
        )
    ]


def _is_extracted(run: RunFolder, config: RunConfig) -> bool:
    """Whether the first step is finished for these settings."""
    first = steps_of(run, config)[0]
    try:
        return is_complete(first.output, first.fingerprint())
    except UserError:
        return False  # an input is missing, which is told with the other findings


def run_verb(verb: str, output: str, config: RunConfig, options: Sequence[str], workers: int) -> int:
    """Runs the steps of one verb, or of all for "run", writes the reports and tells the outcome; returns the exit status."""
    run = RunFolder(output)
    engines: list[Engine] = []

    def make_engine() -> None:
        engines.append(Engine(run, options, workers))
        if engines[0].on_dataflow:
            check_paths(config)

    store = partial(work.check_store, run, config.image)
    check(verb, run, config, engine=make_engine, store=store, extracted=partial(_is_extracted, run, config))
    stated = config
    if verb in ("run", "curate", "package"):
        config = with_query_list(run, config)
    context = Context(run, config, engines[0])
    steps = [step for step in steps_of(run, config) if verb in ("run", step.verb)]
    if steps:
        with files.write_atomic(run.config, "w") as stream:
            stream.write(to_toml(stated))
        run_steps(steps, context)
    if verb in ("run", "report"):
        counted = write_audit(run, settings_of(steps_of(run, config), run))
    else:
        counted = funnel_steps(run)
    return outcome(run, verb, config, counted) if steps else 0
