"""What a run on Spark is started with, and what is said when it cannot start or fails. Needs neither Java nor Spark."""

import socket
from pathlib import Path

import pytest

from pipeline.engines import spark
from pipeline.engines.engine import Engine
from pipeline.engines.portable import LostWorkerError, told_as_failed_job
from pipeline.engines.spark import spark_options, submitted
from pipeline.keeping.folder import RunFolder
from webimagetext.errors import UserError

ROOT = Path(__file__).parents[2]
JAR = spark.JOB_SERVER_JAR


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
        "--spark_master_url=spark://there:7077",
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
        Engine(run, ["--runner=SparkRunner", "--spark_submit=nowhere --master yarn"])
    with pytest.raises(UserError, match="a jar holds one"):
        Engine(run, ["--runner=SparkRunner", "--output_executable_path=job.jar"])
    java_and_jar.unlink()
    with pytest.raises(UserError, match="make spark"):
        Engine(run, ["--runner=SparkRunner"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="Spark needs Java"):
        Engine(run, ["--runner=SparkRunner"])


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
