"""Reading a whole Parquet file from a stream.

In: a stream of Python's. Out: a table, each page of which is held against its checksum where it has one; what damage
Arrow may raise is :data:`UNREADABLE`. Arrow's own ``read_table`` reads in its threads, and one of them may be the last
to let go of the stream: when the interpreter ends at that moment, the process is aborted after all its work was done
(one time in 30, where reading was the last thing that a program did).
"""

from collections.abc import Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["UNREADABLE", "open_parquet", "read_parquet"]

# What reading a damaged file raises: a footer may say anything, such as that a column has more bytes than there are.
UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError)


def open_parquet(stream: IO[bytes] | pa.NativeFile, *, pages: bool = True) -> pq.ParquetFile:
    """A Parquet file; its ``pages`` are held against their checksums when they are read."""
    return pq.ParquetFile(stream, page_checksum_verification=pages)


def read_parquet(stream: IO[bytes] | pa.NativeFile, columns: Sequence[str] | None = None) -> pa.Table:
    """The file as a table, or some columns of it. Raises pyarrow.ArrowInvalid for something else, or without such
    columns."""
    file = open_parquet(stream)
    if columns is not None and (missing := set(columns) - set(file.schema_arrow.names)):
        raise pa.ArrowInvalid(f"no column {', '.join(sorted(missing))}")
    return file.read(columns=None if columns is None else list(columns), use_threads=False)
