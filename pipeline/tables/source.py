"""Reading a finished table in Beam: the files its manifest names, batch by batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

import pipeline.tables.batches  # noqa: F401  (registers the coder of record batches)
from pipeline.keeping.manifest import Entry, file_batches, read_manifest

__all__ = ["ReadTable"]


def _files(folder: str) -> Iterator[tuple[str, Entry]]:
    """The tables that a manifest names, with their folder."""
    for entry in read_manifest(folder).to_pylist():
        if entry["file"].endswith(".parquet"):
            yield folder, entry


def _read_file(place: tuple[str, Entry], columns: tuple[str, ...] | None, rows: int) -> Iterator[pa.RecordBatch]:
    folder, entry = place
    return file_batches(folder, entry, columns, rows)


class ReadTable(beam.PTransform):
    """A table folder, or several of one schema, as record batches of at most ``rows`` rows; ``columns`` picks some.

    Files that are no Parquet, such as the tars of shards, are passed over. The manifests are read by a worker, so that
    a graph holds the names of folders and not of files, which may be a hundred thousand; the folders must be finished
    when the graph is built.
    """

    def __init__(self, folders: str | Sequence[str], columns: Sequence[str] | None = None, rows: int = 8192) -> None:
        super().__init__()
        self.folders = (folders,) if isinstance(folders, str) else tuple(folders)
        self.columns, self.rows = tuple(columns) if columns else None, rows
        self.parts = sum(read_manifest(folder).num_rows for folder in self.folders)

    def expand(self, root: beam.Pipeline) -> beam.PCollection:
        return (
            root
            | "Name folders" >> beam.Create(self.folders, reshuffle=False).with_output_types(str)
            | "Name files" >> beam.FlatMap(_files).with_output_types(tuple[str, dict[str, Any]])
            | "Spread files" >> beam.Reshuffle()
            | "Read batches" >> beam.FlatMap(_read_file, self.columns, self.rows).with_output_types(pa.RecordBatch)
        )
