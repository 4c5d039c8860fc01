"""A Spark cluster of real processes on loopback: a master, workers that come and go, and a pool of Python workers."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engines.spark import JOB_SERVER_JAR
from tests.processes import children

__all__ = ["Cluster", "cluster", "missing", "needs_spark"]

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
FAILED_BUILD = JOB_SERVER_JAR.with_name("failed.log")


def _spark_home() -> Path | None:
    found = sorted((ROOT / ".venv-spark").glob("lib/python*/site-packages/pyspark"))
    return found[0] if found else None


def missing(failed: Path = FAILED_BUILD) -> str:
    """Why the tests on Spark cannot run, and what to do; empty where they can. ``failed``: what a failed build
    printed."""
    for program, package in (("java", "openjdk-17-jdk-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            return f"Spark needs the program {program} (on Debian: apt install {package}; then make spark)"
    if failed.exists():
        lines = [line for line in failed.read_text().splitlines() if line.strip() and not line.startswith("make")]
        error = next((line for line in lines if line.startswith("error: ")), lines[-1] if lines else "it said nothing")
        return f"Spark could not be built: {error.removeprefix('error: ')} (make spark)"
    if not JOB_SERVER_JAR.exists() or _spark_home() is None:
        return "Spark is not here (make spark)"
    return ""


needs_spark = pytest.mark.skipif(bool(missing()), reason=missing() or "it is here")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """Addresses and processes. ``options`` are what a run needs after ``--`` to use the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.pool_port = folder, _free_port(), _free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.pool = self._start("pool", [sys.executable, "-m", "pipeline.workers", "--port", str(self.pool_port)])
        self._start_spark(
            "master", "master.Master", "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0"
        )
        for port in (self.port, self.pool_port):
            _wait_for(port)

    @property
    def master(self) -> str:
        """The master's address."""
        return f"spark://127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What runs Python on it."""
        environment = ("--environment_type=EXTERNAL", f"--environment_config=localhost:{self.pool_port}")
        return ("--runner=SparkRunner", f"--spark_master_url={self.master}", *environment)

    def add_worker(self, cores: int = 1, memory: str = "1g") -> "subprocess.Popen[bytes]":
        """Starts one more worker; its executors are in its process group."""
        name = f"worker-{len(self._processes)}"
        options = ["--host", "127.0.0.1", "--cores", str(cores), "--memory", memory, "--webui-port", "0"]
        work = ["--work-dir", str(self.folder / name), self.master]
        worker = self._start_spark(name, "worker.Worker", *options, *work)
        deadline = time.monotonic() + START_SECONDS
        while "Successfully registered with master" not in (self.folder / f"{name}.log").read_text():
            assert worker.poll() is None and time.monotonic() < deadline, (self.folder / f"{name}.log").read_text()
            time.sleep(0.1)
        return worker

    def python_workers(self) -> list[int]:
        """The process ids of the Python workers that run now; the pool's nursery has forked them."""
        return sorted(worker for nursery in children(self.pool.pid) for worker in children(nursery))

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kills a process with all it has started, as when a machine is lost."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """Ends everything."""
        for process in reversed(self._processes):
            self.kill(process)

    def _start_spark(self, name: str, main: str, *words: str) -> "subprocess.Popen[bytes]":
        home = _spark_home()
        return self._start(name, [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{main}", *words])

    def _start(self, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SPARK_HOME": str(_spark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
        }
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        self._processes.append(process)
        return process


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens at port {port}")


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A cluster that lasts as long as the block; its logs go to ``folder``."""
    folder.mkdir(parents=True)
    made = Cluster(folder)
    try:
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        made.close()
