"""What a removal is about to do, written down before it changes anything, so that one that is cut short is finished by
the next.

In: what was found in the shards. Out: ``removed/pending/``: ``plan.json`` with all that was decided, and a note of each
shard that is done. All that follows from the plan may be done once more without harm; the folder goes last.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import Entry
from pipeline.removing.tombstones import FOLDER
from webimagetext import files
from webimagetext.errors import UserError

__all__ = [
    "Hits",
    "Plan",
    "drop_plan",
    "is_pending",
    "note_shard",
    "read_plan",
    "refuse_pending",
    "shards_done",
    "write_plan",
]

PLAN = "plan.json"
Hits = dict[str, dict[str, str]]  # by key, the kind by which a sample goes; of each shard by its stem


@dataclass(frozen=True)
class Plan:
    """What is decided before anything changes; places are relative to the folder that the removal is for."""

    number: int
    began: str
    lists: list[dict[str, Any]]  # kind, file, sha256, entries
    shards: int  # that there are
    hits: dict[str, Hits] = field(default_factory=dict)  # by part: shards, holdout; "" of shards alone
    pictures: list[str] = field(default_factory=list)  # addresses whose pictures go out of the image store
    drawn: dict[str, int] = field(default_factory=dict)  # by query id, the pairs of its own draw that go
    shortfall: str = ""  # SHA-256 of shortfall.parquet as it was
    finished: list[str] = field(default_factory=list)  # folders of steps that were finished with the run's settings
    inputs: dict[str, list[str]] = field(default_factory=dict)  # of each step, the inputs that were as when it was made

    @property
    def pairs(self) -> int:
        """How many samples go."""
        return sum(len(keys) for shards in self.hits.values() for keys in shards.values())


def _folder(root: str) -> str:
    return RunFolder(root).path(FOLDER, "pending")


def write_plan(root: str, plan: Plan) -> None:
    """Writes the plan down."""
    with files.write_atomic(files.join(_folder(root), PLAN), "w", safe=True) as stream:
        json.dump(asdict(plan), stream)


def read_plan(root: str) -> Plan | None:
    """The plan of a removal that was not finished; None where there is none."""
    content = files.read(files.join(_folder(root), PLAN))
    return Plan(**json.loads(content)) if content else None


def note_shard(root: str, part: str, stem: str, entries: list[tuple[Entry, Entry]]) -> None:
    """Notes that a shard is done: its files before and after."""
    with files.write_atomic(files.join(_folder(root), f"{part}-{stem}.json"), "w", safe=True) as stream:
        json.dump(entries, stream)


def shards_done(root: str) -> dict[tuple[str, str], list[tuple[Entry, Entry]]]:
    """The shards that are noted as done, by part and stem."""
    found = {}
    for name in files.sizes(_folder(root)):
        if name != PLAN and name.endswith(".json"):
            part, _, stem = name.removesuffix(".json").partition("-")
            content = json.loads(files.read(files.join(_folder(root), name)) or b"[]")
            found[part, stem] = [(before, after) for before, after in content]
    return found


def drop_plan(root: str) -> None:
    """Says that the removal is finished: the plan goes first, so that what is left of notes means nothing."""
    files.remove_file(files.join(_folder(root), PLAN))
    files.remove(_folder(root))


def is_pending(root: str) -> bool:
    """Whether a removal was cut short."""
    return files.exists(files.join(_folder(root), PLAN))


def refuse_pending(root: str) -> None:
    """Raises UserError where a removal was cut short: a run must not go on from half of it."""
    if is_pending(root):
        raise UserError(f"{root}: a removal was cut short", f"`pipeline remove {root}` finishes it")
