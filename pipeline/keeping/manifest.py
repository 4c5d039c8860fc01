"""Manifests: what a finished folder holds, and the marker that says it is finished.

A stage writes its files, then ``_MANIFEST`` (a Parquet table: file, rows, bytes, sha256; sorted by file), and last
``_SUCCESS`` with the fingerprint of the settings and inputs it was made from. Readers trust the manifest alone: a file
that it does not name is the remains of a killed worker and is not there for them. A folder that is whole but for work
that is still open has ``_OPEN`` in the place of ``_SUCCESS``: what is there may be used, and it is not finished.
"""

import datetime
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keeping.folder import MANIFEST_FILE, OPEN_FILE, SUCCESS_FILE
from pipeline.tables.schema import MANIFEST
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import read_parquet

__all__ = [
    "Entry",
    "entry_of",
    "entry_of_table",
    "entry_of_written",
    "is_complete",
    "iter_batches",
    "manifest_digest",
    "mark_complete",
    "mark_open",
    "read_made",
    "read_manifest",
    "read_success",
    "read_table",
    "remove_unnamed",
    "rows_in",
    "samples_in",
    "today",
    "write_manifest",
]

Entry = dict[str, Any]  # a row of MANIFEST


def entry_of(folder: str, name: str, rows: int) -> Entry:
    """The manifest row of a file that is in ``folder`` already: reads all of it."""
    with files.open_input(files.join(folder, name)) as stream:
        return _entry(stream, name, rows)


def entry_of_table(folder: str, name: str) -> Entry:
    """The manifest row of a Parquet file that is in ``folder`` already: reads all of it."""
    with files.open_input(files.join(folder, name)) as stream:
        rows = pq.read_metadata(stream).num_rows
        stream.seek(0)
        return _entry(stream, name, rows)


def _entry(stream: IO[bytes], name: str, rows: int) -> Entry:
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    size = stream.seek(0, os.SEEK_END)  # hashing what is in memory already, as a small remote file is, moves nothing
    return {"file": name, "rows": rows, "bytes": size, "sha256": sha256}


def entry_of_written(stream: files.HashedStream, name: str, rows: int) -> Entry:
    """The manifest row of a file from what was written, without reading it back."""
    return {"file": name, "rows": rows, "bytes": stream.size, "sha256": stream.sha256}


def write_manifest(folder: str, entries: Iterable[Entry]) -> None:
    """Writes the manifest of ``folder``; the order of ``entries`` does not matter."""
    table = pa.Table.from_pylist(sorted(entries, key=lambda entry: str(entry["file"])), schema=MANIFEST)
    with files.write_atomic(files.join(folder, MANIFEST_FILE)) as stream:
        pq.write_table(table, stream)


def read_manifest(folder: str) -> pa.Table:
    """The manifest of ``folder``. Raises UserError when the stage that writes it has not finished."""
    return read_parquet(pa.BufferReader(_manifest_bytes(folder)))


def _manifest_bytes(folder: str) -> bytes:
    content = files.read(files.join(folder, MANIFEST_FILE))
    if content is None:
        remedy = "run the stage that writes this folder first, or `pipeline run`"
        raise UserError(f"{folder}: holds no manifest", remedy)
    return content


def remove_unnamed(folder: str, pattern: str = "[!_]*") -> None:
    """Removes the files of ``folder`` that match ``pattern`` and that its manifest does not name: the remains of
    earlier work."""
    named = set(read_manifest(folder).column("file").to_pylist())
    for url in files.listing(pattern, folder):
        if url.rpartition("/")[2] not in named:
            files.remove_file(url)


def rows_in(folder: str) -> int:
    """Rows in all files that the manifest of ``folder`` names."""
    return sum(read_manifest(folder).column("rows").to_pylist())


def samples_in(folder: str) -> int:
    """Rows in the Parquet files alone that the manifest of ``folder`` names: of shards, each sample once."""
    entries = read_manifest(folder).to_pylist()
    return sum(entry["rows"] for entry in entries if entry["file"].endswith(".parquet"))


def manifest_digest(folder: str) -> str:
    """A SHA-256 over what the manifest says: equal exactly when the files' names and contents are equal."""
    return hashlib.sha256(_manifest_bytes(folder)).hexdigest()


def mark_complete(folder: str, fingerprint: str, **facts: Any) -> None:
    """Writes the marker of completion, last of all files."""
    _mark(folder, SUCCESS_FILE, OPEN_FILE, {"fingerprint": fingerprint, **facts})


def mark_open(folder: str, fingerprint: str, left: Mapping[str, int], **facts: Any) -> None:
    """Writes, last of all files, that the folder is whole but for what is ``left`` to do: how much, by host, the most
    first."""
    told = {"fingerprint": fingerprint, **facts, "open": sum(left.values()), "open_by_host": dict(left)}
    _mark(folder, OPEN_FILE, SUCCESS_FILE, told)


def _mark(folder: str, name: str, other: str, content: dict[str, Any]) -> None:
    files.remove_file(files.join(folder, other))
    with files.write_atomic(files.join(folder, name), "w") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.write("\n")


def today() -> str:
    """The day, in UTC, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def read_success(folder: str) -> dict[str, Any] | None:
    """What the marker of completion says, None where there is none."""
    return _read_marker(folder, SUCCESS_FILE)


def read_made(folder: str) -> dict[str, Any] | None:
    """What the marker of a folder that may be read says, finished or with open work; None where there is none."""
    return _read_marker(folder, SUCCESS_FILE) or _read_marker(folder, OPEN_FILE)


def _read_marker(folder: str, name: str) -> dict[str, Any] | None:
    content = files.read(files.join(folder, name))
    if content is None:
        return None
    result: dict[str, Any] = json.loads(content)
    return result


def is_complete(folder: str, fingerprint: str | None = None) -> bool:
    """Whether ``folder`` is finished, and, if a fingerprint is given, made from exactly these settings and inputs."""
    success = read_success(folder)
    return success is not None and (fingerprint is None or success["fingerprint"] == fingerprint)


def iter_batches(
    folder: str, columns: Sequence[str] | None = None, names: Sequence[str] | None = None, rows: int = 8192
) -> Iterator[pa.RecordBatch]:
    """The record batches of a table folder (or of the files ``names`` in it), file by file in manifest order."""
    for name in names if names is not None else read_manifest(folder).column("file").to_pylist():
        url = files.join(folder, name)
        with files.open_input(url) as stream:
            try:
                yield from pq.ParquetFile(stream).iter_batches(rows, columns=None if columns is None else list(columns))
            except pa.ArrowInvalid as error:
                remedy = "delete the folder and run its stage again"
                raise UserError(f"{url}: not a readable Parquet file: {error}", remedy) from None


def read_table(folder: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """A table folder as one table in memory. ``schema`` is what an empty folder has."""
    chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    return pa.Table.from_batches(list(iter_batches(folder, columns)), schema=chosen)
