"""Rows of a query list as a table and as a file.

In: rows, ordered by query. Out: the columns of :mod:`query_builder.schema`; the file is byte-identical for equal rows
and appears under its name only when it is whole.
"""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from query_builder.normalize import NORMAL_FORM
from query_builder.schema import METADATA_KEY, QUERIES, Query
from webimagetext.files import write_atomic
from webimagetext.sealed import PARQUET_SEAL, seal_parquet

__all__ = ["ROWS_A_GROUP", "parquet_writer", "queries_table", "write_queries"]

ROWS_A_GROUP = 1 << 16


def queries_table(rows: Sequence[Query], start: int = 0) -> pa.Table:
    """Rows as a table of QUERIES, numbered from ``start``."""
    names = [name for name in QUERIES.names if name != "id"]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.table({**columns, "id": range(start, start + len(rows))}, schema=QUERIES)


@contextlib.contextmanager
def parquet_writer(path: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer of a list's file, which carries its checksum, and so does each of its pages; the file appears when the
    block ends without an error."""
    content = io.BytesIO()
    sealed = schema.with_metadata({**(schema.metadata or {}), **PARQUET_SEAL})
    with pq.ParquetWriter(content, sealed, compression="zstd", write_page_checksum=True) as writer:
        yield writer
    with write_atomic(path, safe=True) as stream:
        stream.write(seal_parquet(content.getvalue()))


def write_queries(path: str, rows: Sequence[Query], metadata: Mapping[str, Any]) -> None:
    """Writes rows, which must be ordered by query, and numbers them; the metadata names the normal form."""
    told = json.dumps({**metadata, "normal_form": NORMAL_FORM}, sort_keys=True, ensure_ascii=False)
    schema = QUERIES.with_metadata({METADATA_KEY: told.encode()})
    with parquet_writer(path, schema) as writer:
        for start in range(0, max(1, len(rows)), ROWS_A_GROUP):
            table = queries_table(rows[start : start + ROWS_A_GROUP], start)
            writer.write_table(table.replace_schema_metadata(schema.metadata))
