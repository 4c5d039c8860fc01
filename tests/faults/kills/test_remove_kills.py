"""A removal that is killed at any of its file operations is finished by the next command, with the same bytes as one
that nobody disturbs."""

import random
import sys
from pathlib import Path

import pytest

from pipeline.audit.check import check_folder
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches
from tests.faults.kills.watched import Kill, Stage, Watched, seed
from tests.pipeline.small_job import Job
from webimagetext import files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STAGES = [Stage("remove", "^rename removed/tombstones.parquet$", "^rename _MANIFEST$")]
KILLS = 8


def _state(run: RunFolder) -> dict[str, str]:
    """The data of a run, without what names its folder or the moment."""
    places = ("shards", "holdout", "joined", "images", "rejects")
    paths = [path for place in places for path in Path(run.path(place)).rglob("*") if path.is_file()]
    found = {str(path.relative_to(run.root)): files.digest(str(path)) for path in paths if path.name != "_SUCCESS"}
    return found | {"shortfall": files.digest(run.shortfall)}


def test_killed_removals(job: Job, first: RunFolder, tmp_path: Path) -> None:
    keys = [key for batch in iter_batches(first.shards, ["key"]) for key in batch.column("key").to_pylist()]
    (tmp_path / "keys.txt").write_text("\n".join(keys[::3]))

    def watched(run: RunFolder, name: str) -> Watched:
        command = [sys.executable, "-m", "pipeline", "remove", run.root]
        return Watched(command, Path(run.root), tmp_path / name, STAGES)

    given = ("--keys", str(tmp_path / "keys.txt"))
    whole = job.copy(first, "removed-whole")
    counted = watched(whole, "whole").run((), *given)
    assert counted.status == 0, counted.said
    operations, draw = counted.counts["remove.any"], random.Random(seed())
    for number in range(KILLS):
        at = round((number + draw.random()) * operations / KILLS) or 1
        run = job.copy(first, f"removed-{number}")
        ended = watched(run, f"cut-{number}").run([Kill("remove", "working", "driver", at)], *given)
        assert ended.status != 0 and ended.reached, ended
        planned = Path(run.root, "removed", "pending", "plan.json").exists()
        again = watched(run, f"again-{number}").run((), *(() if planned else given))
        assert again.status == 0, again.said
        assert check_folder(run.root, readers=False, note=False).findings == []
        assert _state(run) == _state(whole), f"killed at operation {at} of {operations}: {ended.reached}"
