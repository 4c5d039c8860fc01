"""The samples of finished shards, pictures and rows together, in their order, a few at a time.

In: a folder of shards of this program, of any format. Out: batches of rows (SHARD) with the bytes of each picture.
"""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import IMAGE_SUFFIXES
from pipeline.keeping.manifest import Entry, file_batches, open_proved, read_manifest
from pipeline.tables.schema import SHARD
from pipeline.write.shards import PICTURE_COLUMN
from pipeline.write.tar import read_members

__all__ = ["samples_of", "tables_of"]


def tables_of(folder: str) -> list[str]:
    """The tables of a folder of shards that hold any row, in order."""
    rows = read_manifest(folder).to_pylist()
    return [row["file"] for row in rows if row["file"].endswith(".parquet") and row["rows"]]


def samples_of(folder: str, table: str, rows: int) -> Iterator[tuple[pa.RecordBatch, list[bytes]]]:
    """The samples of one shard, ``rows`` at a time. Raises UserError where tar and table are not of the same
    samples."""
    entries = {entry["file"]: entry for entry in read_manifest(folder).to_pylist()}
    tar = entries.get(f"{table.removesuffix('.parquet')}.tar")
    if tar is None:
        for batch in file_batches(folder, entries[table], [*SHARD.names, PICTURE_COLUMN], rows):
            yield batch.select(SHARD.names), pc.struct_field(batch.column(PICTURE_COLUMN), "bytes").to_pylist()
        return
    with open_proved(folder, tar) as stream:
        pictures = _pictures(stream)
        for batch in file_batches(folder, entries[table], SHARD.names, rows):
            found = [next(pictures, ("", b"")) for _ in range(batch.num_rows)]
            if [key for key, _ in found] != batch.column("key").to_pylist():
                raise damaged(folder, _name(tar), "its samples are not those of the table beside it")
            yield batch, [data for _, data in found]


def _name(entry: Entry) -> str:
    return str(entry["file"])


def _pictures(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Key and picture of each sample of a tar, in order."""
    for name, content in read_members(stream):
        key, _, ending = name.partition(".")
        if f".{ending}" in IMAGE_SUFFIXES:
            yield key, content.read()
