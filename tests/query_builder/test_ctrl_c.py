"""Ctrl-C, which a terminal sends to all processes of a command: one line and exit status 130, whatever they are doing."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAID = "\ninterrupted; the same command again takes up where this one stopped\n"


def workers_of(process: "subprocess.Popen[str]") -> int:
    """How many processes it has started, without the one that looks after shared resources."""
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    return sum(len(file.read_text().split()) for file in children) - 1


def when_workers(count: int, then: float) -> Callable[["subprocess.Popen[str]"], None]:
    """Waits for the moment at which so many have been started, and a while more."""

    def wait(process: "subprocess.Popen[str]") -> None:
        while workers_of(process) < count and process.poll() is None:
            time.sleep(0.001)
        time.sleep(then)

    return wait


DRAW = random.Random(4)
MOMENTS = [
    when_workers(count, then) for count in (1, 3) for then in (0, 0.02, *(DRAW.uniform(0.05, 0.8) for _ in "123"))
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_worker_says_anything(
    moment: Callable[["subprocess.Popen[str]"], None], small_dump: str, tmp_path: Path
) -> None:
    head, *pages = small_dump.removesuffix("</mediawiki>\n").split("  <page>")
    big = tmp_path / "big.xml"
    big.write_text(head + "".join(f"  <page>{page}" for page in pages) * 2000 + "</mediawiki>\n")
    command = [sys.executable, "-m", "query_builder", "build", "--dump", str(big), "--workers", "3"]
    command += ["--shard-megabytes", "0.5", "--output", str(tmp_path / "queries.parquet")]
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        moment(process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()  # to its end: when all processes have ended
    assert (process.returncode, said) == (130, SAID)
