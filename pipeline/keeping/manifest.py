"""Manifests: what a finished folder holds, and the marker that says it is finished.

A stage writes its files, then ``_MANIFEST`` (a Parquet table: file, rows, bytes, sha256; sorted by file), and last
``_SUCCESS`` with the fingerprint of the settings and inputs it was made from. Readers trust the manifest alone: a file
that it does not name is the remains of a killed worker and is not there for them; one that is not as it says is damaged
(damage.py). A folder that is whole but for work that is still open has ``_OPEN`` in the place of ``_SUCCESS``: what is
there may be used, and it is not finished. All carry a checksum of their own: a manifest that is not whole is damage, a
marker that is not whole means that the step is not finished. What they vouch for is on the disk before they get their
names.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE, OPEN_FILE, SUCCESS_FILE
from pipeline.tables.schema import MANIFEST
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, open_parquet, read_parquet
from webimagetext.sealed import PARQUET_SEAL, is_broken_parquet, is_sealed_parquet, seal_parquet
from webimagetext.settings import fingerprint as fingerprint_of

__all__ = [
    "Entry",
    "Marker",
    "entry_of",
    "entry_of_table",
    "entry_of_written",
    "file_batches",
    "is_complete",
    "is_finished",
    "iter_batches",
    "manifest_digest",
    "mark_complete",
    "mark_open",
    "open_proved",
    "parse_manifest",
    "read_made",
    "read_manifest",
    "read_success",
    "read_table",
    "remove_unnamed",
    "rows_in",
    "samples_in",
    "stored_settings",
    "write_manifest",
]

Entry = dict[str, Any]  # a row of MANIFEST
Marker = dict[str, Any]  # what a marker says
CHECKSUM = "checksum"  # of all else that a marker says
# A larger file is not read through before it is used: its length and the checksums of its pages have to do.
PROVED_BYTES = 512 << 20
NOT_WRITTEN = "its content is not what was written"


def entry_of(folder: str, name: str, rows: int) -> Entry:
    """The manifest row of a file that is in ``folder`` already: reads all of it."""
    with files.open_input(files.join(folder, name)) as stream:
        return _entry(stream, name, rows)


def entry_of_table(folder: str, name: str) -> Entry:
    """The manifest row of a Parquet file that is in ``folder`` already, as an interrupted run left it: reads all of it,
    and holds it against its seal. Raises UserError for one that is damaged or missing."""
    with _open_there(folder, name) as stream:
        sealed = is_sealed_parquet(stream)
        if sealed is False:
            raise damaged(folder, name, NOT_WRITTEN)
        try:
            file = open_parquet(stream)
            # One that an earlier version wrote has checksums for its pages alone.
            rows = file.metadata.num_rows if sealed else sum(batch.num_rows for batch in file.iter_batches())
        except UNREADABLE as error:
            raise damaged(folder, name, f"not a readable Parquet file: {error}") from None
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
    """Writes the manifest of ``folder``, when the files it names are on the disk; the order of ``entries`` does not
    matter."""
    rows = sorted(entries, key=lambda entry: str(entry["file"]))
    url = files.join(folder, MANIFEST_FILE)
    files.sync(files.join(folder, entry["file"]) for entry in _new(url, rows))
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST.with_metadata(PARQUET_SEAL)), content)
    with files.write_atomic(url, safe=True) as stream:
        stream.write(seal_parquet(content.getvalue()))


def _new(url: str, rows: list[Entry]) -> list[Entry]:
    """The files that an earlier manifest of the folder does not vouch for yet."""
    known: list[Entry] = []
    if not files.is_url(url) and os.path.exists(url):
        with contextlib.suppress(UserError, *UNREADABLE), open(url, "rb") as stream:
            known = read_parquet(stream).to_pylist()
    vouched = {(entry.get("file"), entry.get("sha256")) for entry in known}
    return [row for row in rows if (row["file"], row["sha256"]) not in vouched]


def read_manifest(folder: str) -> pa.Table:
    """The manifest of ``folder``. Raises UserError when the stage that writes it has not finished, or for one that is
    not whole."""
    content = files.read(files.join(folder, MANIFEST_FILE))
    if content is None:
        if files.is_folder(folder):  # what is read is finished, so it was there
            raise damaged(folder, MANIFEST_FILE, "it is missing")
        remedy = "run the stage that writes this folder first, or `pipeline run`"
        raise UserError(f"{folder}: holds no manifest", remedy)
    if (table := parse_manifest(content)) is None:
        raise damaged(folder, MANIFEST_FILE, NOT_WRITTEN)
    return table


def parse_manifest(content: bytes) -> pa.Table | None:
    """The manifest that a file holds; None where it is not one that was written."""
    try:
        table = read_parquet(pa.BufferReader(content))
    except UNREADABLE:
        return None
    sealed = b"crc32_of_file" in (table.schema.metadata or {})
    return table if sealed and not is_broken_parquet(content) and table.schema.equals(MANIFEST) else None


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
    return fingerprint_of([[row[name] for name in MANIFEST.names] for row in read_manifest(folder).to_pylist()])


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
    with files.write_atomic(files.join(folder, name), "w", safe=True) as stream:
        json.dump({**content, CHECKSUM: fingerprint_of(content)}, stream, indent=1, sort_keys=True)
        stream.write("\n")


def read_success(folder: str) -> Marker | None:
    """What the marker of completion says, None where there is none, or none that is whole."""
    return _read_marker(folder, SUCCESS_FILE)


def read_made(folder: str) -> Marker | None:
    """What the marker of a folder that may be read says, finished or with open work; None where there is none that is
    whole."""
    return _read_marker(folder, SUCCESS_FILE) or _read_marker(folder, OPEN_FILE)


def _read_marker(folder: str, name: str) -> Marker | None:
    content = files.read(files.join(folder, name))
    if content is None:
        return None
    try:
        made: Marker = json.loads(content)
        checksum = made.pop(CHECKSUM, None)
        return made if "fingerprint" in made and checksum in (None, fingerprint_of(made)) else None
    except (ValueError, AttributeError, TypeError):
        return None


def stored_settings(folders: Iterable[str]) -> dict[str, Any]:
    """The settings that finished folders say they were made with, by name; a later one's word counts."""
    found: dict[str, Any] = {}
    for folder in folders:
        found |= (read_made(folder) or {}).get("settings", {})
    return found


def is_complete(folder: str, fingerprint: str | None = None) -> bool:
    """Whether ``folder`` is finished, and, if a fingerprint is given, made from exactly these settings and inputs."""
    return is_finished(read_success(folder), fingerprint)


def is_finished(made: Marker | None, fingerprint: str | None = None) -> bool:
    """The same of a folder whose marker was read before."""
    return made is not None and "open" not in made and fingerprint in (None, made["fingerprint"])


@contextlib.contextmanager
def open_proved(folder: str, entry: Entry) -> Iterator[IO[bytes]]:
    """The file of a manifest's row, held against its length and its SHA-256, once in a process.

    Of a large file, or one on an object store that is not fetched as a whole, only the length is known to be right.
    Raises UserError for a file that is damaged or missing.
    """
    name = str(entry["file"])
    with _open_there(folder, name) as stream:
        size, digest = _measured(files.join(folder, name), stream, entry["bytes"])
        if size != entry["bytes"]:
            raise damaged(folder, name, f"it has {size:,} bytes and should have {entry['bytes']:,}")
        if digest not in ("", entry["sha256"]):
            raise damaged(folder, name, NOT_WRITTEN)
        yield stream


def _open_there(folder: str, name: str) -> IO[bytes]:
    """Opens a file that has to be there."""
    url = files.join(folder, name)
    try:
        return files.open_input(url)
    except UserError:
        if files.exists(url):
            raise
        raise damaged(folder, name, "it is missing") from None


def _measured(url: str, stream: IO[bytes], expected: int) -> tuple[int, str]:
    """The length of an open file and its SHA-256; "" where that is not worth reading it through."""
    if not files.is_url(url):
        about = os.stat(url)
        right = about.st_size == expected <= PROVED_BYTES
        return about.st_size, _digest_once(url, about.st_size, about.st_mtime_ns) if right else ""
    if isinstance(stream, io.BytesIO):
        with stream.getbuffer() as content:
            return len(content), hashlib.sha256(content).hexdigest()
    return files.size(url), ""


@functools.lru_cache(1 << 16)
def _digest_once(path: str, _size: int, _time: int) -> str:
    return files.digest(path)


def iter_batches(
    folder: str, columns: Sequence[str] | None = None, names: Sequence[str] | None = None, rows: int = 8192
) -> Iterator[pa.RecordBatch]:
    """The record batches of a table folder (or of the files ``names`` in it), file by file in manifest order; what is
    no Parquet is passed over."""
    entries = {str(entry["file"]): entry for entry in read_manifest(folder).to_pylist()}
    for name in names if names is not None else entries:
        if name.endswith(".parquet"):
            yield from file_batches(folder, entries[name], columns, rows)


def file_batches(
    folder: str, entry: Entry, columns: Sequence[str] | None = None, rows: int = 8192
) -> Iterator[pa.RecordBatch]:
    """The record batches of one Parquet file of a table folder, by its row of the manifest. Raises UserError for one
    that is damaged."""
    # What was read through as a whole need not be held against the checksums of its pages too.
    pages = entry["bytes"] > (files.WHOLE if files.is_url(folder) else PROVED_BYTES)
    with open_proved(folder, entry) as stream:
        try:
            file = open_parquet(stream, pages=pages)
            yield from file.iter_batches(rows, columns=None if columns is None else list(columns))
        except UNREADABLE as error:
            raise damaged(folder, entry["file"], f"not a readable Parquet file: {error}") from None


def read_table(folder: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """A table folder as one table in memory. ``schema`` is what an empty folder has."""
    chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    return pa.Table.from_batches(list(iter_batches(folder, columns)), schema=chosen)
