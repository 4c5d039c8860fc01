"""Writing a table in Beam so that the same rows give the same bytes on every engine and under retries.

Beam's own file sinks name and fill shards by chance. Here a row's shard is a stable hash of its key, a shard is sorted
before it is written, it appears under its name only when whole, and the manifest is written when all shards are there.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.hashing import hash_strings
from pipeline.keeping.folder import part_name
from pipeline.keeping.manifest import Entry, entry_of_written, read_manifest, write_manifest
from pipeline.tables.batches import Keys
from pipeline.tables.gather import Gather
from webimagetext import files
from webimagetext.hashing import mix
from webimagetext.parquet import parquet_writer

__all__ = [
    "WriteGroups",
    "WriteManifest",
    "WriteTable",
    "by_hashed",
    "by_pair",
    "every_file",
    "open_part",
    "write_part",
]

GROUP_ROWS = 65_536


def by_pair(batch: pa.RecordBatch) -> np.ndarray:
    """Keys rows by their pair's id."""
    return mix(batch.column("pair_id").to_numpy(zero_copy_only=False))


def by_hashed(name: str) -> Keys:
    """Keys rows by the hash of a string column."""
    return lambda batch: hash_strings(batch.column(name))


class Part:
    """A Parquet file to which rows are added as they come."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows; writes them once there are enough for a group of rows."""
        if batch.num_rows:
            self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=GROUP_ROWS)
            self._waiting = []


@contextlib.contextmanager
def open_part(folder: str, name: str, schema: pa.Schema, *, safe: bool = False) -> Iterator[Part]:
    """A Parquet file of a table folder, which is there under its name when the block has ended well.

    ``safe``: it vouches for itself until a manifest names it, so it is sealed, and on the disk before it has its name.
    """
    with (
        files.write_hashed(files.join(folder, name), safe=safe) as stream,
        parquet_writer(stream, schema, sealed=safe) as writer,
    ):
        part = Part(writer)
        yield part
        part.flush()


def write_part(folder: str, name: str, table: pa.Table, *, safe: bool = False) -> Entry:
    """Writes one Parquet file of a table folder and returns its manifest row; ``safe`` as :func:`open_part` has it."""
    with (
        files.write_hashed(files.join(folder, name), safe=safe) as stream,
        parquet_writer(stream, table.schema, sealed=safe) as writer,
    ):
        writer.write_table(table, row_group_size=GROUP_ROWS)
    return entry_of_written(stream, name, table.num_rows)


def _write_group(group: tuple[int, pa.Table], folder: str) -> Entry:
    part, table = group
    return write_part(folder, part_name(part), table)


class WriteManifest(beam.PTransform):
    """Manifest rows in, one manifest file out: written also when there is not a single row.

    ``keep``, where it is given, tells by its name whether a file stays that the manifest names already; one that is
    written anew is named once.
    """

    def __init__(self, folder: str, keep: Callable[[str], bool] | None = None) -> None:
        super().__init__()
        self.folder, self.keep = folder, keep

    def expand(self, entries: beam.PCollection) -> beam.PCollection:
        return (
            entries.pipeline
            | "Once" >> beam.Create([self.folder], reshuffle=False)
            | "Write" >> beam.Map(_write_manifest, beam.pvalue.AsList(entries), self.keep)
        )


def every_file(_: str) -> bool:
    """Keeps all files that a manifest names."""
    return True


def _write_manifest(folder: str, entries: Sequence[Entry], keep: Callable[[str], bool] | None) -> None:
    rows = {entry["file"]: entry for entry in read_manifest(folder).to_pylist() if keep(entry["file"])} if keep else {}
    write_manifest(folder, [*(rows | {entry["file"]: entry for entry in entries}).values()])


class WriteGroups(beam.PTransform):
    """Gathered groups (part, table) in; a Parquet file each and their manifest out, in ``folder``."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        entries = groups | "Write file" >> beam.Map(_write_group, self.folder)
        return entries | "Manifest" >> WriteManifest(self.folder)


class WriteTable(beam.PTransform):
    """Record batches in, of one collection or of several; ``shards`` Parquet files of ``schema``, sorted by ``sort``,
    and their manifest out, in ``folder``."""

    def __init__(self, folder: str, schema: pa.Schema, keys: Keys, sort: Sequence[str], shards: int = 1) -> None:
        super().__init__()
        self.folder = folder
        self.gather = Gather(keys, shards, schema, sort)

    def expand(self, batches: beam.PCollection | tuple[beam.PCollection, ...]) -> beam.PCollection:
        return batches | "Gather" >> self.gather | "Write" >> WriteGroups(self.folder)
