"""A run that is killed in each of its stages, as often as it takes, ends with the same bytes as one that nobody
disturbs.

The driver, one worker, or all processes at once; while a stage starts, works and ends; with one worker and with two.
Each draw hangs on WEBIMAGETEXT_SEED.
"""

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from tests.faults.kills.table import Done, table
from tests.faults.kills.watched import MOMENTS, Counts, Ended, Kill, Stage, Watched, operation_at, seed
from tests.interrupt import SAID
from tests.pipeline import small_site
from tests.pipeline.small_job import TABLES, Job, serve_job
from tests.processes import children
from webimagetext.files import digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STEPS = {
    "extract": "candidates",
    "captions": "frequent_captions",
    "languages": "site_languages",
    "match": "matched",
    "balance": "selected",
    "fetch": "images",
    "evaluation": "evaluation",
    "join": "joined",
    "shards": "shards",
}
BEGINS = "^(open {0}/_STARTED|remove {0}/_SUCCESS)$"  # where it goes on, and where it starts afresh
STAGES = [
    Stage("begin", "^open .lock$", BEGINS.format("candidates")),
    *(Stage(name, BEGINS.format(folder), f"^rename {folder}/_SUCCESS$") for name, folder in STEPS.items()),
    Stage("reports", "^rename funnel.json$", "^rename _MANIFEST$"),
]
NAMES = [stage.name for stage in STAGES]
ALONE = ("begin", "evaluation", "reports")  # stages that the driver does by itself
CHAINS = 2
MOST_STARTS = 4  # of a command until it has done its work, after the last kill
LANES = 2  # requests under way at a time: one a host
ALIKE = ("counts.parquet", "shortfall.parquet")  # files that no manifest names


@dataclass
class Sites:
    """A job on two hosts, and how an undisturbed run of it goes with each number of workers."""

    job: Job
    other: small_site.Site
    asked: dict[int, Counter[str]] = field(default_factory=dict)
    counts: dict[int, Counts] = field(default_factory=dict)
    whole: dict[int, dict[str, str]] = field(default_factory=dict)
    names: dict[int, set[str]] = field(default_factory=dict)

    def watched(self, name: str) -> Watched:
        """The command of a run into a folder of this name."""
        output = self.job.folder / name
        command = [sys.executable, "-m", "pipeline", "run", str(self.job.config), "--output", str(output)]
        return Watched(command, output, self.job.folder / f"{name}-watched", STAGES, r" \.progress")

    def requests(self) -> Counter[str]:
        """How often each page and picture has been asked for so far; what sites permit, each process asks for
        itself."""
        asked = [*(f"1{path}" for path in self.job.site.asked), *(f"2{path}" for path in self.other.asked)]
        return Counter(path for path in asked if path.endswith((".html", ".png", "/")))

    def asked_for(self, ending: str) -> int:
        """Requests so far for addresses that end so."""
        return sum(count for path, count in self.requests().items() if path.endswith(ending))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("kills")
    with serve_job(folder) as job, small_site.serve(folder / "site", "127.0.0.2") as other:
        (folder / "known").mkdir()
        shutil.copy(folder / "site/images/003.png", folder / "known")
        config = job.config.read_text().replace("]\n[http]", f', "{other.url}"]\n[http]')
        config = config.replace("delay = 0.0", "delay = 0.01").replace("t = 2", "t = 2\ntop_up_rounds = 1")
        job.config.write_text(f'{config}evaluation_sets = ["{folder}/known"]\n')
        found = Sites(job, other)
        for workers in (1, 2):
            before, watched = found.requests(), found.watched(f"whole-{workers}")
            ended = watched.run((), "--workers", str(workers))
            assert ended.status == 0 and not ended.left, ended
            found.asked[workers] = found.requests() - before
            found.counts[workers] = ended.counts
            found.whole[workers] = content(watched.root)
            found.names[workers] = names(watched.root)
        assert found.whole[1] == found.whole[2] and found.names[1] == found.names[2]
        assert found.asked[1] == found.asked[2]
        assert {f"{name}.any" for name in NAMES} <= found.counts[2].keys()
        yield found


def content(root: Path) -> dict[str, str]:
    """What of a run must not hang on how it came about: tables, shards, the ledger, and what no manifest names."""
    run = RunFolder(str(root))
    folders = [
        *TABLES,
        "frequent_captions",
        "site_languages",
        "evaluation",
        *(f"rejects/{path.name}" for path in (root / "rejects").iterdir()),
    ]
    found = {folder: manifest_digest(run.path(folder)) for folder in folders}
    return {**found, **{name: digest(str(root / name)) for name in ALIKE}}


def names(root: Path) -> set[str]:
    """The files of a run; those of the image store by their endings, for parts are named by what was there before."""
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return {f"images/*{path.suffix or path.name}" if path.parent.name == "images" else str(path) for path in paths}


def plan(draw: random.Random, counts: dict[int, Counts]) -> list[tuple[int, list[Kill]]]:
    """The starts of one run: workers, and kills. In every stage one kill ends the program while it starts, works and
    ends, and before one of them a worker is killed, after which the program must go on by itself."""
    starts: list[tuple[int, list[Kill]]] = []
    for stage in NAMES:
        with_worker = draw.choice(list(MOMENTS)) if stage not in ALONE else ""
        for moment in MOMENTS:
            workers, kills = 2 if moment == with_worker else draw.choice((1, 2)), []
            if moment == with_worker:
                when = draw.choice(list(MOMENTS))
                number = operation_at(draw, when, counts[2][f"{stage}.worker"])
                kills.append(Kill(stage, when, "worker", number))
            number = operation_at(draw, moment, counts[workers][f"{stage}.any"])
            delay = draw.choice((0.0, draw.uniform(0, 0.1)))
            kills.append(Kill(stage, moment, draw.choice(("driver", "group")), number, delay))
            starts.append((workers, kills))
    return starts


def note(done: list[Done], workers: int, kills: Sequence[Kill], ended: Ended) -> None:
    """Writes down the kills that were done, and what came of them; the last one ended the program."""
    last = max(ended.reached, default=None)
    for number, operation in ended.reached.items():
        kill = kills[number]
        outcome = "went on" if kill.target == "worker" and (number != last or ended.status == 0) else "goes on"
        done.append(Done(kill.stage, kill.moment, kill.target, workers, kill.signal, operation, outcome))


def finish(sites: Sites, watched: Watched, workers: int) -> None:
    """Runs the command until it has done its work, and holds the outcome against that of an undisturbed run."""
    for _ in range(MOST_STARTS):
        ended = watched.run((), "--workers", str(workers))
        if ended.status == 0:
            break
    assert ended.status == 0 and not ended.left, ended.said
    assert content(watched.root) == sites.whole[workers]
    assert names(watched.root) == sites.names[workers]


def test_killed_in_every_stage(sites: Sites) -> None:
    draw, done = random.Random(seed()), list[Done]()
    for chain in range(CHAINS):
        watched, before = sites.watched(f"killed-{chain}"), sites.requests()
        in_fetching = 0
        for workers, kills in plan(draw, sites.counts):
            ended = watched.run(kills, "--workers", str(workers))
            assert ended.status == -signal.SIGKILL and not ended.left, (kills, ended)
            assert "Traceback" not in ended.said, ended.said
            note(done, workers, kills, ended)
            in_fetching += sum(kills[number].stage in ("extract", "fetch", "join") for number in ended.reached)
        finish(sites, watched, 2)
        again = sites.requests() - before - sites.asked[2]
        print(f"chain {chain}: {again.total()} asked again, {in_fetching} kills: {again}")
        again = Counter({path: n for path, n in again.items() if path.endswith(".png")})
        assert again.total() <= in_fetching * LANES, again
    print(f"\nseed {seed()}\n{table(done, NAMES, ('driver', 'group', 'worker'))}")
    for each in done:
        print(each)
    for name in NAMES:
        assert {each.moment for each in done if each.stage == name and each.target != "worker"} == set(MOMENTS)
        assert name in ALONE or [each for each in done if each.stage == name and each.target == "worker"], name


def workers_of(first: int) -> list[int]:
    """The worker processes of a run, which a process of its own starts."""
    starters = [child for child in children(first) if b"nursery" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return [worker for starter in starters for worker in children(starter)]


def test_killed_while_it_asks(sites: Sites) -> None:
    """Between two answers: what came is kept, and a page or a picture is asked for once more only if it was under
    way."""
    draw, watched, before = random.Random(seed()), sites.watched("asking"), sites.requests()
    slowly = ("--http.delay", "0.1", "--workers", "2")
    for ending, target in ((".html", "driver"), (".png", "group"), (".png", "worker")):
        goal, killed = sites.asked_for(ending) + draw.randint(1, 2), list[int]()

        def meanwhile(
            first: int, ending: str = ending, goal: int = goal, target: str = target, killed: list[int] = killed
        ) -> None:
            if killed or sites.asked_for(ending) < goal:
                return
            killed.append(first if target != "worker" else draw.choice(workers_of(first)))
            (os.killpg if target == "group" else os.kill)(killed[0], signal.SIGKILL)

        ended = watched.run((), *slowly, meanwhile=meanwhile)
        assert killed and not ended.left and "Traceback" not in ended.said, ended
        assert ended.status == (0 if target == "worker" else -signal.SIGKILL), ended
    finish(sites, watched, 2)
    again = sites.requests() - before - sites.asked[2]
    assert again.total() <= 3 * LANES, again
    print(f"\nseed {seed()}: of {sites.asked[2].total()} addresses asked again, in 3 kills: {again}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_in_every_stage(sites: Sites, number: signal.Signals) -> None:
    """A scheduler asks the first process, a terminal all: a line, its status, nothing left, and on with it."""
    draw, done = random.Random(seed() + number), list[Done]()
    how, status = ("terminated", 143) if number == signal.SIGTERM else ("interrupted", 130)
    watched = sites.watched(f"asked-{number.name}")
    for stage in NAMES:
        moment, workers = draw.choice(list(MOMENTS)), draw.choice((1, 2))
        operation = operation_at(draw, moment, sites.counts[workers][f"{stage}.any"])
        target = "driver" if number == signal.SIGTERM else "group"
        kills = [Kill(stage, moment, target, operation, draw.choice((0.0, draw.uniform(0, 0.1))), number)]
        ended = watched.run(kills, "--workers", str(workers))
        assert (ended.status, ended.left) == (status, []), (kills, ended)
        said = ended.said.removesuffix(SAID.replace("interrupted", how))
        assert said != ended.said, ended.said
        assert all(line.startswith(("[", "  ")) and "File " not in line for line in said.splitlines()), said
        note(done, workers, kills, ended)
    finish(sites, watched, 2)
    print(f"\nseed {seed()}\n{table(done, NAMES, (target,))}")
    assert [each.stage for each in done] == NAMES
