"""The tables of an export: the pictures with all that is known of them, as dataset hubs show and load them; and the
links alone.

In: the shards of a run. Out: ``data/SPLIT-00000-of-00004.parquet``, a file for each shard; ``links/SPLIT.parquet``.
Memory holds one group of rows.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keeping.folder import image_suffix
from pipeline.keeping.manifest import iter_batches
from pipeline.sharing.samples import samples_of, tables_of
from pipeline.tables.schema import SHARD
from pipeline.write.features import with_feature
from webimagetext import files

__all__ = ["DATA", "LINKS", "PICTURE", "SPLITS", "write_data", "write_links"]

SPLITS = {"train": "shards", "test": "holdout"}  # as hubs call them, and the folders of a run
PICTURE = "image"
ROWS = 100  # of a group: what a viewer reads to show a page of pictures
LINK_ROWS = 100_000
_HELD = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
# The sketch is of use to the search for altered copies alone, and as large as all the rest.
_KEPT = [field for field in SHARD if field.name != "sketch"]
LINKS = pa.schema(_KEPT)
DATA = with_feature(pa.schema([pa.field(PICTURE, _HELD), *_KEPT]), PICTURE, "Image")


def write_data(folder: str, output: str, split: str) -> Iterator[tuple[str, int]]:
    """Writes the shards of a folder as files of a split; gives each file's name, by its place in the export, and its
    rows. A file that is there is not written again."""
    tables = tables_of(folder)
    for number, table in enumerate(tables):
        name = f"data/{split}-{number:05d}-of-{len(tables):05d}.parquet"
        if not files.exists(files.join(output, name)):
            _write_shard(folder, table, files.join(output, name))
        with files.open_input(files.join(output, name)) as stream:
            yield name, pq.ParquetFile(stream).metadata.num_rows


def _write_shard(folder: str, table: str, url: str) -> None:
    with files.write_atomic(url, safe=True) as stream, _writer(stream, DATA) as writer:
        for batch, pictures in samples_of(folder, table, ROWS):
            names = [
                key + image_suffix(picture)
                for key, picture in zip(batch.column("key").to_pylist(), pictures, strict=True)
            ]
            held = pa.StructArray.from_arrays([pa.array(pictures, pa.binary()), pa.array(names)], fields=list(_HELD))
            columns = [held, *(batch.column(field.name) for field in _KEPT)]
            writer.write_table(pa.table(columns, schema=DATA))


def _writer(stream: object, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(stream, schema, compression="zstd", write_page_index=True, write_page_checksum=True)


def write_links(folder: str, output: str, split: str) -> int:
    """Writes the links of a split; returns how many there are. Nothing is written of one without any."""
    waiting: list[pa.RecordBatch] = []
    total = 0
    if not tables_of(folder):
        return 0
    url = files.join(output, f"links/{split}.parquet")
    with files.write_atomic(url, safe=True) as stream, _writer(stream, LINKS) as writer:
        for batch in iter_batches(folder, LINKS.names):
            total += batch.num_rows
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= LINK_ROWS:
                waiting = _flushed(writer, waiting)
        _flushed(writer, waiting)
    return total


def _flushed(writer: pq.ParquetWriter, waiting: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if waiting:
        writer.write_table(pa.Table.from_batches(waiting, LINKS))
    return []
