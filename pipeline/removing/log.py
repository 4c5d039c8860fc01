"""The log of removals: one file each, which names the one before by its digest, so that none can be changed or left out
unnoticed.

In: the plan of a removal and the files it changed. Out: ``removed/00000.json`` …, and a manifest of them and of the
tombstones, which `pipeline check` holds them against.
"""

import datetime
import hashlib
import json
from collections import Counter
from typing import Any

from pipeline.keeping.folder import RunFolder, shard_name
from pipeline.keeping.manifest import Entry, entry_of, write_manifest
from pipeline.removing.pending import Plan
from pipeline.removing.tombstones import FILE, FOLDER, read_tombstones
from webimagetext import files

__all__ = ["now", "removals", "seal_log", "write_log"]


def now() -> str:
    """The moment, in UTC, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _folder(root: str) -> str:
    return RunFolder(root).path(FOLDER)


def removals(root: str) -> list[str]:
    """The names of the log's files, in order."""
    found = files.sizes(_folder(root)) if files.is_folder(_folder(root)) else {}
    return sorted(name for name in found if name.endswith(".json") and name[:-5].isdigit())


def write_log(root: str, plan: Plan, done: dict[tuple[str, str], list[tuple[Entry, Entry]]], parts: int) -> str:
    """Writes what a removal did; returns the name of its file. ``parts``: of the image store, that were written
    anew."""
    keys = sorted(key for shards in plan.hits.values() for found in shards.values() for key in found)
    kinds = Counter(kind for shards in plan.hits.values() for found in shards.values() for kind in found.values())
    changed = [
        {"file": f"{part}/{after['file']}".lstrip("/"), "before": _about(before), "after": _about(after)}
        for (part, _), entries in sorted(done.items())
        for before, after in entries
    ]
    name = f"{shard_name(plan.number)}.json"
    earlier = [other for other in removals(root) if other < name]
    told: dict[str, Any] = {
        "format": 1,
        "number": plan.number,
        "began": plan.began,
        "ended": now(),
        "lists": plan.lists,
        "pairs": len(keys),
        "pairs_by_kind": dict(sorted(kinds.items())),
        "keys_sha256": hashlib.sha256("\n".join(keys).encode()).hexdigest(),
        "shards": plan.shards,
        "files": changed,
        "parts_of_the_image_store": parts,
        "tombstones_sha256": files.digest(files.join(_folder(root), FILE)),
        "previous_sha256": files.digest(files.join(_folder(root), earlier[-1])) if earlier else "",
    }
    with files.write_atomic(files.join(_folder(root), name), "w", safe=True) as stream:
        json.dump(told, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    return name


def _about(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name != "file"}


def seal_log(root: str) -> None:
    """Writes the manifest of the log and the tombstones."""
    folder = _folder(root)
    stones = read_tombstones(files.join(folder, FILE)).num_rows
    entries = [entry_of(folder, FILE, stones), *(entry_of(folder, name, 0) for name in removals(root))]
    write_manifest(folder, entries)
