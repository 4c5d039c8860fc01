"""One part of the image store: a tar of pictures and a Parquet table of what became of each URL, which is also its
marker.

In: results by URL, in any order. Out: ``PART.tar`` and then ``PART.parquet``, both in the order of the plan, so that
they do not depend on which server was quicker. A part whose Parquet is there is finished and is never fetched again.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.fetch.decided import decided_by, stored_form
from pipeline.fetch.journals import journal_path, open_journal
from pipeline.fetch.spool import Facts, Spool
from pipeline.hashing import hash64
from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, Rejected
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import image_suffix, key_of
from pipeline.keeping.manifest import Entry, entry_of_table, entry_of_written
from pipeline.net.config import HttpConfig
from pipeline.tables.schema import IMAGES
from pipeline.write.tar import TarWriter
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, parquet_writer, read_parquet
from webimagetext.sealed import is_sealed_parquet
from webimagetext.settings import fingerprint

__all__ = [
    "ARCHIVE",
    "TAR",
    "drop_journal",
    "entries_of_part",
    "facts_of",
    "finish_part",
    "is_of_archive",
    "open_spool",
    "read_part",
    "write_unasked",
]

TAR = b"tar"  # in a table's metadata: the manifest row of the tar beside it
ARCHIVE = "archive-"  # how the names of parts begin that were read from archives


def is_of_archive(name: str) -> bool:
    """Whether a file of the image store holds what an archive holds, and not what was fetched."""
    return name.startswith(ARCHIVE)


def facts_of(url: str, result: Processed | Rejected, http: HttpConfig, image: ImageConfig, **more: object) -> Facts:
    """The row of a URL that was asked for and judged under these settings; ``more`` are further columns of schema
    IMAGES."""
    if isinstance(result, Rejected):
        found: Facts = {"status": result.reason, "error_message": result.detail or None}
    else:
        found = {"status": "success"} | {name: getattr(result, name) for name in Processed.__slots__ if name != "data"}
    return {"url": url, **found, **more, "decided_by": decided_by(found["status"], http, image)}


def open_spool(folder: str, part: str, image: ImageConfig, patience: float = 0.0) -> Spool:
    """The journal of a part: beside it, or among this machine's temporary files where the store is not a local folder.

    ``patience``: seconds to wait for another process that has it open.
    """
    spool = open_journal(folder, part, fingerprint(stored_form(image)), patience)
    for url in _unusable(spool):
        spool.drop(url)
    return spool


def _unusable(spool: Spool) -> list[str]:
    """The records that make no row of the table, such as a damaged version may have left; they are asked for again."""

    def fits(urls: list[str]) -> bool:
        rows = [spool.facts(url) for url in urls]
        try:
            pa.RecordBatch.from_pylist(rows, schema=IMAGES)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return False
        return all(isinstance(row.get("status"), str) for row in rows)

    urls = list(spool)
    return [] if fits(urls) else [url for url in urls if not fits([url])]


def drop_journal(folder: str, part: str) -> None:
    """Removes the journal of a finished part, which a kill has left when only this was still to be done."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(journal_path(folder, part))


def read_part(folder: str, part: str, urls: Sequence[str]) -> pa.RecordBatch | None:
    """The rows of a finished part, None where it is not finished. Raises UserError when it was made for other URLs."""
    url = files.join(folder, f"{part}.parquet")
    if not files.exists(url):
        return None
    with files.open_input(url) as stream:
        if is_sealed_parquet(stream) is False:
            return None  # it is written anew
        try:
            table = read_parquet(stream)
        except UNREADABLE:
            return None
    if table.column("url").to_pylist() != list(urls):
        raise UserError(f"{url}: was made for other image URLs", "give the new ones a part, or a folder, of their own")
    return _one_batch(table)


def finish_part(folder: str, part: str, urls: Sequence[str], spool: Spool, missing: str) -> pa.RecordBatch:
    """Writes the tar and then the Parquet of a part; returns its rows, one for each of ``urls``.

    A URL that the journal does not know gets ``missing`` as its status.
    """
    rows: list[Facts] = []
    name = f"{part}.tar"
    with files.write_hashed(files.join(folder, name), safe=True) as stream:
        tar = TarWriter(stream)
        for url in urls:
            facts, data = spool.get(url) if url in spool else ({"url": url, "status": missing}, b"")
            place: Facts = {}
            if facts["status"] == "success":
                offset = tar.add(key_of(hash64(url)) + image_suffix(data), data)
                place = {"file": name, "offset": offset, "length": len(data), "crc32": zlib.crc32(data)}
            rows.append({**facts, **place})
        tar.close()
    about = {TAR: json.dumps(entry_of_written(stream, name, 0))}
    table = pa.Table.from_pylist(rows, schema=IMAGES.with_metadata(about))
    url = files.join(folder, f"{part}.parquet")
    with files.write_atomic(url, safe=True) as written, parquet_writer(written, table.schema, sealed=True) as writer:
        writer.write_table(table)
    spool.delete()  # what it held is on the disk
    return _one_batch(table)


def write_unasked(folder: str, part: str, urls: Sequence[str], missing: str) -> list[Entry]:
    """A part of URLs that nobody has asked for: a table alone, whose status is ``missing``; returns its manifest
    row."""
    url = files.join(folder, f"{part}.parquet")
    rows = pa.table({"url": urls, "status": [missing] * len(urls)})
    empty = [pa.nulls(len(urls), field.type) for field in IMAGES if field.name not in rows.column_names]
    names = [field.name for field in IMAGES if field.name not in rows.column_names]
    table = pa.table([*rows.columns, *empty], names=[*rows.column_names, *names]).select(IMAGES.names).cast(IMAGES)
    with files.write_atomic(url, safe=True) as written, parquet_writer(written, table.schema, sealed=True) as writer:
        writer.write_table(table)
    return entries_of_part(folder, part)


def entries_of_part(folder: str, part: str) -> list[Entry]:
    """The manifest rows of a part's table and of its tar, which counts no rows: the table does. Raises UserError where
    one is damaged; of the tar its length alone is looked at, for each of its pictures has a checksum of its own."""
    entries = [entry_of_table(folder, f"{part}.parquet")]
    with files.open_input(files.join(folder, f"{part}.parquet")) as stream:
        about = pq.read_schema(stream).metadata or {}
    if TAR not in about:
        return entries
    tar: Entry = json.loads(about[TAR])
    url = files.join(folder, tar["file"])
    if not files.exists(url) or files.size(url) != tar["bytes"]:
        raise damaged(folder, tar["file"], f"it is missing, or has not the {tar['bytes']:,} bytes that were written")
    return [*entries, tar]


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.replace_schema_metadata().combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=IMAGES)
