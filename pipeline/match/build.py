"""Compiles a query list into the automaton file that every worker maps into memory.

In: ``queries.parquet`` (columns query, id and, for the published rule, surface). Out: one file whose name carries the hash of its
content, so that the same list always gives the same name and a worker can never take an old file for a new one.
"""

from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.match.fold import fold_column, raw_texts
from pipeline.match.mapped_file import pack
from pipeline.match.trie import build_trie
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["MODES", "Mode", "build_automaton", "check_queries", "read_queries"]

Mode = Literal["words", "metaclip"]
MODES: tuple[str, ...] = get_args(Mode)
REBUILD = "build the list again with: python -m query_builder build"


def read_queries(path: str) -> tuple[pa.Array, pa.Array]:
    """The query list by id: normal forms, and surfaces (the normal forms where the file has none).

    Raises UserError for a file that is no query list, or whose ids are not 0 to n - 1.
    """
    with files.open_input(path) as stream:
        try:
            reader = pq.ParquetFile(stream)
            names = set(reader.schema_arrow.names)
            if missing := {"query", "id"} - names:
                raise UserError(f"{path}: no column {' or '.join(sorted(missing))}", REBUILD)
            table = reader.read(columns=[name for name in ("query", "id", "surface") if name in names])
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not a Parquet file of queries: {error}", REBUILD) from None
    table = table.sort_by("id").combine_chunks()
    ids = np.asarray(table.column("id"))
    if len(ids) == 0:
        raise UserError(f"{path}: the query list is empty", REBUILD)
    if not np.array_equal(ids, np.arange(len(ids))):
        raise UserError(f"{path}: the ids are not the numbers from 0 to {len(ids) - 1}, each once", REBUILD)
    queries = _strings(table.column("query"))
    surfaces = _strings(table.column("surface")) if "surface" in table.column_names else queries
    return queries, surfaces


def _strings(column: pa.ChunkedArray) -> pa.Array:
    """A column as one string array without nulls."""
    return pa.concat_arrays(column.cast(pa.string()).chunks).fill_null("")


def check_queries(path: str, mode: Mode) -> None:
    """Raises UserError for a list that :func:`build_automaton` could not compile, without compiling it."""
    queries, _ = read_queries(path)
    if mode == "words":
        _check_normal(queries, path)


def build_automaton(queries_parquet: str, folder: str, mode: Mode = "words") -> str:
    """Writes the automaton of a query list into ``folder`` (a path or URL) and returns the file's path.

    ``words`` matches whole words of the normal form; ``metaclip`` is the published rule: the surfaces, case-sensitive, between
    spaces. A file that is already there is left alone. Raises UserError for a list that can't be matched.
    """
    if mode not in MODES:
        raise UserError(f"matching '{mode}' is not known", f"one of: {', '.join(MODES)}")
    queries, surfaces = read_queries(queries_parquet)
    if mode == "words":
        _check_normal(queries, queries_parquet)
    try:
        arrays = build_trie(queries if mode == "words" else surfaces)
    except ValueError as error:
        raise UserError(f"{queries_parquet}: {error}", REBUILD) from None
    names, offsets = raw_texts(queries)
    arrays["names"], arrays["name_offsets"] = names, offsets.astype(np.int32)
    content, digest = pack(arrays, {"mode": mode, "queries": len(queries)})
    path = files.join(folder, f"queries-{mode}-{digest}.bin")
    if not files.exists(path):
        with files.write_atomic(path) as stream:
            stream.write(content)
    return path


def _check_normal(queries: pa.Array, path: str) -> None:
    """Raises UserError unless each query is its own normal form and has a word."""
    folded, ends = fold_column(queries)
    data, offsets = raw_texts(queries)
    lengths, expected = np.diff(offsets), np.diff(ends)
    if np.array_equal(lengths, expected) and np.array_equal(data, folded) and lengths.all():
        return
    for index, query in enumerate(queries.to_pylist()):
        form = folded[ends[index] : ends[index + 1]].tobytes().decode()
        if form != query or not form:
            raise UserError(f"{path}: query {index}, '{query}', is not in normal form ('{form}')", REBUILD)
