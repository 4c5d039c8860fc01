"""What a run needs on Google Cloud Dataflow: options and paths checked before anything starts, and the options of each
job.

In: the Beam options after ``--``, the run folder, the settings. Out: the options of one job, or a UserError. Each graph
of a run is a job of its own, so the memory that a step asks for is asked for by its job: a hint inside a graph would
cost other engines a second environment, which Dataflow alone makes use of.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.config import RunConfig
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.extras import needed_by

__all__ = ["DRY_RUN_OVER", "check_options", "check_paths", "is_dataflow", "job_options"]

NEEDED = {
    "project": "the Google Cloud project that runs the jobs",
    "region": "the region of the jobs, such as europe-west1",
    "temp_location": "a folder for the jobs' own files, gs://BUCKET/temp",
    "sdk_container_image": "the workers' image: target worker of docker/Dockerfile, pushed to your registry",
}
# Steps that hold several tables of 250,000 rows (about 100 MB each), waiting bodies (64 MB) and decoded pictures at a
# time.
HEAVY_STEPS = ("crawl round", "read ", "collect", "match", "fetch", "join", "find duplicates", "write shards")
MEMORY_HINT = "min_ram=4GB"
MAX_NAME = 63  # characters of a job's name: a label on the workers repeats it
DRY_RUN_OVER = "dry run: the job of '{}' was built and not submitted; the jobs after it need what it would write"


def is_dataflow(runner: str) -> bool:
    """Whether a value of ``--runner`` means Dataflow; Beam takes the name in any case, with or without "Runner"."""
    return runner.rsplit(".", 1)[-1].lower() in ("dataflow", "dataflowrunner")


def check_options(root: str, options: Mapping[str, Any]) -> None:
    """Raises UserError for a run folder ``root`` or parsed Beam options with which no job could run."""
    with needed_by("--runner=DataflowRunner"):
        import apitools  # noqa: F401
    if missing := [name for name in NEEDED if not options.get(name)]:
        raise UserError(
            f"--runner=DataflowRunner needs {', '.join(f'--{name}' for name in missing)} after --",
            "; ".join(f"--{name}: {NEEDED[name]}" for name in missing),
        )
    if not str(options["temp_location"]).startswith("gs://"):
        raise UserError(f"--temp_location={options['temp_location']}: Dataflow needs a folder that begins with gs://")
    if options.get("template_location"):
        raise UserError(
            "--template_location: a run is several jobs, and a classic template holds one",
            "use the Flex Template (docs/runners.md)",
        )
    if not _is_remote(root):
        raise UserError(
            f"--output {root}: Dataflow's workers cannot reach a folder of this machine",
            "give a URL, gs://BUCKET/FOLDER",
        )


def check_paths(config: RunConfig) -> None:
    """Raises UserError for a file in the settings that only this machine can read."""
    for name, path in _paths(config):
        if not _is_remote(path):
            raise UserError(
                f"{name} = {path!r}: Dataflow's workers cannot reach a file of this machine",
                "copy it to the bucket and give its URL, gs://BUCKET/FILE",
            )


def _paths(config: RunConfig) -> Iterator[tuple[str, str]]:
    """The files that workers read, with the name of their setting."""
    yield "queries", config.queries
    if config.extract.source != "pages":
        yield from (("extract.inputs", path) for path in config.extract.inputs)
        if config.extract.path_prefix:
            yield "extract.path_prefix", config.extract.path_prefix
    for name in ("index_hosts_file", "index_blocked_hosts_file"):
        if path := getattr(config.extract, name):
            yield f"extract.{name}", path
    for name in ("boilerplate_file", "blocked_words"):
        if path := getattr(config.text, name):
            yield f"text.{name}", path
    yield from (("earlier_runs", path) for path in config.earlier_runs)
    if config.package.hooks.clip_checkpoint:
        yield "package.hooks.clip_checkpoint", config.package.hooks.clip_checkpoint


def _is_remote(path: str) -> bool:
    return files.is_url(path) and not path.startswith(("file://", "local://", "memory://"))


def job_options(root: str, step: str, options: Sequence[str], parsed: Mapping[str, Any]) -> list[str]:
    """The options of the job that runs one graph: the user's, a name that says what it does, and the memory it asks
    for.

    The name is the same whenever the run folder is: Dataflow refuses a second job of a name, so that two drivers of one
    run cannot crawl the same hosts at the same time.
    """
    chosen = list(options)
    base = str(parsed.get("job_name") or f"webimagetext-{hashlib.sha256(root.rstrip('/').encode()).hexdigest()[:8]}")
    slug = re.sub(r"[^a-z0-9]+", "-", step.lower()).strip("-")
    chosen.append(f"--job_name={base[: MAX_NAME - 1 - len(slug)].rstrip('-')}-{slug}")
    if step.startswith(HEAVY_STEPS) and not parsed.get("resource_hints"):
        chosen.append(f"--resource_hints={MEMORY_HINT}")
    return chosen
