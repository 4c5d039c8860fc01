"""A Spark worker, or its Python, is killed in the middle of fetching and of writing shards: Spark's own retry ends the
job.

Nothing is lost, the results are the same bytes, and no picture whose answer had been stored is asked for again.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder
from tests.engines.spark_cluster import ROOT, Cluster, cluster, needs_spark
from tests.pipeline import small_site
from tests.pipeline.small_job import Job, digests, serve_job

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(1800), needs_spark]

DELAY = 0.4  # seconds between two requests
MINUTES = 10


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    with serve_job(tmp_path_factory.mktemp("kill")) as job:
        config = job.config.read_text().replace("t = 2\n", 't = 2\nmode = "none"\n').replace("= 6", "= 1")
        job.config.write_text(config.replace("delay = 0.0", f"delay = {DELAY}"))
        yield job


@pytest.fixture(scope="module")
def first(job: Job) -> RunFolder:
    """A run of this job that nobody disturbed."""
    return job.run("first")


def lose_a_machine(spark: Cluster, worker: "subprocess.Popen[bytes]") -> None:
    spark.add_worker()
    spark.kill(worker)


def lose_python(spark: Cluster, worker: "subprocess.Popen[bytes]") -> None:
    for pid in spark.python_workers():
        os.kill(pid, signal.SIGKILL)


def run_and_kill(job: Job, output: Path, spark: Cluster, reached: Callable[[], bool], lose: Callable[[], None]) -> str:
    """Runs the job in a process of its own and calls ``lose`` when ``reached`` says so; returns what the run
    printed."""
    command = [sys.executable, "-m", "pipeline", "run", str(job.config), "--output", str(output), "--", *spark.options]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed: list[str] = []
    assert run.stdout is not None
    reader = threading.Thread(target=printed.extend, args=(run.stdout,))
    reader.start()
    try:
        deadline = time.monotonic() + 60 * MINUTES
        while not reached():
            assert run.poll() is None and time.monotonic() < deadline, "".join(printed)
            time.sleep(0.01)
        lose()
        status = run.wait(60 * MINUTES)
    finally:
        run.kill()
        run.wait()
        reader.join()
        run.stdout.close()
    assert status == 0, "".join(printed)
    return "".join(printed)


@pytest.mark.parametrize("lose", [lose_a_machine, lose_python])
def test_killed_while_it_fetches(job: Job, first: RunFolder, tmp_path: Path, lose: Callable[..., None]) -> None:
    output = tmp_path / "run"
    shutil.copytree(first.root, output)
    for folder in ("images", "joined", "shards", "holdout"):
        shutil.rmtree(output / folder)
    before = Counter(job.site.asked)

    def pictures() -> Counter[str]:
        return Counter({path: n for path, n in (Counter(job.site.asked) - before).items() if path.endswith(".png")})

    with cluster(tmp_path / "cluster", workers=0) as spark:
        worker = spark.add_worker()
        run_and_kill(job, output, spark, lambda: len(pictures()) >= 8, lambda: lose(spark, worker))
    assert digests(RunFolder(str(output))) == digests(first)
    asked = pictures()
    assert len(asked) == len(small_site.CAPTIONS) + 1
    # Only what was under way at the kill may be asked again: one host, one question at a time.
    assert asked.total() <= len(asked) + 1, asked


@pytest.mark.parametrize("lose", [lose_a_machine, lose_python])
def test_killed_while_it_writes_shards(job: Job, first: RunFolder, tmp_path: Path, lose: Callable[..., None]) -> None:
    output = tmp_path / "run"
    shutil.copytree(first.root, output)
    for folder in ("shards", "holdout"):
        shutil.rmtree(output / folder)
    asked = len(job.site.asked)
    with cluster(tmp_path / "cluster", workers=0) as spark:
        worker = spark.add_worker()

        def some_shards() -> bool:
            return any((output / "shards").glob("*.tar")) and not (output / "shards" / "_MANIFEST").exists()

        run_and_kill(job, output, spark, some_shards, lambda: lose(spark, worker))
    assert digests(RunFolder(str(output))) == digests(first)
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == []
