"""What a run on Spark needs beyond Beam's own options: the job server's jar, enough tries, a Python process a core, and
how much work there is in a graph.

In: the words after ``--``. Out: the same words, completed where the user left something open; a UserError where the run
could not start. A master such as ``local[*]`` puts Spark into the job server itself, on this machine; ``spark://…`` is
a cluster. The job server (.ci/spark/java) keeps one Spark application for all graphs of a run, waits for its executors,
and cuts each graph into tasks by the work in it.
"""

import atexit
import contextlib
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor

from pipeline.engines.portable import check_address
from pipeline.engines.worker_pool import start_pool
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["JOB_SERVER_JAR", "count_work", "spark_options", "submitted"]

JOB_SERVER_JAR = Path(__file__).resolve().parents[2] / ".cache" / "spark" / "job-server.jar"
# Every core, and four tries a task: a cluster allows as many by itself, a local master only one.
LOCAL_MASTER = "local[*,4]"
# How long a worker waits for the next stage of its job. Without a wait each stage starts new ones, two seconds apiece.
WORKER_MILLIS = 10_000
# What two steps read is kept on disk where memory is short; by Beam's default it would be computed again. Not
# everything that Beam keeps can be written by Java's own serializer.
KEEPING = (
    "--storage_level=MEMORY_AND_DISK",
    "--job_server_jvm_properties=-Dspark.serializer=org.apache.spark.serializer.KryoSerializer",
)
SUBMIT = "--spark_submit="
STANDALONE = "spark://"
UNITS, STEP = "webimagetext_units", "webimagetext_step"  # as .ci/spark/java has them
_LOCAL = re.compile(r"local(\[.*\])?")


def spark_options(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of a SparkRunner, completed, and the command of ``--spark_submit``, empty where there is none.

    Raises UserError when the jar, Java or that command is missing, and for a jar that would hold one job of many.
    """
    submit = [word.removeprefix(SUBMIT) for word in options if word.startswith(SUBMIT)]
    completed = [word for word in options if not word.startswith(SUBMIT)]
    given = PipelineOptions(completed).get_all_options(drop_default=True)
    if "output_executable_path" in given:
        raise UserError(
            "--output_executable_path: a run is several jobs, and a jar holds one",
            "--spark_submit='spark-submit --master …' makes a jar of each job in turn and submits it",
        )
    master = str(given.get("spark_master_url", LOCAL_MASTER))
    if "spark_master_url" not in given:
        completed.append(f"--spark_master_url={master}")
    if "job_endpoint" not in given:
        completed += _job_server(given.get("spark_job_server_jar"), str(given.get("job_server_java_launcher", "java")))
        if not submit and not any(word.startswith("--storage_level") for word in completed):
            completed += KEEPING
    if "environment_cache_millis" not in given:
        completed.append(f"--environment_cache_millis={WORKER_MILLIS}")
    if "environment_type" not in given:
        if submit or "job_endpoint" in given or not _LOCAL.fullmatch(master):
            raise UserError(
                f"--environment_type is missing: nothing says how Python is started on {_place(submit, given, master)}",
                "run `python -m pipeline.workers` on each machine of the cluster and add --environment_type=EXTERNAL "
                "--environment_config=localhost:50000; docs/runners.md has the rest",
            )
        completed += _local_workers("sdk_worker_parallelism" in given)
    if master.startswith(STANDALONE) and not submit and "job_endpoint" not in given:
        check_address(
            f"--spark_master_url={master}",
            master.removeprefix(STANDALONE),
            "the first line of the master's log names it",
        )
    return completed, _command(submit)


def _place(submit: Sequence[str], given: Mapping[str, object], master: str) -> str:
    """Where the work is to be done, by the option that says so."""
    if submit:
        return f"what {submit[-1].split()[0]} submits to"
    return f"--job_endpoint={given['job_endpoint']}" if "job_endpoint" in given else master


def count_work(root: beam.Pipeline, name: str) -> None:
    """Tells the job server, as experiments of a graph that is built, its name and how many units of work it has."""
    found = _Units()
    root.visit(found)
    debug = root._options.view_as(DebugOptions)
    debug.add_experiment(f"{UNITS}={found.units}")
    debug.add_experiment(f"{STEP}={name.replace(' ', '_')}")


class _Units(PipelineVisitor):
    """The most pieces that a shuffle of a graph cuts its rows into, or that its inputs come in."""

    def __init__(self) -> None:
        self.units = 1

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Counts what is made here, or brought together in parts."""
        step = transform_node.transform
        made = len(step.values) if isinstance(step, beam.Create) else getattr(step, "parts", 0)
        self.units = max(self.units, made)


def _command(submit: Sequence[str]) -> list[str]:
    """The words of the command that submits a jar."""
    words = shlex.split(submit[-1]) if submit else []
    if words and shutil.which(words[0]) is None:
        raise UserError(f"--spark_submit: {words[0]}: no such program", "`make spark` puts one into .venv-spark/bin")
    return words


@contextlib.contextmanager
def submitted(command: Sequence[str], name: str) -> Iterator[list[str]]:
    """Options by which Beam packs the job of the block into a jar, which ``command`` then runs to its end.

    None, and nothing to do, where ``command`` is empty. Raises UserError when the command fails.
    """
    if not command:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="spark-job-") as folder:
        jar = os.path.join(folder, f"{name.replace(' ', '-')}.jar")
        yield [f"--output_executable_path={jar}"]
        status = subprocess.run([*command, jar], stdout=sys.stderr).returncode
    if status:
        raise UserError(
            f"{name}: {command[0]} ended with exit status {status}",
            "what it printed above says why; the same command again goes on from what is finished",
        )


def _job_server(jar: str | None, java: str) -> list[str]:
    """Options that name the job server's jar, unless the user did."""
    if shutil.which(java) is None:
        raise UserError(f"{java}: no such program, and Spark needs Java", "install Java 17, or see docs/runners.md")
    if jar is not None:
        if not files.is_url(jar) and not os.path.exists(jar):
            raise UserError(f"{jar}: no such file", "--spark_job_server_jar names Beam's job server for Spark")
        return []
    if not JOB_SERVER_JAR.exists():
        raise UserError(
            f"{JOB_SERVER_JAR}: Beam's job server for Spark is not there",
            "run `make spark` to fetch it, or name one of yours with --spark_job_server_jar=FILE",
        )
    return [f"--spark_job_server_jar={JOB_SERVER_JAR}"]


def _local_workers(parallelism_given: bool) -> list[str]:
    """Options that name a pool of Python processes on this machine, one a core."""
    options = ["--environment_type=EXTERNAL", f"--environment_config={_local_pool()}"]
    return options if parallelism_given else [*options, f"--sdk_worker_parallelism={os.cpu_count() or 1}"]


@functools.cache
def _local_pool() -> str:
    """The address of a pool that lasts as long as this process."""
    address, server, pool = start_pool()
    atexit.register(pool.close)
    atexit.register(server.stop, None)
    return address
