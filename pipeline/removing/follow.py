"""What follows from a removal in a run, once the shards are written anew: the table they come from, the ledger, what
queries hold, the image store, and the markers of the steps.

In: the plan of the removal. Out: a run that is finished as it was before, whose steps are done for the settings they
were done for, and that would drop the same pairs if any of them were done again. Doing it once more changes nothing.
"""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.audit.write import write_audit
from pipeline.balance.shortfall import SHORTFALL
from pipeline.hashing import from_hex
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import (
    Entry,
    entry_of,
    is_complete,
    iter_batches,
    manifest_digest,
    mark_complete,
    mark_open,
    read_made,
    read_manifest,
    write_manifest,
)
from pipeline.keeping.step import Step, settings_of
from pipeline.keeping.vouched import vouched
from pipeline.reasons import cause_of
from pipeline.removing.pending import Plan
from pipeline.removing.pictures import remove_pictures
from pipeline.removing.tombstones import REASON, Tombstones
from pipeline.run import steps_on
from pipeline.tables.schema import REJECTS
from pipeline.tables.sink import write_part
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, read_parquet

__all__ = ["facts_before", "follow", "lost_with", "report_again"]


def facts_before(run: RunFolder) -> dict[str, Any]:
    """What of a plan has to be known before the first tombstone is written."""
    finished: list[str] = []
    inputs: dict[str, list[str]] = {}
    for step in steps_on(run):
        made = read_made(step.output)
        if made is None:
            continue
        told = made.get("inputs", {}).items()
        inputs[_name(run, step)] = [name for name, digest in told if manifest_digest(run.path(name)) == digest]
        with contextlib.suppress(UserError):  # an input, such as the query list, has gone
            if made["fingerprint"] == step.fingerprint():
                finished.append(_name(run, step))
    shortfall = files.read(run.shortfall)
    return {"finished": finished, "inputs": inputs, "shortfall": files.digest_of(shortfall) if shortfall else ""}


def _name(run: RunFolder, step: Step) -> str:
    """The folder of a step, by its place in the run."""
    return step.output.removeprefix(f"{run.root.rstrip('/')}/")


def lost_with(run: RunFolder, keys: Sequence[str], stones: Tombstones) -> dict[str, Any]:
    """What goes with pairs, as a plan has it: of the joined ones, by ``keys``, how many each query drew; and the
    addresses of pictures that no other pair has, those of pairs under a tombstone that came into no shard among
    them."""
    ids = _ids(keys)
    drawn: dict[str, int] = {}
    urls, others = _wanted_for(run, stones)
    is_joined = files.exists(files.join(run.joined, MANIFEST_FILE))
    for batch in iter_batches(run.joined, ["pair_id", "url", "drawn_by"]) if is_joined else ():
        gone = batch.filter(pc.is_in(batch.column("pair_id"), value_set=ids))
        urls.update(gone.column("url").to_pylist())
        for query in gone.column("drawn_by").flatten().to_pylist():
            drawn[str(query)] = drawn.get(str(query), 0) + 1
    if not is_joined:
        return {"drawn": {}, "pictures": sorted(urls - others)}
    wanted = pa.array(sorted(urls), pa.string())
    for batch in iter_batches(run.joined, ["pair_id", "url"]):
        stays = batch.filter(pc.invert(pc.is_in(batch.column("pair_id"), value_set=ids)))
        held = stays.column("url").filter(pc.is_in(stays.column("url"), value_set=wanted))
        urls -= set(held.to_pylist())
    return {"drawn": drawn, "pictures": sorted(urls)}


def _wanted_for(run: RunFolder, stones: Tombstones) -> tuple[set[str], set[str]]:
    """The addresses that pairs under a tombstone wanted, of the selected and those drawn from the reserve; and those of
    them that others wanted too."""
    tables, number = [run.selected], 1
    while files.exists(files.join(run.packing(number, "pairs"), MANIFEST_FILE)):
        tables.append(run.packing(number, "pairs"))
        number += 1
    tables = [table for table in tables if files.exists(files.join(table, MANIFEST_FILE))]
    gone: set[str] = set()
    others: set[str] = set()
    for found, is_gone in ((gone, True), (others, False)):
        for table in tables:
            for batch in iter_batches(table, ["pair_id", "url", "page_url"]):
                urls = batch.column("url").to_pylist()
                told = zip(urls, stones.kinds(batch), strict=True)
                found.update(url for url, kind in told if bool(kind) == is_gone and (is_gone or url in gone))
    return gone, others


def _ids(keys: Sequence[str]) -> pa.Array:
    return pa.array(from_hex(pa.array(list(keys), pa.string())), pa.uint64())


def follow(run: RunFolder, plan: Plan, stones: Tombstones) -> int:
    """Brings the rest of the run in step; returns how many parts of the image store were written anew."""
    keys = {key: kind for shards in plan.hits.values() for found in shards.values() for key, kind in found.items()}
    if keys:
        _drop_joined(run, list(keys))
        _add_to_ledger(run, plan.number, keys)
        _lower_shortfall(run, plan)
        _forget_rounds(run)
    parts = 0
    if files.exists(files.join(run.images, MANIFEST_FILE)):
        parts = remove_pictures(run, plan.pictures, stones)
    _mark_again(run, plan)
    return parts


def report_again(run: RunFolder) -> None:
    """Writes the reports of a run anew, where its shards are finished."""
    if not is_complete(run.shards):
        return
    try:
        write_audit(run, settings_of(steps_on(run), run))
    except UserError as error:
        print(f"note: the reports are as before: {error.problem}", file=sys.stderr)


def _drop_joined(run: RunFolder, keys: Sequence[str]) -> None:
    """Takes the pairs out of the table that shards are written from."""
    if not files.exists(files.join(run.joined, MANIFEST_FILE)):
        return
    ids, entries = _ids(keys), list[Entry]()
    for entry in read_manifest(run.joined).to_pylist():
        name = entry["file"]
        try:
            with files.open_input(files.join(run.joined, name)) as stream:
                table = read_parquet(stream)
        except UNREADABLE as error:
            raise damaged(run.joined, name, f"not a readable Parquet file: {error}") from None
        stays = table.filter(pc.invert(pc.is_in(table.column("pair_id"), value_set=ids)))
        if stays.num_rows < table.num_rows:
            entry = write_part(run.joined, name, stays)
        elif files.digest(files.join(run.joined, name)) != entry["sha256"]:
            entry = entry_of(run.joined, name, table.num_rows)  # done before, and not noted
        entries.append(entry)
    write_manifest(run.joined, entries)


def _behind(folder: str, entries: Sequence[Entry]) -> list[Entry]:
    """What the manifest of a folder names beside these."""
    named = {entry["file"] for entry in entries}
    return [entry for entry in read_manifest(folder).to_pylist() if entry["file"] not in named]


def _add_to_ledger(run: RunFolder, number: int, keys: dict[str, str]) -> None:
    """A row for each pair, without its address and text."""
    folder, name = run.rejects("package"), f"removed-{number:05d}.parquet"
    if not files.exists(files.join(folder, MANIFEST_FILE)):
        return
    ordered = sorted(keys)
    columns = [
        pa.array(ordered, pa.string()),
        pa.repeat("pair", len(ordered)),
        pa.repeat("join", len(ordered)),
        pa.repeat(REASON, len(ordered)),
        pa.nulls(len(ordered), pa.string()),
        pa.array([f"by its {keys[key]}" for key in ordered], pa.string()),
    ]
    entry = write_part(folder, name, pa.table(columns, schema=REJECTS))
    write_manifest(folder, [entry, *_behind(folder, [entry])])


def _lower_shortfall(run: RunFolder, plan: Plan) -> None:
    """What queries hold is less by what they lost."""
    content = files.read(run.shortfall)
    if not content or files.digest_of(content) != plan.shortfall:
        return  # there is none, or it is done
    table = read_parquet(pa.BufferReader(content))
    lost = np.array([plan.drawn.get(str(query), 0) for query in table.column("query_id").to_pylist()], np.int64)
    held = table.column("held").to_numpy() - lost
    lacking = np.maximum(table.column("target").to_numpy() - held, 0)
    cause = cause_of(REASON)
    causes = []
    for told, more in zip(table.column("lost").to_pylist(), lost.tolist(), strict=True):
        counts = {each["cause"]: each["pairs"] for each in told}
        if more:
            counts[cause] = counts.get(cause, 0) + more
        causes.append([{"cause": name, "pairs": number} for name, number in counts.items()])
    changed = {"held": held, "missing": lacking, "lost": causes}
    columns = [
        pa.array(changed[field.name], field.type) if field.name in changed else table.column(field.name)
        for field in SHORTFALL
    ]
    out = io.BytesIO()
    pq.write_table(pa.table(columns, SHORTFALL), out, write_page_checksum=True)
    with files.write_atomic(run.shortfall, safe=True) as stream:
        stream.write(out.getvalue())


def _forget_rounds(run: RunFolder) -> None:
    """Makes joining begin anew where it is ever done again: what it keeps of its rounds still holds the pairs."""
    number = 0
    while files.exists(marker := files.join(run.packing(number, "pictures"), SUCCESS_FILE)):
        files.remove_file(marker)
        number += 1


def _mark_again(run: RunFolder, plan: Plan) -> None:
    """The markers of the steps, for what their inputs and files are now."""
    root = run.root.rstrip("/")
    for step in steps_on(run):
        made = read_made(step.output)
        if made is None:
            continue
        inputs = dict(made.get("inputs", {}))
        inputs |= {name: manifest_digest(run.path(name)) for name in plan.inputs.get(_name(run, step), ())}
        held = vouched(root, step.output, [step.output, *step.owned, *step.kept], step.beside)
        facts = {**made, "inputs": inputs, "files": held}
        mark = step.fingerprint() if _name(run, step) in plan.finished else facts["fingerprint"]
        left = facts.pop("open_by_host", {})
        for name in ("fingerprint", "open"):
            facts.pop(name, None)
        if left:
            mark_open(step.output, mark, left, **facts)
        else:
            mark_complete(step.output, mark, **facts)
