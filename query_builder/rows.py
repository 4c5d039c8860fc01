"""Rows of a query list as a table and as a file.

In: rows, ordered by query. Out: the columns of :mod:`query_builder.schema`; the file is byte-identical for equal rows
and appears under its name only when it is whole.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from query_builder.schema import METADATA_KEY, QUERIES, Query
from webimagetext.files import write_atomic

__all__ = ["ROWS_A_GROUP", "queries_table", "write_queries"]

ROWS_A_GROUP = 1 << 16


def queries_table(rows: Sequence[Query], start: int = 0) -> pa.Table:
    """Rows as a table of QUERIES, numbered from ``start``."""
    names = [name for name in QUERIES.names if name != "id"]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.table({**columns, "id": range(start, start + len(rows))}, schema=QUERIES)


def write_queries(path: str, rows: Sequence[Query], metadata: Mapping[str, Any]) -> None:
    """Writes rows, which must be ordered by query, and numbers them."""
    schema = QUERIES.with_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode()})
    with write_atomic(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for start in range(0, max(1, len(rows)), ROWS_A_GROUP):
            table = queries_table(rows[start : start + ROWS_A_GROUP], start)
            writer.write_table(table.replace_schema_metadata(schema.metadata))
