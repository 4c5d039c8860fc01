"""``pipeline remove``: pairs taken out of finished shards, and kept out.

In: a run, or a folder of shards of any program, and lists of what is to go. Out: the shards that hold any of it written
anew, one after another, with all that counts them; tombstones, by which no later step brings any of it back; and a log.
Tombstones and plan are written before anything changes, so a removal that is cut short at any moment is finished by the
next command.
"""

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keeping.folder import INDEX_FILE, MANIFEST_FILE, SIZES_FILE, RunFolder
from pipeline.keeping.manifest import Entry, read_made, read_manifest, write_manifest
from pipeline.removing.found import hits_in, stems_of
from pipeline.removing.lists import Asked
from pipeline.removing.log import now, removals, seal_log, write_log
from pipeline.removing.pending import Hits, Plan, drop_plan, note_shard, read_plan, shards_done, write_plan
from pipeline.removing.shard import without_samples
from pipeline.removing.tombstones import FILE, FOLDER, TOMBSTONES, read_tombstones, tombstones_of
from pipeline.write.shards import write_index
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.lock import locked
from webimagetext.progress import Progress
from webimagetext.temporary import remove_temporary

__all__ = ["Removed", "remove"]

STEPS = ("candidates", "matched", "selected", "images", "joined", "shards")
PARTS = ("shards", "holdout")


@dataclass(frozen=True)
class Removed:
    """What a removal did."""

    pairs: int
    rewritten: int  # shards
    shards: int
    pictures: int  # parts of the image store that were written anew
    log: str


def remove(root: str, lists: Sequence[Asked]) -> Removed:
    """Takes out what the lists name; without any, finishes a removal that was cut short.

    Raises UserError where there is nothing to take out of, or nothing to finish.
    """
    root = root.rstrip("/")
    if not files.is_folder(root):
        raise UserError(f"{root}: no such folder", "give the folder of a run, or of shards")
    with locked(root, "`remove`"):
        done = None
        if not files.is_url(root):
            remove_temporary(root)  # what a killed removal was writing
        if (plan := read_plan(root)) is not None:
            print(f"{root}: goes on with a removal that was cut short", file=sys.stderr)
            done = _carry_out(root, plan)
        if lists:
            done = _carry_out(root, _planned(root, lists))
        if done is None:
            raise UserError(f"{root}: no list is given, and no removal was cut short", "--urls FILE, --keys FILE …")
        return done


def _parts(root: str) -> list[str]:
    """The folders of shards within one: of a run its two, of shards alone itself ("")."""
    run = RunFolder(root)
    if any(read_made(run.path(name)) or files.exists(files.join(run.path(name), MANIFEST_FILE)) for name in STEPS):
        return [part for part in PARTS if files.exists(files.join(run.path(part), MANIFEST_FILE))]
    if any(name.endswith((".tar", ".parquet")) for name in files.sizes(root)):
        return [""]
    raise UserError(f"{root}: holds neither a run nor shards", "give the folder of a run, or of shards")


def _place(root: str, part: str) -> str:
    return files.join(root, part) if part else root


def _planned(root: str, lists: Sequence[Asked]) -> Plan:
    """Writes the tombstones, then the plan."""
    parts, number, run = _parts(root), len(removals(root)), RunFolder(root)
    facts: dict[str, Any] = {}
    if parts != [""]:
        from pipeline.removing.follow import facts_before

        facts = facts_before(run)
    _add_tombstones(root, lists, number)
    hits, shards = _look(root, parts)
    if parts != [""]:
        from pipeline.removing.follow import lost_with

        keys = [key for found in hits.values() for of_shard in found.values() for key in of_shard]
        facts |= lost_with(run, keys, tombstones_of([root]))
    told = [{"kind": one.kind, "file": one.file, "sha256": one.sha256, "entries": len(one.values)} for one in lists]
    plan = Plan(number, now(), told, shards, hits, **facts)
    write_plan(root, plan)
    return plan


def _add_tombstones(root: str, lists: Sequence[Asked], number: int) -> None:
    url = RunFolder(root).path(FOLDER, FILE)
    rows = read_tombstones(url).to_pylist() if files.exists(url) else []
    known = {(row["kind"], row["value"]) for row in rows}
    for one in lists:
        fresh = [value for value in one.values if (one.kind, value) not in known]
        rows += [{"kind": one.kind, "value": value, "removal": number} for value in fresh]
        known |= {(one.kind, value) for value in fresh}
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: (row["kind"], row["value"])), schema=TOMBSTONES)
    out = io.BytesIO()
    pq.write_table(table, out, write_page_checksum=True)
    with files.write_atomic(url, safe=True) as stream:
        stream.write(out.getvalue())


def _look(root: str, parts: Sequence[str]) -> tuple[dict[str, Hits], int]:
    """What falls under a tombstone, by part, shard and key; and how many shards there are."""
    stones, hits, shards = tombstones_of([root]), dict[str, Hits](), 0
    with Progress("look through shards", "shards") as progress:
        for part in parts:
            hits[part] = {}
            for stem in stems_of(_place(root, part)):
                shards += 1
                if found := hits_in(_place(root, part), stem, stones):
                    hits[part][stem] = found
                progress.advance()
    return hits, shards


def _carry_out(root: str, plan: Plan) -> Removed:
    """Does what a plan says, from wherever it stopped."""
    done, rewritten = shards_done(root), 0
    with Progress("rewrite shards", "shards", sum(map(len, plan.hits.values()))) as progress:
        for part, hits in plan.hits.items():
            known = _known(_place(root, part))
            for stem, keys in hits.items():
                if (part, stem) not in done:
                    entries = _rewritten(_place(root, part), stem, keys, known)
                    note_shard(root, part, stem, entries)
                    done[part, stem] = entries
                rewritten += 1
                progress.advance()
    for part in plan.hits:
        changed = [after for (place, _), both in done.items() if place == part for _, after in both]
        if changed:
            _count_again(_place(root, part), changed)
    parts = 0
    if "" not in plan.hits:
        from pipeline.removing.follow import follow

        parts = follow(RunFolder(root), plan, tombstones_of([root]))
    log = write_log(root, plan, done, parts)
    seal_log(root)
    if "" not in plan.hits:
        from pipeline.removing.follow import report_again

        report_again(RunFolder(root))
    drop_plan(root)
    return Removed(plan.pairs, rewritten, plan.shards, parts, files.join(root, FOLDER, log))


def _known(folder: str) -> dict[str, Entry]:
    """The manifest's rows of a folder; none where it has no manifest."""
    if not files.exists(files.join(folder, MANIFEST_FILE)):
        return {}
    return {entry["file"]: entry for entry in read_manifest(folder).to_pylist()}


def _rewritten(folder: str, stem: str, keys: dict[str, str], known: dict[str, Entry]) -> list[tuple[Entry, Entry]]:
    """Writes a shard anew; its files before and after."""
    names = [name for ending in (".tar", ".parquet", "_stats.json") if (name := stem + ending) in files.sizes(folder)]
    before = {name: known.get(name) or _measured(folder, name) for name in names}
    return [(before[entry["file"]], entry) for entry in without_samples(folder, stem, keys)]


def _measured(folder: str, name: str) -> Entry:
    url = files.join(folder, name)
    return {"file": name, "bytes": files.size(url), "sha256": files.digest(url)}


def _count_again(folder: str, changed: Sequence[Entry]) -> None:
    """The indexes and the manifest of a folder, for the files that were written anew."""
    known = _known(folder)
    entries = {**known, **{entry["file"]: entry for entry in changed}}
    if known:
        entries |= {entry["file"]: entry for entry in write_index(folder, list(entries.values()))}
        write_manifest(folder, entries.values())
        return
    counted = {entry["file"]: entry for entry in changed if not entry["file"].endswith(".json")}
    for name in (SIZES_FILE, INDEX_FILE):
        content = files.read(files.join(folder, name))
        if content is None:
            continue
        told = json.loads(content)
        if name == SIZES_FILE:
            told |= {file: entry["rows"] for file, entry in counted.items() if file in told}
        for shard in told.get("shardlist", ()) if name == INDEX_FILE else ():
            if entry := counted.get(shard["url"]):
                shard["nsamples"] = entry["rows"]
                shard |= {"filesize": entry["bytes"]} if "filesize" in shard else {}
        with files.write_atomic(files.join(folder, name), "w", safe=True) as stream:
            json.dump(told, stream, indent=1)
            stream.write("\n")
