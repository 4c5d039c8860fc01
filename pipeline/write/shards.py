"""Writing the training shards: WebDataset tars, the Parquet file beside each, statistics, and the index of them all.

In: a table of schema JOINED per shard, in the order wanted, and the image store that it refers to. Out: files as
keeping/folder.py has them, and their manifest rows. Equal rows give equal bytes; memory holds a few hundred pictures,
whatever a shard's size.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.keeping.folder import (
    CAPTION_SUFFIX,
    INDEX_FILE,
    METADATA_SUFFIX,
    SIZES_FILE,
    image_suffix,
    key_of,
    shard_name,
)
from pipeline.keeping.manifest import Entry, entry_of_written
from pipeline.tables.schema import SHARD
from pipeline.write.features import with_feature
from pipeline.write.sample import sample_fields
from pipeline.write.store import ImageReader, Reference, references_of
from pipeline.write.tar import TarWriter
from webimagetext import files

__all__ = ["PICTURE_COLUMN", "WITH_PICTURES", "shard_rows", "statistics", "write_index", "write_shard"]

_CHUNK = 256  # samples whose bytes are in memory at once
# The schema of a Parquet file that holds the images too, in the form that the datasets library has for pictures.
PICTURE_COLUMN = "jpg"
PICTURE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
WITH_PICTURES = with_feature(SHARD.append(pa.field(PICTURE_COLUMN, PICTURE)), PICTURE_COLUMN, "Image")


class QueryNames(Protocol):
    """The query of each id: a list, a dictionary, an Arrow array of strings."""

    def __getitem__(self, query_id: int, /) -> Any: ...


def shard_rows(rows: pa.Table, query_names: QueryNames) -> pa.Table:
    """Rows of schema JOINED as rows of schema SHARD, in the same order.

    The consent of a row is the picture's where one was noted, else the page's; the evidence names both.
    """
    ids = rows.column("query_ids").to_pylist()
    columns = {
        "key": pa.array([key_of(pair) for pair in rows.column("pair_id").to_pylist()], pa.string()),
        "status": pa.repeat("success", rows.num_rows),
        "error_message": pa.nulls(rows.num_rows, pa.string()),
        "queries": pa.array([[_text(query_names[query]) for query in found] for found in ids], pa.list_(pa.string())),
        "phash": pa.array([_hex(value) for value in rows.column("phash").to_pylist()], pa.string()),
        "consent": pc.coalesce(rows.column("image_consent"), rows.column("consent")),
        "consent_evidence": _evidence(rows),
    }
    return pa.table([columns[name] if name in columns else rows.column(name) for name in SHARD.names], SHARD)


def _hex(value: int | None) -> str | None:
    return None if value is None else key_of(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value.as_py())


def _evidence(rows: pa.Table) -> pa.Array:
    """What was noted about page and image, in one line; null where nothing was."""
    pages, images = (rows.column(name).to_pylist() for name in ("consent_evidence", "image_consent_evidence"))
    lines = []
    for page, image in zip(pages, images, strict=True):
        noted = [f"{label}: {text}" for label, text in (("page", page), ("image", image)) if text is not None]
        lines.append("; ".join(noted) or None)
    return pa.array(lines, pa.string())


def write_shard(
    folder: str,
    index: int,
    rows: pa.Table,
    store: str,
    query_names: QueryNames,
    format: Literal["tar", "parquet", "both"] = "tar",  # noqa: A002
    edit: Callable[[Sequence[bytes]], list[bytes]] | None = None,
) -> list[Entry]:
    """Writes shard ``index`` to ``folder`` from ``rows`` (schema JOINED, in the order wanted) and the image store
    ``store``.

    ``format`` is as in PackageConfig; ``edit`` changes the pictures on their way.
    Returns the manifest rows of the files written, the tar's first.
    Raises UserError when the image store lacks a picture.
    """
    stem = shard_name(index)
    table = shard_rows(rows, query_names)
    references = references_of(rows)
    in_parquet = format in ("parquet", "both")
    entries: list[Entry] = []
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(ImageReader(store))
        tar = None
        if format in ("tar", "both"):
            archive = stack.enter_context(files.write_hashed(files.join(folder, f"{stem}.tar")))
            tar = TarWriter(archive)
        metadata = stack.enter_context(files.write_hashed(files.join(folder, f"{stem}.parquet")))
        parquet = _ParquetFile(metadata)
        for part, pictures in _chunks(table, references, reader, edit) if tar or in_parquet else ():
            if tar is not None:
                _add_samples(tar, part, pictures)
            if in_parquet:
                keys = part.column("key").to_pylist()
                names = [key + image_suffix(picture) for key, picture in zip(keys, pictures, strict=True)]
                held = pa.StructArray.from_arrays(
                    [pa.array(pictures, pa.binary()), pa.array(names)], fields=list(PICTURE)
                )
                parquet.write(part.append_column(PICTURE_COLUMN, held).cast(WITH_PICTURES))
        if not in_parquet:
            parquet.write(table)
        parquet.close(WITH_PICTURES if in_parquet else SHARD)
        if tar is not None:
            tar.close()
            entries.append(entry_of_written(archive, f"{stem}.tar", rows.num_rows))
    entries.append(entry_of_written(metadata, f"{stem}.parquet", rows.num_rows))
    return [
        *entries,
        _write_json(folder, f"{stem}_stats.json", statistics(table, [length for _, _, length, *_ in references])),
    ]


def _write_json(folder: str, name: str, content: Any) -> Entry:
    with files.write_hashed(files.join(folder, name)) as stream:
        stream.write((json.dumps(content, indent=1) + "\n").encode())
    return entry_of_written(stream, name, 0)


def _chunks(
    table: pa.Table,
    references: Sequence[Reference],
    reader: ImageReader,
    edit: Callable[[Sequence[bytes]], list[bytes]] | None,
) -> Iterator[tuple[pa.Table, list[bytes]]]:
    for start in range(0, table.num_rows, _CHUNK):
        pictures = reader.read(references[start : start + _CHUNK])
        yield table.slice(start, _CHUNK), pictures if edit is None else edit(pictures)


def _add_samples(tar: TarWriter, part: pa.Table, pictures: Sequence[bytes]) -> None:
    for row, picture in zip(part.to_pylist(), pictures, strict=True):
        key = row["key"]
        tar.add(key + image_suffix(picture), picture)
        tar.add(key + CAPTION_SUFFIX, row["caption"].encode())
        tar.add(key + METADATA_SUFFIX, _json(sample_fields(row)))


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class _ParquetFile:
    """A Parquet file whose schema is that of the first table written, or of :meth:`close` when there was none."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Appends a row group."""
        self._open(table.schema).write_table(table)

    def close(self, schema: pa.Schema) -> None:
        """Writes the file's end."""
        self._open(schema).close()

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, schema, compression="zstd", write_page_checksum=True)
        return self._writer


def statistics(table: pa.Table, lengths: Sequence[int]) -> dict[str, Any]:
    """What img2dataset's ``_stats.json`` counts, as far as it does not change from run to run, of rows of schema SHARD
    with the bytes of each picture."""
    return {
        "count": table.num_rows,
        "successes": table.num_rows,
        "status_dict": dict(Counter(table.column("status").to_pylist())),
        "image_bytes": sum(lengths),
        "caption_characters": pc.sum(pc.utf8_length(table.column("caption"))).as_py() or 0,
        "queries": pc.count_distinct(table.column("query_ids").combine_chunks().flatten()).as_py(),
    }


def write_index(folder: str, shard_entries: Sequence[Entry], name: str = "webimagetext") -> list[Entry]:
    """Writes ``sizes.json`` and ``index.json`` of the shards among ``shard_entries``; returns their manifest rows.

    Both count the tars. Where only Parquet was written, the sizes are of those files, and there is no index, which is
    one of tars.
    """
    ordered = sorted(shard_entries, key=lambda entry: str(entry["file"]))
    tars = [entry for entry in ordered if str(entry["file"]).endswith(".tar")]
    tables = [entry for entry in ordered if str(entry["file"]).endswith(".parquet")]
    sizes = {entry["file"]: entry["rows"] for entry in tars or tables}
    if not tars and tables:
        return [_write_json(folder, SIZES_FILE, sizes)]
    shards = [{"url": entry["file"], "nsamples": entry["rows"], "filesize": entry["bytes"]} for entry in tars]
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": name, "shardlist": shards}
    return [_write_json(folder, file, content) for file, content in ((SIZES_FILE, sizes), (INDEX_FILE, index))]
