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

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import __main__ as command_line
from pipeline.config import RunConfig
from pipeline.engines.dataflow import check_options, check_paths
from webimagetext import files
from webimagetext.settings import from_toml, to_toml

__all__ = ["PARAMETERS", "DriverFailedError", "drive", "main"]

VERBS = tuple(verb for verb in command_line.VERBS if verb != "rules")  # which prints, and makes nothing
# The template's own parameters, as docker/flex_template.json describes them.
PARAMETERS = {
    "config": "configuration of the run, a TOML file, gs://…",
    "output": "run folder, gs://…",
    "verb": f"what to do: {', '.join(VERBS)}",
    "beam_options": "further Beam options of the run's jobs, such as --max_num_workers=50 --machine_type=e2-standard-4",
}
# Of what the launcher is given, this holds for the run's jobs too.
INHERITED = (
    "project",
    "region",
    "temp_location",
    "staging_location",
    "sdk_container_image",
    "service_account_email",
    "network",
    "subnetwork",
    "dataflow_endpoint",
    "job_name",
)


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
    options = PipelineOptions([*rest, "--num_workers=1", "--max_num_workers=1", "--autoscaling_algorithm=NONE"])
    launcher = options.get_all_options()
    config = from_toml(RunConfig, flags.config)
    check_paths(config)
    jobs = [f"--{name}={launcher[name]}" for name in INHERITED if launcher.get(name)]
    jobs = ["--runner=DataflowRunner", *jobs, *shlex.split(flags.beam_options)]
    check_options(flags.output, PipelineOptions(jobs).get_all_options())
    root = beam.Pipeline(options=options)
    (
        root
        | "The run" >> beam.Create([flags.output], reshuffle=False)
        | "Drive" >> beam.Map(drive, config=to_toml(config), verb=flags.verb, options=jobs)
    )
    root.run()


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
