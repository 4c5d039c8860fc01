"""Training by two processes of which one is killed, hangs or is slow.

A killed or a hanging one ends the run with a line that names it, and leaves nothing behind; the same command goes on. A
slow one is waited for.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.kills.watched import ROOT, seed
from tests.processes import children
from tests.trainer.conftest import pairs, write_shards
from tests.trainer.test_train import flags, losses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEPS = 40
LONGEST_SECONDS = 120.0


@dataclass
class Group:
    """A launcher with two ranks, and what they say."""

    launcher: "subprocess.Popen[str]"
    output: Path

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Until something is so; fails when the launcher ends before."""
        until = time.monotonic() + LONGEST_SECONDS
        while not reached():
            assert self.launcher.poll() is None, self.launcher.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)

    def ranks(self) -> dict[int, int]:
        """The process of each rank."""
        found = {}
        for process in children(self.launcher.pid):
            try:
                words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found |= {int(word[5:]): process for word in words if word.startswith(b"RANK=")}
        return found

    def is_at(self, step: int) -> bool:
        """Whether the log has come to a step."""
        log = self.output / "log.jsonl"
        return log.exists() and f'"step": {step},' in log.read_text()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ranks")
    write_shards(root / "shards", pairs(96), 48)
    return root


@contextmanager
def started(data: Path, model: Path, output: Path, *more: str) -> Iterator[Group]:
    """Two ranks at work; none of them outlives the block."""
    launch = ["--nproc-per-node=2", "--standalone", "--log-dir", str(output.parent / "logs")]
    words = flags(data, model, output, "--steps", str(STEPS), "--checkpoint-steps", "4", "--keep", "99", *more)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WEBIMAGETEXT_QUIET": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", *launch, "-m", "trainer.run", *words]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as launcher:
        group = Group(launcher, output)
        known: set[int] = set()
        try:
            group.wait_for(lambda: len(group.ranks()) == 2)
            known = set(group.ranks().values())
            yield group
        finally:
            for process in [*known, launcher.pid]:
                if launcher.poll() is None:
                    os.kill(process, signal.SIGKILL)


def ended(group: Group) -> tuple[int, str]:
    """The status of the launcher and what was said; no rank may be left."""
    ranks = group.ranks()
    _, said = group.launcher.communicate(timeout=LONGEST_SECONDS)
    assert not [process for process in ranks.values() if Path(f"/proc/{process}").exists()]
    return group.launcher.returncode, said


@pytest.fixture(scope="module")
def whole(data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """The losses of a run of two ranks that nobody disturbs."""
    output = tmp_path_factory.mktemp("whole") / "model"
    with started(data, tiny_model, output) as group:
        status, said = ended(group)
    assert status == 0, said
    return losses(output)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_goes_or_hangs_ends_the_run_with_its_name(
    data: Path, tiny_model: Path, tmp_path: Path, whole: dict[int, float], how: signal.Signals
) -> None:
    draw, output = random.Random(seed() + how), tmp_path / "model"
    for rank in (0, 1):
        with started(data, tiny_model, output, "--rank-seconds", "4") as group:
            step = 4 + 12 * rank + draw.randint(1, 6)
            group.wait_for(lambda group=group, step=step: group.is_at(step))
            victim = group.ranks()[rank]
            os.kill(victim, how)
            status, said = ended(group)
        assert status != 0
        line = "has ended" if how == signal.SIGKILL else "has given no sign of life for 4 s"
        assert f"error: process {rank} of the run ({victim} on " in said and line in said, said
        assert "the same command goes on from the newest checkpoint" in said
        assert "trainer/" not in said.replace("trainer/run.py", ""), said  # no traceback of ours
    with started(data, tiny_model, output, "--rank-seconds", "30") as group:
        status, said = ended(group)
    assert status == 0 and "from step" in said, said
    assert losses(output) == whole
    assert not (output / "lock").exists()


def test_a_slow_rank_is_waited_for(data: Path, tiny_model: Path, tmp_path: Path, whole: dict[int, float]) -> None:
    draw, output = random.Random(seed()), tmp_path / "model"
    with started(data, tiny_model, output, "--rank-seconds", "8") as group:
        for step in (4, 12, 20):
            group.wait_for(lambda step=step: group.is_at(step))
            victim = group.ranks()[draw.randint(0, 1)]
            os.kill(victim, signal.SIGSTOP)
            time.sleep(draw.uniform(1, 3))
            os.kill(victim, signal.SIGCONT)
        status, said = ended(group)
    assert status == 0 and "no sign of life" not in said, said
    assert losses(output) == whole
    assert json.loads((output / "summary.json").read_text())["steps"] == STEPS
