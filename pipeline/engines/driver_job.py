"""A whole run as one Dataflow job, for a Flex Template: its only step is the driver, which submits the run's jobs and
waits.

In: the template's parameters, as options of a command line, and what Dataflow's launcher adds to them. Out: one graph
of one element. A template holds exactly one graph, and a run is several, of which each is built from what the one
before wrote; so the driver itself has to run somewhere. On a worker of this job it has no time limit of a launcher, and
Dataflow starts it again when its machine fails: finished steps are skipped then.
"""

import argparse
import os
import shlex
import tempfile
from collections.abc import Sequence
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import __main__ as command_line
from pipeline.config import RunConfig
from pipeline.engines.dataflow import check_options, check_paths
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import from_toml, to_toml

__all__ = ["PARAMETERS", "DriverFailedError", "drive", "handed_on", "main"]

VERBS = tuple(verb for verb in command_line.VERBS if verb != "rules")  # which prints, and makes nothing
# The template's own parameters, as docker/flex_template.json describes them.
PARAMETERS = {
    "config": "configuration of the run, a TOML file, gs://…",
    "output": "run folder, gs://…",
    "verb": f"what to do: {', '.join(VERBS)}",
    "beam_options": "further Beam options of the run's jobs, such as --max_num_workers=50 --machine_type=e2-standard-4",
}
# What the launcher is given for its own job; all else holds for the run's jobs too.
LAUNCHERS = ("runner", "template_location", "dataflow_job_file", "dry_run", "save_main_session")
# What of a run's jobs the driver's job has otherwise: it needs one worker.
ONE_WORKER = ("--num_workers=1", "--max_num_workers=1", "--autoscaling_algorithm=NONE")
# What means one job that runs already, and a run has many.
REFUSED = ("update", "transform_name_mapping", "create_from_snapshot", "streaming")


class DriverFailedError(Exception):
    """The run ended with an error, which the worker's log has; Dataflow tries again, and finished steps are skipped."""


def main(args: Sequence[str]) -> None:
    """Builds the job from the launcher's command line. Raises UserError for settings with which no job of the run could
    run."""
    parser = argparse.ArgumentParser(prog="launch.py", allow_abbrev=False)
    for name, text in PARAMETERS.items():
        default = {"verb": "run", "beam_options": ""}.get(name)
        choices = VERBS if name == "verb" else None
        parser.add_argument(f"--{name}", help=text, default=default, required=default is None, choices=choices)
    flags, rest = parser.parse_known_args(args)
    further = shlex.split(flags.beam_options)
    _check_words([*rest, *further])
    jobs = ["--runner=DataflowRunner", *handed_on(rest), *further]
    config = from_toml(RunConfig, flags.config)
    check_paths(config)
    check_options(flags.output, PipelineOptions(jobs).get_all_options())
    root = beam.Pipeline(options=PipelineOptions([*rest, *ONE_WORKER]))
    (
        root
        | "The run" >> beam.Create([flags.output], reshuffle=False)
        | "Drive" >> beam.Map(drive, config=to_toml(config), verb=flags.verb, options=jobs)
    )
    root.run()


def _check_words(words: Sequence[str]) -> None:
    """Raises UserError for an option that Beam does not know, which it would leave out without a word, and for one that
    cannot hold for many jobs."""
    parser = _Options(allow_abbrev=False, add_help=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise UserError(
            f"{unknown[0]}: Beam has no such option", "all options hold for the run's jobs: mend or drop it"
        )
    for name in REFUSED:
        if getattr(given, name, None):
            raise UserError(f"--{name}: a run is several jobs, and this is for one that runs", "drop the option")


def handed_on(words: Sequence[str]) -> list[str]:
    """The options of the launcher's command line that hold for the run's jobs: all but the launcher's own."""
    chosen, is_own = list[str](), False
    for word in words:
        if word.startswith("--"):
            is_own = word.removeprefix("--").partition("=")[0] in LAUNCHERS
        if not is_own:
            chosen.append(word)
    return chosen


class _Options(argparse.ArgumentParser):
    """Beam's options, of which several classes may have the same one."""

    def add_argument(self, *words: Any, **about: Any) -> Any:
        """Adds an option, unless it is there."""
        if any(word in self._option_string_actions for word in words):
            return None
        return super().add_argument(*words, **about)

    def error(self, message: str) -> NoReturn:
        raise UserError(message, "the options are those of Beam and of Dataflow's launcher")


def drive(output: str, config: str, verb: str, options: Sequence[str]) -> None:
    """Runs the driver to its end in this process. Raises DriverFailedError where the command line would end with an
    error."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "config.toml")
        with files.write_atomic(path, "w") as stream:
            stream.write(config)
        status = command_line.main([verb, path, "--output", output, "--", *options])
    if status:
        raise DriverFailedError(f"pipeline {verb} --output {output} ended with exit status {status}")
