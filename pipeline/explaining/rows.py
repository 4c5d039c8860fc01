"""The few rows of a run's tables that are about one address or pair, found without reading the rest.

In: a table folder, a column and the values wanted. Out: the rows, with the name of the file that each lies in. Groups
of rows whose statistics say that no wanted value is among them are passed over, so in a table in order of keys hardly
anything is read; of the others only the column is, and the rest where a row was found.
"""

from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE
from pipeline.keeping.manifest import read_manifest
from pipeline.write.shards import PICTURE_COLUMN
from webimagetext import files
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["FILE", "find_rows"]

FILE, PLACE = "_file", "_place"  # columns that a found row has beside those of its table
Row = dict[str, Any]


def find_rows(folder: str, **wanted: Collection[Any]) -> list[Row]:
    """The rows of a table folder in which one of the columns named holds one of its values, in manifest order; none
    where the table is not there. Raises UserError for a file that is damaged."""
    given = {column: values for column, values in wanted.items() if values}
    if not given or not files.exists(files.join(folder, MANIFEST_FILE)):
        return []
    names = [name for name in read_manifest(folder).column("file").to_pylist() if name.endswith(".parquet")]
    return [row for name in names for row in _of_file(folder, name, given)]


def _of_file(folder: str, name: str, wanted: dict[str, Collection[Any]]) -> Iterator[Row]:
    try:
        with files.open_input(files.join(folder, name)) as stream:
            file = open_parquet(stream)
            kept = [column for column in file.schema_arrow.names if column != PICTURE_COLUMN]
            start = 0
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                columns = [column for column, values in wanted.items() if _may_hold(about, column, values)]
                for place in _places(file, group, {column: wanted[column] for column in columns}):
                    row = file.read_row_group(group, kept, use_threads=False).slice(place, 1).to_pylist()[0]
                    yield {**row, FILE: name, PLACE: start + place}
                start += about.num_rows
    except UNREADABLE as error:
        raise damaged(folder, name, f"not a readable Parquet file: {error}") from None


def _places(file: pq.ParquetFile, group: int, wanted: dict[str, Collection[Any]]) -> list[int]:
    """The rows of a group in which a column holds a wanted value."""
    if not wanted:
        return []
    table = file.read_row_group(group, list(wanted), use_threads=False)
    found: set[int] = set()
    for column, values in wanted.items():
        held = table.column(column)
        hit = pc.is_in(held, value_set=pa.array(list(values), held.type))
        found.update(pc.indices_nonzero(hit).to_pylist())
    return sorted(found)


def _may_hold(about: pq.RowGroupMetaData, column: str, values: Collection[Any]) -> bool:
    """Whether a group of rows may hold one of the values, by the least and greatest that its footer states."""
    for number in range(about.num_columns):
        chunk = about.column(number)
        if chunk.path_in_schema == column:
            stated = chunk.statistics if chunk.is_stats_set else None
            if stated is None or not stated.has_min_max:
                return True
            return any(stated.min <= value <= stated.max for value in values)
    return False
