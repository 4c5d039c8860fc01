"""Compiles a query list into the automaton file that every worker maps into memory.

In: a query list (columns query and, for the published rule, surface). Out: one file whose name carries the hash of its
content, so that the same list always gives the same name and a worker can never take an old file for a new one.
"""

from typing import Literal, get_args

import numpy as np

from pipeline.match.fold import raw_texts
from pipeline.match.mapped_file import pack
from pipeline.match.trie import build_trie
from query_builder.lists import REMEDY, check_texts, read_list
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["build_automaton"]

Mode = Literal["words", "metaclip"]
MODES: tuple[str, ...] = get_args(Mode)


def build_automaton(queries_parquet: str, folder: str, mode: Mode = "words") -> str:
    """Writes the automaton of a query list into ``folder`` (a path or URL) and returns the file's path.

    ``words`` matches whole words of the normal form; ``metaclip`` is the published rule: the surfaces, case-sensitive,
    between spaces. A file that is already there, and whole, is left alone. Raises UserError for a list that can't be
    matched.
    """
    if mode not in MODES:
        raise UserError(f"matching '{mode}' is not known", f"one of: {', '.join(MODES)}")
    published = mode == "metaclip"
    table = read_list(queries_parquet, ("query", "surface"), as_written=published)
    check_texts(table, queries_parquet, published=published)
    queries, surfaces = (column.combine_chunks() for column in table.columns)
    try:
        arrays = build_trie(surfaces if published else queries)
    except ValueError as error:
        raise UserError(f"{queries_parquet}: {error}", REMEDY) from None
    names, offsets = raw_texts(queries)
    arrays["names"], arrays["name_offsets"] = names, offsets.astype(np.int32)
    content, digest = pack(arrays, {"mode": mode, "queries": len(queries)})
    path = files.join(folder, f"queries-{mode}-{digest}.bin")
    if not _is_there(path, content):
        with files.write_atomic(path, safe=True) as stream:
            stream.write(content)
    return path


def _is_there(path: str, content: bytes) -> bool:
    """Whether the file is there and whole; of one on an object store, which a machine proves when it copies it, the
    length has to do."""
    if files.is_url(path):
        folder, _, name = path.rpartition("/")
        return files.sizes(folder).get(name) == len(content)
    return files.read(path) == content
