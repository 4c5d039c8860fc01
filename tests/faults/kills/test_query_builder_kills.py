"""A build of the query list that is killed in each of its stages ends with the same bytes as one that nobody
disturbs, and so does one that is asked to end."""

import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.kills.table import Done, table
from tests.faults.kills.watched import MOMENTS, Counts, Kill, Stage, Watched, operation_at, seed
from tests.interrupt import SAID
from tests.query_builder.test_build import VIEWS
from webimagetext.files import digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WORK = "list.parquet.work"
STAGES = [
    Stage("begin", f"^open {WORK}/.lock$", f"^mkdir {WORK}/[0-9a-f]+/shards$"),
    Stage("count", f"^mkdir {WORK}/[0-9a-f]+/shards$", "/views/00000.npz$"),
    Stage("titles", "/views/00000.npz$", "^mkdir .*/merge-[0-9a-f]+$"),
    Stage("merge", "^mkdir .*/merge-[0-9a-f]+$", "^open list.candidates.parquet"),
    Stage("write", "^open list.candidates.parquet", "^rename list.parquet$"),
    Stage("clear", f"^rmtree {WORK}$", f"^rmdir {WORK}$"),
]
NAMES = [stage.name for stage in STAGES]
WITH_WORKERS = ("count", "merge")
LISTS = ("list.parquet", "list.candidates.parquet")
WORKER_GONE = "error: a worker process was killed"


@dataclass
class Builds:
    """The inputs of a build, and how an undisturbed one goes with each number of workers."""

    folder: Path
    words: list[str]
    counts: dict[int, Counts]
    whole: list[str]

    def watched(self, name: str) -> Watched:
        """The command of a build into a folder of this name."""
        root = self.folder / name
        root.mkdir()
        command = [*self.words, "--output", str(root / "list.parquet")]
        return Watched(command, root, self.folder / f"{name}-watched", STAGES)


@pytest.fixture(scope="module")
def builds(small_dump: str, wordnet_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Builds:
    folder = tmp_path_factory.mktemp("builds")
    head, *pages = small_dump.removesuffix("</mediawiki>\n").split("  <page>")
    (folder / "dump.xml").write_text(head + "".join(f"  <page>{page}" for page in pages) * 20 + "</mediawiki>\n")
    (folder / "views").write_text(VIEWS)
    words = [sys.executable, "-m", "query_builder", "build", "--dump", str(folder / "dump.xml")]
    words += ["--pageviews", str(folder / "views"), "--wordnet", wordnet_folder, "--shard-megabytes", "0.1"]
    words += ["--size", "500", "--min-word-count", "10", "--min-page-views", "1"]
    found = Builds(folder, words, {}, [])
    for workers in (1, 2):
        watched = found.watched(f"whole-{workers}")
        ended = watched.run((), "--workers", str(workers))
        assert ended.status == 0 and not ended.left, ended
        assert {f"{name}.any" for name in NAMES} <= ended.counts.keys(), ended.counts
        found.counts[workers] = ended.counts
        assert found.whole in ([], made(watched))
        found.whole = made(watched)
    return found


def made(watched: Watched) -> list[str]:
    """The lists' digests, and that nothing else is there."""
    assert sorted(path.name for path in watched.root.rglob("*")) == sorted(LISTS)
    return [digest(str(watched.root / name)) for name in LISTS]


def remove_lists(root: Path) -> None:
    for name in LISTS:
        (root / name).unlink(missing_ok=True)


def test_killed_in_every_stage(builds: Builds) -> None:
    draw, done = random.Random(seed()), list[Done]()
    watched = builds.watched("killed")
    for stage in NAMES:
        for moment in MOMENTS:
            targets = ["driver", "group", *(["worker"] if stage in WITH_WORKERS else [])]
            for target in sorted(draw.sample(targets, 2), reverse=True):  # a worker first, while there is work for it
                workers = 2 if target == "worker" else draw.choice((1, 2))
                count = builds.counts[workers][f"{stage}.{'worker' if target == 'worker' else 'any'}"]
                kills = [Kill(stage, moment, target, operation_at(draw, moment, count), draw.choice((0.0, 0.02)))]
                if stage == "clear":  # the list is there since the kill before
                    remove_lists(watched.root)
                ended = watched.run(kills, "--workers", str(workers))
                assert not ended.left and "Traceback" not in ended.said, (kills, ended)
                if not ended.reached:  # the work that a worker is needed for was done before
                    assert ended.status == 0 and target == "worker", (kills, ended)
                    assert made(watched) == builds.whole
                    remove_lists(watched.root)
                    continue
                assert ended.status == (2 if target == "worker" else -signal.SIGKILL), (kills, ended)
                assert target != "worker" or WORKER_GONE in ended.said, ended
                outcome = "a line, then goes on" if target == "worker" else "goes on"
                done.append(Done(stage, moment, target, workers, signal.SIGKILL, ended.reached[0], outcome))
    ended = watched.run()
    assert ended.status == 0 and not ended.left, ended
    assert made(watched) == builds.whole
    print(f"\nseed {seed()}\n{table(done, NAMES, ('driver', 'group', 'worker'))}")
    assert {each.stage for each in done if each.target != "worker"} == set(NAMES)
    assert {each.stage for each in done if each.target == "worker"} == set(WITH_WORKERS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_in_every_stage(builds: Builds, number: signal.Signals) -> None:
    draw, done = random.Random(seed() + number), list[Done]()
    how, status = ("terminated", 143) if number == signal.SIGTERM else ("interrupted", 130)
    target = "driver" if number == signal.SIGTERM else "group"
    watched = builds.watched(f"asked-{number.name}")
    for stage in NAMES:
        moment, workers = draw.choice(list(MOMENTS)), draw.choice((1, 2))
        operation = operation_at(draw, moment, builds.counts[workers][f"{stage}.any"])
        ended = watched.run([Kill(stage, moment, target, operation, 0.0, number)], "--workers", str(workers))
        assert (ended.status, ended.left) == (status, []), ended
        assert ended.said == SAID.replace("interrupted", how), ended.said
        done.append(Done(stage, moment, target, workers, number, ended.reached[0], "goes on"))
    ended = watched.run()
    assert ended.status == 0 and not ended.left, ended
    assert made(watched) == builds.whole
    print(f"\nseed {seed()}\n{table(done, NAMES, (target,))}")
    assert [each.stage for each in done] == NAMES
