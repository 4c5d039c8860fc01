"""What an import could have of the set that its list names.

In: the list, and the run that was made of it. Out: the share of the pairs that are there again, and what the others
were lost to, also as ``imported.json`` in the run.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.keeping.manifest import iter_batches
from pipeline.reasons import by_frequency, in_words
from pipeline.sharing.tables import SPLITS
from webimagetext import files
from webimagetext.parquet import open_parquet

__all__ = ["Rebuilt", "compare", "in_a_line"]

TOLD = 3


@dataclass(frozen=True)
class Rebuilt:
    """Pairs of the list, those that are there again, by split, and why the others are not."""

    wanted: int
    had: int
    splits: dict[str, dict[str, int]]
    lost: dict[str, int]

    @property
    def share(self) -> float:
        """Of the pairs that are there again."""
        return self.had / self.wanted if self.wanted else 0.0


def compare(lists: Sequence[str], run: RunFolder) -> Rebuilt:
    """Holds a run against its list, and writes what it finds."""
    reasons = {
        row["key"]: row["reason"] for stage in ("extract", "match", "balance", "package") for row in _ledger(run, stage)
    }
    splits: dict[str, dict[str, int]] = {}
    lost: Counter[str] = Counter()
    for url in lists:
        split = url.rpartition("/")[2].removesuffix(".parquet")
        wanted = _keys_in(url)
        had = wanted & _keys_of(run.path(SPLITS.get(split, "shards")))
        splits[split] = {"wanted": len(wanted), "had": len(had)}
        lost.update(reasons.get(key, "not found") for key in wanted - had)
    wanted_in_all, had_in_all = (sum(each[name] for each in splits.values()) for name in ("wanted", "had"))
    found = Rebuilt(wanted_in_all, had_in_all, splits, dict(by_frequency(lost)))
    with files.write_atomic(run.path("imported.json"), "w") as stream:
        json.dump({"format": 1, **asdict(found), "share": found.share}, stream, indent=1)
        stream.write("\n")
    return found


def _ledger(run: RunFolder, stage: str) -> list[dict[str, Any]]:
    if not files.exists(files.join(run.rejects(stage), MANIFEST_FILE)):
        return []
    return [row for batch in iter_batches(run.rejects(stage), ["key", "reason"]) for row in batch.to_pylist()]


def _keys_in(url: str) -> set[str]:
    with files.open_input(url) as stream:
        return {key for batch in open_parquet(stream).iter_batches(columns=["key"]) for key in batch[0].to_pylist()}


def _keys_of(folder: str) -> set[str]:
    if not files.exists(files.join(folder, MANIFEST_FILE)):
        return set()
    return {key for batch in iter_batches(folder, ["key"]) for key in batch[0].to_pylist()}


def in_a_line(found: Rebuilt) -> str:
    """The share in words."""
    told = [f"{count:,} {in_words(reason)}" for reason, count in list(found.lost.items())[:TOLD]]
    rest = sum(found.lost.values()) - sum(list(found.lost.values())[:TOLD])
    why = ", ".join([*told, *([f"{rest:,} for other reasons"] if rest else [])])
    return f"{found.had:,} of {found.wanted:,} pairs of the list are there again ({found.share:.1%})" + (
        f"; lost to: {why}" if why else ""
    )
