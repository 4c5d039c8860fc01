"""Pictures out of the image store, whose other pictures stay where they are: tables refer to them by their place.

In: addresses, and SHA-256 of contents. Out: each part that held one written anew: in the tar zeros in the place of the
picture, in the table the status ``removed`` and nothing else that is known of it, so that nobody asks for it again.
"""

import json
import os
from collections.abc import Collection
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.fetch.part import TAR, entries_of_part
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import Entry, entry_of_table, entry_of_written, read_manifest, write_manifest
from pipeline.removing.tombstones import REASON, Tombstones
from pipeline.tables.schema import IMAGES
from webimagetext import files
from webimagetext.parquet import UNREADABLE, parquet_writer, read_parquet

__all__ = ["remove_pictures"]

PIECE = 1 << 20


def remove_pictures(run: RunFolder, urls: Collection[str], stones: Tombstones) -> int:
    """Takes pictures out; returns how many parts were written anew. Doing it once more changes nothing."""
    entries = {entry["file"]: entry for entry in read_manifest(run.images).to_pylist()}
    changed: list[Entry] = []
    for name in [name for name in entries if name.endswith(".parquet")]:
        found = _of_part(run.images, name, set(urls), stones)
        if not found and files.digest(files.join(run.images, name)) != entries[name]["sha256"]:
            found = entries_of_part(run.images, name.removesuffix(".parquet"))  # done before, and not noted
        changed += found
    if changed:
        write_manifest(run.images, {**entries, **{entry["file"]: entry for entry in changed}}.values())
    return sum(entry["file"].endswith(".parquet") for entry in changed)


def _of_part(folder: str, name: str, urls: Collection[str], stones: Tombstones) -> list[Entry]:
    try:
        with files.open_input(files.join(folder, name)) as stream:
            table = read_parquet(stream)
    except UNREADABLE as error:
        raise damaged(folder, name, f"not a readable Parquet file: {error}") from None
    kinds = stones.kinds(table.select(["url", "sha256"]))
    known = table.column("status").to_pylist()
    goes = [
        status != REASON and (bool(kind) or url in urls)
        for status, kind, url in zip(known, kinds, table.column("url").to_pylist(), strict=True)
    ]
    if not any(goes):
        return []
    about = dict(table.schema.metadata or {})
    mask = pa.array(goes)
    written: list[Entry] = []
    if TAR in about:
        spans = table.filter(pc.and_(mask, pc.is_valid(table.column("file")))).select(["offset", "length"]).to_pylist()
        entry = json.loads(about[TAR])
        written.append(_blanked(folder, entry["file"], spans))
        about[TAR] = json.dumps(written[0]).encode()
    columns = [_without(table.column(field.name), field, mask) for field in IMAGES]
    table = pa.table(columns, schema=IMAGES.with_metadata(about))
    url = files.join(folder, name)
    with files.write_atomic(url, safe=True) as stream, parquet_writer(stream, table.schema, sealed=True) as writer:
        writer.write_table(table)
    return [*written, entry_of_table(folder, name)]


def _without(column: pa.ChunkedArray, field: pa.Field, goes: pa.Array) -> pa.ChunkedArray:
    """A column in which nothing stands of the rows that go but their address, and why there is no picture."""
    if field.name == "url":
        return column
    instead = pa.scalar(REASON if field.name == "status" else None, field.type)
    return pc.if_else(goes, instead, column)


def _blanked(folder: str, name: str, spans: list[dict[str, Any]]) -> Entry:
    """A tar with zeros in these places; its manifest row."""
    url = files.join(folder, name)
    with files.open_input(url) as stream, files.write_hashed(url, safe=True) as out:
        for span in sorted(spans, key=lambda span: span["offset"]):
            _copy(stream, out, span["offset"] - out.size)
            out.write(bytes(span["length"]))
            stream.seek(span["length"], os.SEEK_CUR)
        _copy(stream, out, None)
    return entry_of_written(out, name, 0)


def _copy(stream: IO[bytes], out: files.HashedStream, length: int | None) -> None:
    left = length
    while data := stream.read(PIECE if left is None else min(PIECE, left)):
        out.write(data)
        if left is not None:
            left -= len(data)
