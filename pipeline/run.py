"""What each verb of the command line does: the steps of a run, with their folders, settings and inputs."""

import dataclasses
import threading
from collections.abc import Sequence
from functools import cache

from pipeline.audit import funnel
from pipeline.audit.outcome import outcome
from pipeline.audit.write import write_audit
from pipeline.checks import check
from pipeline.config import RunConfig
from pipeline.engines.dataflow import check_paths
from pipeline.engines.engine import Engine
from pipeline.fetch.store import check_store, with_decoder
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete
from pipeline.keeping.step import (
    Context,
    Markers,
    Step,
    markers_of,
    refuse_older,
    reopen,
    run_steps,
    settings_of,
)
from pipeline.match.own_list import with_query_list
from pipeline.removing.pending import is_pending, refuse_pending
from pipeline.stages import balance, captions, evaluation, extract, fetch, holdout, join, languages, match, shards
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.lock import locked
from webimagetext.settings import from_toml, to_toml
from webimagetext.temporary import remove_temporary

__all__ = ["run_steps_of", "run_verb", "steps_of", "steps_on"]

TRIES = 3  # of a run that finds damaged files: a disk that spoils what is written is not worth more
STAGES = (extract, captions, languages, match, balance, fetch, evaluation, join, holdout, shards)


def steps_of(run: RunFolder, config: RunConfig) -> list[Step]:
    """Every step of a run, in order."""
    steps = [stage.step(run, config) for stage in STAGES]
    return [step for step in steps if step is not None]


def steps_on(run: RunFolder) -> list[Step]:
    """The steps of a run for the configuration that it was last run with; none where that is not there."""
    if not files.exists(run.config):
        return []
    config = _settled(run, from_toml(RunConfig, run.config))
    if files.exists(run.own_queries):
        config = dataclasses.replace(config, queries=run.own_queries)
    return steps_of(run, config)


def _is_extracted(run: RunFolder, config: RunConfig) -> bool:
    """Whether the first step is finished for these settings."""
    first = steps_of(run, config)[0]
    try:
        return is_complete(first.output, first.fingerprint())
    except UserError:
        return False  # an input is missing, which is told with the other findings


def run_verb(verb: str, output: str, config: RunConfig, options: Sequence[str], workers: int) -> int:
    """Runs one verb and tells the outcome; returns the exit status."""
    return outcome(RunFolder(output), verb, config, run_steps_of(verb, output, config, options, workers))


def run_steps_of(verb: str, output: str, config: RunConfig, options: Sequence[str], workers: int) -> list[funnel.Step]:
    """Runs the steps of one verb, or of all for "run", and writes the reports; returns what remained after each step.

    A step whose files turn out to be damaged is done again. Raises UserError for all that can be known to be wrong
    before anything is done, and for what goes wrong later.
    """
    run, begun = RunFolder(output), threading.Event()
    for left in reversed(range(TRIES)):
        try:
            return _run_once(verb, run, config, options, workers, begun)
        except UserError as error:
            # Before it has begun, nobody knows whether a store can be asked at all.
            asked = begun.is_set() or not files.is_url(run.root)
            if not left or not asked or is_pending(run.root) or not _is_damaged(run, config):
                raise
            with locked(run.root, f"`{verb}`"):
                steps = steps_of(run, _settled(run, config))
                _reopen(verb, run, steps, markers_of(steps), error.problem)
    raise AssertionError("the last try raises")


def _settled(run: RunFolder, config: RunConfig) -> RunConfig:
    """The configuration with what only the run folder tells. It asks the store of the run, so no check of what is known
    without it may come later."""
    return dataclasses.replace(config, image=with_decoder(run, config.image))


def _is_damaged(run: RunFolder, config: RunConfig) -> bool:
    """Whether a step's files are known to be damaged; not where the store of the run cannot even be asked."""
    try:
        steps = steps_of(run, config)
        markers = markers_of(steps)
        return any(step.wrong(run.root.rstrip("/"), markers[step.output]) for step in steps)
    except (UserError, OSError):  # such as a folder that is a file
        return False


def _reopen(verb: str, run: RunFolder, steps: Sequence[Step], markers: Markers, problem: str = "") -> None:
    """Makes the steps with damaged files unfinished.

    Raises UserError, with the verb that makes it anew, for one that this verb goes on from and does not do itself.
    """
    found = reopen(steps, run.root.rstrip("/"), markers)
    order = list(dict.fromkeys(step.verb for step in steps))
    for step, (folder, name) in found:
        if verb != "run" and (verb not in order or order.index(step.verb) < order.index(verb)):
            remedy = f"`pipeline {step.verb}` makes it anew, then run this command again; `pipeline run` does both"
            raise UserError(problem or f"{files.join(folder, name)}: is damaged or missing", remedy)


def _run_once(
    verb: str, run: RunFolder, config: RunConfig, options: Sequence[str], workers: int, begun: threading.Event
) -> list[funnel.Step]:
    engines: list[Engine] = []

    def make_engine() -> None:
        engines.append(Engine(run, options, workers))
        if engines[0].on_dataflow:
            check_paths(config)

    settled = cache(lambda: _settled(run, config))
    check(
        verb,
        run,
        config,
        engine=make_engine,
        store=lambda: check_store(run, settled().image),
        extracted=lambda: _is_extracted(run, settled()),
    )
    config = settled()
    with locked(run.root, f"`{verb}`"):
        begun.set()
        refuse_pending(run.root)
        if not files.is_url(run.root):
            remove_temporary(run.root)  # what a killed run was writing
        steps = steps_of(run, config)
        markers = markers_of(steps)
        refuse_older(steps, markers)
        _reopen(verb, run, steps, markers)
        return _run_steps(verb, run, config, engines[0], markers)


def _run_steps(verb: str, run: RunFolder, config: RunConfig, engine: Engine, markers: Markers) -> list[funnel.Step]:
    stated = config
    if verb in ("run", "curate", "package"):
        config = with_query_list(run, config)
    steps = [step for step in steps_of(run, config) if verb in ("run", step.verb)]
    if steps:
        with files.write_atomic(run.config, "w") as stream:
            stream.write(to_toml(stated))
        run_steps(steps, Context(run, config, engine), markers)
    if verb in ("run", "report"):
        return write_audit(run, settings_of(steps_of(run, config), run))
    return funnel.funnel_steps(run)
