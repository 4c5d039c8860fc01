"""The small site's whole run on Spark, inside the job server and on a cluster: the same bytes as a local run."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from tests.engines.spark_cluster import cluster, needs_spark
from tests.pipeline.small_job import Job, digests

pytestmark = [pytest.mark.spark, needs_spark]


# One Python process and a cheaper compiler: most of the time goes into starting both, for each of some fifteen jobs.
INSIDE = (
    *("--runner=SparkRunner", "--spark_master_url=local[2,4]"),
    *("--sdk_worker_parallelism=1", "--job_server_jvm_properties=-XX:TieredStopAtLevel=1"),
)


@pytest.mark.timeout(900)
def test_another_draw_of_a_finished_run_from_spark_inside_the_job_server(
    job: Job, first: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    here, there = job.copy(first, "drawn-here"), job.copy(first, "drawn-on-spark")
    for run, beam in ((here, ()), (there, ("--", *INSIDE))):
        assert main(["curate", str(job.config), "--output", run.root, "--balance.t", "1", *beam]) == 0
    drawn = [[manifest_digest(table) for table in (run.selected, run.reserve)] for run in (here, there, first)]
    assert drawn[1] == drawn[0] != drawn[2]
    # One part of rows: not as many tasks as cores, and not one, but four, as a hash would need.
    assert "    draw pairs: 4 tasks a stage on 2 cores\n" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_other_shards_of_a_finished_run_from_spark_inside_the_job_server(job: Job, first: RunFolder) -> None:
    apart = ("--package.holdout", "0.4")
    here, there = job.copy(first, "apart-here"), job.copy(first, "apart-on-spark")
    job.run("apart-here", *apart)
    job.run("apart-on-spark", *apart, beam=INSIDE)
    assert digests(there) == digests(here) and digests(there)["holdout"] != digests(first)["holdout"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_bytes_from_spark_inside_the_job_server(job: Job, first: RunFolder) -> None:
    before = Counter(job.site.asked)
    other = job.run("embedded", beam=INSIDE)
    assert digests(other) == digests(first)
    # Where a collection has two readers, Spark may compute it twice: nothing is asked for a second time by that.
    asked = Counter(job.site.asked) - before
    assert {path: count for path, count in asked.items() if path.endswith((".png", ".html")) and count > 1} == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_bytes_from_a_cluster_of_two_workers(job: Job, first: RunFolder, tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster", workers=2) as spark:
        other = job.run("cluster", beam=spark.options)
    assert digests(other) == digests(first)
