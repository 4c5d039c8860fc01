"""What a run on Spark is started with, and what is said when it cannot start or fails. Needs neither Java nor Spark."""

import logging
import shutil
import socket
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from pipeline.engines import spark
from pipeline.engines.engine import Engine
from pipeline.engines.portable import LostWorkerError, told_as_failed_job
from pipeline.engines.spark import count_work, spark_options, submitted
from pipeline.keeping.folder import RunFolder
from pipeline.tables.gather import Gather
from pipeline.tables.sink import by_pair
from webimagetext import local
from webimagetext.errors import UserError

ROOT = Path(__file__).parents[2]
JAR = spark.JOB_SERVER_JAR
BATCH = pa.RecordBatch.from_pydict({"pair_id": pa.array([1, 2], pa.uint64())})


def test_the_job_server_is_looked_for_where_it_is_made() -> None:
    assert f"{ROOT}/.cache/spark/job-server.jar" == str(JAR)
    assert ".ci/spark/build .cache/spark" in (ROOT / "Makefile").read_text()


@pytest.fixture(autouse=True)
def java_and_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called java and a file where the jar should be."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    jar = tmp_path / "job-server.jar"
    jar.touch()
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(spark, "JOB_SERVER_JAR", jar)
    return jar


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed job's engine said is kept in the test's folder."""
    monkeypatch.setattr(local, "folder", lambda: str(tmp_path))


def test_what_is_left_open_is_completed(java_and_jar: Path) -> None:
    words, submit = spark_options(["--runner=SparkRunner"])
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    assert given["spark_master_url"] == "local[*,4]" and given["spark_job_server_jar"] == str(java_and_jar)
    assert given["environment_type"] == "EXTERNAL" and given["environment_config"].startswith("127.0.0.1:")
    assert given["storage_level"] == "MEMORY_AND_DISK"
    assert submit == []


def test_what_is_given_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jar"
    mine.touch()
    given = [
        "--runner=SparkRunner",
        "--spark_master_url=yarn",
        "--environment_type=EXTERNAL",
        "--environment_config=localhost:50000",
        "--environment_cache_millis=1",
        "--storage_level=DISK_ONLY",
        f"--spark_job_server_jar={mine}",
    ]
    assert spark_options([*given, "--spark_submit=java -jar"]) == (given, ["java", "-jar"])


def test_what_is_missing_is_named(java_and_jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder("run")
    with pytest.raises(UserError, match="no such file"):
        Engine(run, ["--runner=SparkRunner", "--spark_job_server_jar=missing.jar"])
    with pytest.raises(UserError, match="nowhere: no such program"):
        Engine(run, ["--runner=SparkRunner", "--environment_type=EXTERNAL", "--spark_submit=nowhere --master yarn"])
    with pytest.raises(UserError, match="a jar holds one"):
        Engine(run, ["--runner=SparkRunner", "--output_executable_path=job.jar"])
    java_and_jar.unlink()
    with pytest.raises(UserError, match="make spark"):
        Engine(run, ["--runner=SparkRunner"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="Spark needs Java"):
        Engine(run, ["--runner=SparkRunner"])


def test_a_master_where_nobody_answers_is_named_at_once() -> None:
    python = ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        for master in (f"spark://{here}", f"spark://{here},{here}"):
            with pytest.raises(UserError, match=f"--spark_master_url={master}: nobody answers there"):
                spark_options(["--runner=SparkRunner", f"--spark_master_url={master}", *python])
        taken.listen()
        spark_options(["--runner=SparkRunner", f"--spark_master_url=spark://127.0.0.1:1,{here}", *python])
    with pytest.raises(UserError, match="HOST:PORT"):
        spark_options(["--runner=SparkRunner", "--spark_master_url=spark://there", *python])


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--spark_master_url=spark://there:7077"], "spark://there:7077"),
        (["--spark_master_url=yarn"], "yarn"),
        (["--spark_submit=java -jar"], "what java submits to"),
        (["--job_endpoint=there:8099"], "--job_endpoint=there:8099"),
    ],
)
def test_a_cluster_that_is_not_told_how_python_starts_is_named_at_once(words: list[str], where: str) -> None:
    with pytest.raises(UserError, match=f"--environment_type is missing.* {where}") as told:
        spark_options(["--runner=SparkRunner", *words])
    assert "python -m pipeline.workers" in told.value.remedy


def test_the_work_of_a_graph_is_counted() -> None:
    def units(*, parts: int, names: int) -> dict[str, str]:
        root = beam.Pipeline(options=PipelineOptions([]))
        batches = root | beam.Create([BATCH] * names)
        batches | Gather(by_pair, parts, BATCH.schema, ["pair_id"])
        count_work(root, "find things")
        shutil.rmtree(root.local_tempdir)
        told = root._options.view_as(DebugOptions).experiments
        return dict(word.split("=") for word in told)

    assert units(parts=40, names=3) == {"webimagetext_units": "40", "webimagetext_step": "find_things"}
    assert units(parts=4, names=30)["webimagetext_units"] == "30"


def test_what_a_server_says_is_kept_and_what_it_says_to_the_user_shown(capsys: pytest.CaptureFixture[str]) -> None:
    server, messages = logging.getLogger("SparkJarJobServer"), logging.getLogger(f"{PortableRunner.__module__}")
    stack = "\n".join(f"\tat org.example.Some.call(Some.java:{line})" for line in range(45))
    with pytest.raises(UserError) as told, told_as_failed_job("write shards", "SparkRunner"):
        server.info("webimagetext: 8 tasks a stage on 2 cores")
        server.info("24/11/30 INFO SparkContext: Running Spark")
        messages.error("java.lang.RuntimeException: short\n%s", stack)
        raise RuntimeError(f"Pipeline job failed in state FAILED: java.lang.RuntimeException: short\n{stack}")
    shown = capsys.readouterr()
    assert shown.err == "    8 tasks a stage on 2 cores\n" and shown.out == ""
    assert told.value.problem == "write shards: the job failed on SparkRunner: java.lang.RuntimeException: short"
    file = Path(told.value.remedy.partition(" has all that it said")[0])
    kept = file.read_text()
    assert "Running Spark" in kept and kept.count("Some.java:44") == 2


def test_what_our_server_finds_wrong_is_not_tried_again() -> None:
    error = "Pipeline job failed in state FAILED: java.lang.IllegalStateException: webimagetext: no executor came"
    with pytest.raises(UserError) as told, told_as_failed_job("join", "SparkRunner"):
        raise RuntimeError(error)
    assert told.value.problem == "join: the job failed on SparkRunner: no executor came"
    assert not isinstance(told.value, LostWorkerError)


def test_an_endpoint_where_nobody_answers_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match="nobody answers"):
            Engine(RunFolder("run"), ["--runner=PortableRunner", f"--job_endpoint={endpoint}"])
    with pytest.raises(UserError, match="HOST:PORT"):
        Engine(RunFolder("run"), ["--runner=PortableRunner", "--job_endpoint=7077"])


def test_a_job_that_failed_is_told_in_a_line() -> None:
    message = (
        "Pipeline job failed in state FAILED: java.lang.RuntimeException: Traceback (most recent call last):\n"
        '  File "x.py", line 1, in process\n'
        "pyarrow.lib.ArrowInvalid: the column is short [while running 'Write shards']\n\n"
        "\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(FnApiControlClient.java:180)\n"
    )
    told = "write shards: the job failed on SparkRunner: pyarrow.lib.ArrowInvalid: the column is short"
    with pytest.raises(UserError, match=told) as failed, told_as_failed_job("write shards", "SparkRunner"):
        raise RuntimeError(message)
    assert not isinstance(failed.value, LostWorkerError)  # another try would fail alike
    lost = "Pipeline job failed in state FAILED: SparkException: Task failed 4 times: StatusRuntimeException: CANCELLED"
    with pytest.raises(LostWorkerError, match="CANCELLED"), told_as_failed_job("write shards", "SparkRunner"):
        raise RuntimeError(lost)
    with pytest.raises(RuntimeError, match="another"), told_as_failed_job("write shards", "SparkRunner"):
        raise RuntimeError("another")


def test_a_command_that_submits_and_fails_is_named(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "exit 2"]
    with pytest.raises(UserError, match="ended with exit status 2"), submitted(command, "join") as more:
        assert more[0].startswith("--output_executable_path=")
    with submitted([], "join") as none:
        assert none == []
