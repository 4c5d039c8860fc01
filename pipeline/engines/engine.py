"""Where a stage's Beam graph runs: by default on this machine's cores, else where the Beam options after ``--`` say.

Long stages run on one worker process a core, by Beam's FnApiRunner, named outright: "DirectRunner" stands for whatever
Beam can download that day. Short ones stay in this process (in_process.py), where nothing has to be started.
"""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from pipeline.engines import dataflow, graph_cache
from pipeline.engines.failures import told_as_mistakes
from pipeline.engines.in_process import InProcessRunner
from pipeline.engines.local_workers import worker_command
from pipeline.engines.portable import LostWorkerError, check_endpoint, told_as_failed_job
from pipeline.engines.spark import count_work, spark_options, submitted
from pipeline.engines.watching import watch
from pipeline.keeping.folder import RunFolder
from webimagetext import files, local
from webimagetext.errors import UserError
from webimagetext.settings import fingerprint

__all__ = ["Engine"]

LOCAL_NAMES = ("", "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner", "PrismRunner", "SwitchingDirectRunner")
# Below this many units of work, starting worker processes (about four seconds) costs more than it saves.
PARALLEL_FROM = 20_000
HERE_UP_TO = 500  # a graph takes about a tenth of a second, and files of its own
JOB_SERVER_FOLDER = "beam-temp"  # what Beam calls a job server's folder
JOB_TRIES = 3  # of a job whose engine loses its workers


class Engine:
    """Runs graphs with one set of Beam options. ``workers``: processes of a local run, 0 for one a core in long
    stages."""

    def __init__(self, run: RunFolder, options: Sequence[str] = (), workers: int = 0) -> None:
        graph_cache.install()
        self.run_folder = run
        self.workers = workers
        # A step with tagged outputs has elements of several types, which Beam's check of the graph cannot tell apart.
        self.options = ["--no_pipeline_type_check", *options]
        parsed = PipelineOptions(self.options).get_all_options()
        self.runner = str(parsed.get("runner") or "")
        if parsed.get("direct_running_mode") == "multi_threading":
            raise UserError(
                "--direct_running_mode=multi_threading loses rows without a word in this version of Beam",
                "use --workers N, or --direct_running_mode=multi_processing",
            )
        self.local = self.runner in LOCAL_NAMES
        if not self.local:
            check_endpoint(parsed)
        self._spark_submit: list[str] = []
        if self.runner == "SparkRunner":
            self.options, self._spark_submit = spark_options(self.options)
        self.on_dataflow = dataflow.is_dataflow(self.runner)
        self._parsed = parsed
        if self.on_dataflow:
            dataflow.check_options(run.root, parsed)
        self._fixed_mode = "direct_running_mode" in " ".join(self.options)

    def run(
        self,
        name: str,
        build: Callable[[beam.Pipeline], object],
        *,
        total: int = 0,
        unit: str = "rows",
        heavy: bool = False,
    ) -> None:
        """Builds and runs one graph to its end; shows progress towards ``total`` units as the workers report them.

        ``heavy`` says that each unit is long, so that worker processes pay even for a few.
        """
        parallel = heavy or total >= PARALLEL_FROM
        for left in reversed(range(JOB_TRIES)):
            try:
                with (
                    told_as_failed_job(name, self.runner),
                    told_as_mistakes(),
                    watch(self.run_folder, name, total, unit),
                    self._pipeline(name, parallel) as root,
                ):
                    build(root)
                break
            except LostWorkerError as error:
                if not left:
                    raise
                print(f"{error.problem}\n{name}: trying again, {left} more times at most", file=sys.stderr)
        if self.on_dataflow and self._parsed.get("dry_run"):
            print(dataflow.DRY_RUN_OVER.format(name), file=sys.stderr)
            raise SystemExit(0)  # the step must not be marked as finished

    def stays_here(self, total: int) -> bool:
        """Whether so few units of work are done sooner in this process than a graph is begun."""
        return self.local and total <= HERE_UP_TO

    def run_here(self, name: str, work: Callable[[], object], *, total: int = 0, unit: str = "rows") -> None:
        """Does in this process what a graph would do elsewhere; shows progress as :meth:`run` does."""
        with watch(self.run_folder, name, total, unit):
            work()

    @contextlib.contextmanager
    def _pipeline(self, name: str, parallel: bool) -> Iterator[beam.Pipeline]:
        options = list(self.options)
        if self.on_dataflow:
            options = dataflow.job_options(self.run_folder.root, name, options, self._parsed)
        if not self.local:
            with submitted(self._spark_submit, name) as more, _beam_files(), _graph([*options, *more]) as root:
                yield root
                if self.runner == "SparkRunner":
                    count_work(root, name)
            return
        workers = self.workers or ((os.cpu_count() or 1) if parallel else 1)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(_shuffle_folder(self.run_folder))
            runner: PipelineRunner = FnApiRunner() if self._fixed_mode else InProcessRunner()
            if not self._fixed_mode and workers > 1:
                options.append(f"--direct_num_workers={workers}")
                threads = max(1, (os.cpu_count() or 1) // workers)
                command = stack.enter_context(worker_command(folder, threads))
                runner = FnApiRunner(SubprocessSDKEnvironment.from_command_string(command))
            yield stack.enter_context(_graph([*options, f"--shuffle_folder={folder}"], runner, folder))


@contextlib.contextmanager
def _graph(options: Sequence[str], runner: PipelineRunner | None = None, folder: str = "") -> Iterator[beam.Pipeline]:
    """A graph that runs at the end of the block. Its temporary folder goes also when building it fails, since Beam
    keeps that one; it lies in ``folder``, which goes after a kill too."""
    with _temporary_files_in(folder):
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(options)))
    try:
        with pipeline as root:
            yield root
    finally:
        shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)


@contextlib.contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Has the libraries of this process make their temporary files in a folder, unless it is none."""
    before, tempfile.tempdir = tempfile.tempdir, folder or tempfile.tempdir
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _beam_files() -> Iterator[None]:
    """A temporary folder for what Beam makes to hand a job to an engine, and does not remove.

    A job server that it starts lasts until this process ends, and its folder, which Beam then removes itself, as long.
    """
    folder = tempfile.mkdtemp(prefix="webimagetext-job-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after Beam's own, since that is registered later
    try:
        with _temporary_files_in(folder):
            yield
    finally:
        for path in map(str, Path(folder).iterdir()):
            if not os.path.basename(path).startswith(JOB_SERVER_FOLDER):
                files.remove(path)
        with contextlib.suppress(OSError):
            os.rmdir(folder)


@contextlib.contextmanager
def _shuffle_folder(run: RunFolder) -> Iterator[str]:
    """A folder of this machine for what a graph shuffles (tables/spill.py), with the run where that is here, else under
    a name that the same run finds again; removed at the end."""
    folder = run.path(".shuffle")
    if files.is_url(run.root):
        folder = os.path.join(local.folder(), f"shuffle-{fingerprint(run.root)[:16]}")
    shutil.rmtree(folder, ignore_errors=True)  # a killed run's
    os.makedirs(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
