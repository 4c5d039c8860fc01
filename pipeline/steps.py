"""What each verb of the command line does: the steps of a run, with their folders, settings and inputs."""

from collections.abc import Sequence
from functools import partial

from pipeline import work
from pipeline.audit.write import write_audit
from pipeline.checks import check
from pipeline.config import RunConfig
from pipeline.dataflow import check_paths
from pipeline.dedup.evaluation import evaluation_files
from pipeline.layout import RunFolder, shards_of
from pipeline.manifest import is_complete, rows_in, samples_in
from pipeline.packing import join
from pipeline.run import Context, Step, run_steps
from pipeline.runners import Engine
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
            owned=(run.crawl, run.path("sources"), run.rejects("extract")),
            settings=(config.extract, config.http),
            tables=(),
            work=work.extract,
            result=lambda _: counted(run.candidates, "candidate pairs"),
        ),
        Step(
            name="find repeated captions",
            verb="curate",
            output=run.frequent_captions,
            settings=(config.text.max_repeats,),
            tables=(run.candidates,),
            work=work.count_captions,
            result=lambda _: counted(run.frequent_captions, "captions that repeat too often"),
        ),
        Step(
            name="filter texts and match queries",
            verb="curate",
            output=run.matched,
            owned=(run.automaton, run.rejects("match")),
            settings=(config.text, config.matching, config.earlier_runs),
            tables=(run.candidates, run.frequent_captions, *shards_of(config.earlier_runs)),
            documents=(config.queries,),
            work=work.match,
            result=lambda _: counted(run.matched, "pairs hold a query"),
        ),
        Step(
            name="balance",
            verb="curate",
            output=run.selected,
            owned=(run.reserve, run.balance_plan, run.rejects("balance")),
            settings=(config.balance, config.seed),
            tables=(run.matched,),
            documents=(run.match_counts,),
            work=work.balance,
            result=lambda _: f"{counted(run.selected, 'selected')}, {counted(run.reserve, 'in reserve')}",
        ),
        Step(
            name="fetch images",
            verb="fetch",
            output=run.images,
            settings=(config.http, config.fetch, config.image),
            tables=(run.selected,),
            work=work.fetch,
            result=lambda _: counted(run.images, "image URLs answered"),
            keep=True,
            always=config.fetch.retry_failed,
        ),
        *(_evaluation_step(run, config) if config.package.evaluation_sets else ()),
        Step(
            name="join pairs and images",
            verb="package",
            output=run.joined,
            owned=(run.path("packing"), run.shortfall, run.rejects("package")),
            settings=(config.package, config.balance.top_up_rounds, config.earlier_runs),
            tables=(run.selected, run.reserve, run.images, *shards_of(config.earlier_runs), *evaluation),
            documents=(clip,) if (clip := config.package.hooks.clip_checkpoint) else (),
            work=join,
            result=lambda _: counted(run.joined, "pairs with an image"),
            extends=True,
        ),
        Step(
            name="write shards",
            verb="package",
            output=run.shards,
            owned=(run.holdout,),
            settings=(config.package, config.seed),
            tables=(run.joined,),
            documents=(config.queries,),
            work=work.write_shards,
            result=lambda _: f"{samples_in(run.shards):,} samples in shards, {samples_in(run.holdout):,} held out",
        ),
    ]


def _evaluation_step(run: RunFolder, config: RunConfig) -> list[Step]:
    return [
        Step(
            name="read evaluation sets",
            verb="package",
            output=run.evaluation,
            settings=(config.package.evaluation_sets,),
            tables=(),
            documents=tuple(evaluation_files(config.package.evaluation_sets)),
            work=work.read_evaluation,
            result=lambda _: f"{rows_in(run.evaluation):,} evaluation pictures",
        )
    ]


def _is_extracted(run: RunFolder, config: RunConfig) -> bool:
    """Whether the first step is finished for these settings."""
    try:
        first = steps_of(run, config)[0]
    except UserError:
        return False  # of a setting of another step, which is told with the other findings
    return is_complete(first.output, first.fingerprint())


def run_verb(verb: str, output: str, config: RunConfig, options: Sequence[str], workers: int) -> None:
    """Runs the steps of one verb, or of all for "run", and writes the reports."""
    run = RunFolder(output)
    engines: list[Engine] = []

    def make_engine() -> None:
        engines.append(Engine(run, options, workers))
        if engines[0].on_dataflow:
            check_paths(config)

    store = partial(work.check_store, run, config)
    check(verb, run, config, engine=make_engine, store=store, extracted=partial(_is_extracted, run, config))
    context = Context(run, config, engines[0])
    steps = [step for step in steps_of(run, config) if verb in ("run", step.verb)]
    with files.write_atomic(run.config, "w") as stream:
        stream.write(to_toml(config))
    run_steps(steps, context)
    if verb in ("run", "report"):
        write_audit(run, config)
