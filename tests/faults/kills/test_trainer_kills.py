"""A training that is killed while it begins, between steps, within a checkpoint or at its end goes on to the same bits
as one that nobody disturbs, and so does one that is asked to end."""

import json
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.kills.table import Done, table
from tests.faults.kills.watched import MOMENTS, Counts, Kill, Stage, Watched, operation_at, seed
from tests.interrupt import SAID
from tests.trainer.conftest import pairs, write_shards
from tests.trainer.test_train import flags, losses
from trainer import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEPS, EVERY, KEEP = 12, 3, 2
STAGES = [
    Stage("begin", "^open lock$", "^rename config.toml$"),
    Stage("write what is trained", "^rename config.toml$", "^open checkpoints/step-"),
    Stage("write a checkpoint", "^open checkpoints/step-", "^rename checkpoints/step-"),
    Stage("remove an old one", "^remove checkpoints/step-", "^open checkpoints/step-"),
    Stage("write the summary", "^open summary.json", "^rename summary.json$"),
    Stage("end", "^rename summary.json$", "^remove lock$"),
]
NAMES = [stage.name for stage in STAGES]


@dataclass
class Trainings:
    """A command, and how an undisturbed training goes."""

    folder: Path
    data: Path
    model: Path
    counts: Counts
    whole: list[Any]

    def watched(self, name: str) -> Watched:
        """The command of a training into a folder of this name."""
        output = self.folder / name
        more = ["--steps", str(STEPS), "--checkpoint-steps", str(EVERY), "--keep", str(KEEP), "--ema", "0.9"]
        words = flags(self.data, self.model, output, *more, "--checkpoint-minutes", "0", "--batch-size", "12")
        command = [sys.executable, "-m", "trainer.run", *words]
        return Watched(command, output, self.folder / f"{name}-watched", STAGES)


@pytest.fixture(scope="module")
def trainings(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    folder = tmp_path_factory.mktemp("trainings")
    write_shards(folder / "data/shards", pairs(60), 30)
    found = Trainings(folder, folder / "data", tiny_model, {}, [])
    watched = found.watched("whole")
    ended = watched.run()
    assert ended.status == 0 and not ended.left, ended
    found.counts, found.whole = ended.counts, made(watched.root)
    assert {f"{name}.any" for name in NAMES} <= ended.counts.keys(), ended.counts
    return found


def made(output: Path) -> list[Any]:
    """All that a training leaves, but for its times: names, the newest checkpoint to the last bit, losses, summary."""
    names = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    newest = checkpoint.read(checkpoint.newest(str(output)) or "")
    summary = json.loads((output / "summary.json").read_text())
    del summary["seconds"]
    summary["checkpoint"] = Path(summary["checkpoint"]).name
    bits = [in_bits(part) for part in (newest.model, newest.optimizer, newest.average)]
    return [names, newest.step, bits, newest.tokenizer, losses(output), summary]


def in_bits(value: Any) -> Any:
    """The same with tensors as bytes, so that it can be compared."""
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {name: in_bits(each) for name, each in value.items()}
    return [in_bits(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_killed_in_every_stage(trainings: Trainings) -> None:
    draw, done = random.Random(seed()), list[Done]()
    for name in ("first", "second"):
        watched = trainings.watched(name)
        for stage in NAMES:
            moment = draw.choice(list(MOMENTS))
            operation = operation_at(draw, moment, trainings.counts[f"{stage}.any"])
            kills = [Kill(stage, moment, "driver", operation, draw.choice((0.0, draw.uniform(0, 0.1))))]
            ended = watched.run(kills)
            assert ended.status == -signal.SIGKILL and not ended.left, (kills, ended)
            assert "Traceback" not in ended.said, ended.said
            done.append(Done(stage, moment, "driver", 1, signal.SIGKILL, ended.reached[0], "goes on"))
        ended = watched.run()
        assert ended.status == 0 and not ended.left, ended
        assert made(watched.root) == trainings.whole
    print(f"\nseed {seed()}\n{table(done, NAMES, ('driver',))}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_in_every_stage(trainings: Trainings, number: signal.Signals) -> None:
    draw, done = random.Random(seed() + number), list[Done]()
    how, status = ("terminated", 143) if number == signal.SIGTERM else ("interrupted", 130)
    watched = trainings.watched(f"asked-{number.name}")
    for stage in NAMES:
        moment = draw.choice(list(MOMENTS))
        operation = operation_at(draw, moment, trainings.counts[f"{stage}.any"])
        ended = watched.run([Kill(stage, moment, "driver", operation, 0.0, number)])
        assert ended.status == status and not ended.left, (stage, ended)
        last = ended.said.splitlines()[-1]
        assert last.endswith("the same command goes on from there") or last == SAID.strip().replace(
            "interrupted", how
        ), last
        assert "Traceback" not in ended.said, ended.said
        done.append(Done(stage, moment, "driver", 1, number, ended.reached[0], "goes on"))
    ended = watched.run()
    assert ended.status == 0 and not ended.left, ended
    assert made(watched.root) == trainings.whole
    print(f"\nseed {seed()}\n{table(done, NAMES, ('driver',))}")
