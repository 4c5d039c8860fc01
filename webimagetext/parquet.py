"""Parquet files on streams of Python's: writing them, and reading them as a whole.

In: a stream, and a schema to write. Out: a writer; or a table, each page of which is held against its checksum where it
has one; what damage Arrow may raise is :data:`UNREADABLE`. Arrow's own ``read_table`` reads in its threads, and one of
them may be the last to let go of the stream: when the interpreter ends at that moment, the process is aborted after all
its work was done (one time in 30, where reading was the last thing that a program did).
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from webimagetext.sealed import SealingParquet

__all__ = ["UNREADABLE", "open_parquet", "parquet_writer", "read_parquet"]

# What reading a damaged file raises: a footer may say anything, such as that a column has more bytes than there are.
UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError)


@contextlib.contextmanager
def parquet_writer(
    stream: IO[bytes] | io.RawIOBase, schema: pa.Schema, *, sealed: bool = False
) -> Iterator[pq.ParquetWriter]:
    """Writes a Parquet file whose pages have checksums; with one of the whole file, where it is ``sealed``: for those
    that no manifest vouches for yet."""
    sink = SealingParquet(stream) if sealed else stream
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
        yield writer
        if isinstance(sink, SealingParquet):
            sink.begin_footer()
    if isinstance(sink, SealingParquet):
        sink.finish()


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
