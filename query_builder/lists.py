"""What a list of queries is: the one answer for everything that reads one, before a crawl or after it.

In: a list by path or URL: a Parquet file with the columns ``query`` and ``id`` as :mod:`query_builder.schema` states
them, the others being optional; or texts in any form that :mod:`query_builder.sources.texts` reads, which are put into
normal form. Out: a table of all the columns, ordered by id; :func:`check_list` says in one line what is wrong, and
imports no Beam.
"""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from query_builder.config import SOURCES
from query_builder.importing import collect
from query_builder.normalize import NORMAL_FORM, normalize
from query_builder.schema import QUERIES, form_of, metadata_of
from webimagetext.errors import UserError
from webimagetext.files import exists, open_input
from webimagetext.parquet import UNREADABLE, open_parquet
from webimagetext.sealed import is_broken_parquet

__all__ = ["AGAIN", "REMEDY", "check_list", "check_texts", "is_query_list", "read_list", "sources_of"]

REMEDY = "make a list of your own texts with: python -m query_builder import FILE --output queries.parquet"
AGAIN = "run the command that made it once more, which makes a damaged list anew: `query_builder build` or `import`"
ANEW = "make it anew by the command that made it: `query_builder build` or `import`"
NEEDED = ("query", "id")


def is_query_list(url: str) -> bool:
    """Whether the file is a query list already: Parquet, with the columns query and id. Raises UserError when it is
    missing."""
    with open_input(url) as stream:
        if stream.read(4) != b"PAR1":
            return False
        stream.seek(0)
        try:
            return set(NEEDED) <= set(pq.read_schema(stream).names)
        except UNREADABLE as error:
            problem = f"{url}: not a Parquet file that can be read: {error}"
            raise UserError(problem, f"{AGAIN}; or {REMEDY}") from None


def read_list(url: str, columns: tuple[str, ...] = tuple(QUERIES.names), *, as_written: bool = False) -> pa.Table:
    """A list as a table of ``columns`` of QUERIES, one row a query, ordered by id; what the file does not have is
    empty.

    ``surface`` is the query where it is missing. ``as_written`` leaves texts that are imported as they are, for the
    published rule. Raises UserError for a file that is no list, is empty, or whose ids are not 0 to n - 1.
    """
    if not is_query_list(url):
        return collect([url], as_written=as_written).table.select(columns)
    with open_input(url) as stream:
        content = stream.read()
    if is_broken_parquet(content):
        raise UserError(f"{url}: is damaged: its content is not what was written", f"{AGAIN}; or {REMEDY}")
    with pa.BufferReader(content) as source:
        try:
            file = open_parquet(source)
            wanted = {*columns, *NEEDED}
            table = file.read(
                columns=[n for n in QUERIES.names if n in wanted & set(file.schema_arrow.names)], use_threads=False
            )
            table = pa.table({name: table[name].cast(QUERIES.field(name).type) for name in table.column_names})
            table.validate(full=True)
        except UNREADABLE as error:
            raise UserError(f"{url}: not a query list that can be read: {error}", f"{AGAIN}; or {REMEDY}") from None
        metadata = file.schema_arrow.metadata
    if not len(table):
        raise UserError(f"{url}: the query list is empty", REMEDY)
    table = table.sort_by("id").combine_chunks()
    if not np.array_equal(np.asarray(table["id"]), np.arange(len(table))):
        raise UserError(f"{url}: the ids are not the numbers from 0 to {len(table) - 1}, each once", REMEDY)
    schema = pa.schema([QUERIES.field(name) for name in columns], metadata)
    return pa.table({name: _column(table, name) for name in columns}).cast(schema)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    """A column of QUERIES, with nothing in the rows or files that lack it."""
    kind = QUERIES.field(name).type
    if name == "surface":
        surfaces = pc.coalesce(table[name], table["query"]) if name in table.column_names else table["query"]
        return surfaces.fill_null("")
    if pa.types.is_list(kind):
        empty = pa.array([[]], kind)[0]
        return table[name].fill_null(empty) if name in table.column_names else pa.repeat(empty, len(table))
    if name not in table.column_names:
        return (
            pa.nulls(len(table), kind) if QUERIES.field(name).nullable else pa.repeat(pa.scalar("", kind), len(table))
        )
    return table[name] if QUERIES.field(name).nullable or name == "id" else table[name].fill_null("")


def sources_of(table: pa.Table) -> list[str]:
    """The sources in whose places queries of a list stand: the builder's own in their order, then others by name (""
    for none)."""
    found = set(table["admitted"].unique().to_pylist())
    return [*(name for name in SOURCES if name in found), *sorted(found - set(SOURCES))]


def check_list(url: str, matching: str = "words") -> int:
    """The number of queries of a list that can be matched by ``matching`` (words or metaclip).

    Raises UserError, with what to do about it, when the file is missing, no list, empty, or holds a query that cannot
    be matched: not in normal form (for words), or of another version of it, without a character, or twice.
    """
    if not exists(url):
        raise UserError(f"{url}: no such query list", f"build one with: python -m query_builder build; or {REMEDY}")
    published = matching == "metaclip"
    table = read_list(url, ("query", "surface"), as_written=published)
    check_texts(table, url, published=published)
    return len(table)


def check_texts(table: pa.Table, url: str, *, published: bool) -> None:
    """Raises UserError for a query of a list's table that cannot be matched by the rule: the published one, or ours."""
    metadata = metadata_of(table.schema)
    if metadata is not None and not published and (form := form_of(metadata)) != NORMAL_FORM:
        problem = f"{url}: its words are in another normal form (number {form}) than those of captions ({NORMAL_FORM})"
        raise UserError(problem, f"{ANEW}; or {REMEDY}")
    texts = table["surface" if published else "query"].to_pylist()
    for number, text in enumerate(texts):
        if not text or (not published and normalize(text) != text):
            problem = (
                f"'{text}', is not in normal form ('{normalize(text)}')" if text else "the empty text, finds nothing"
            )
            raise UserError(f"{url}: query {number}, {problem}", f"put it into normal form: {REMEDY}")
    if len(set(texts)) < len(texts):
        twice = next(text for text, count in Counter(texts).items() if count > 1)
        raise UserError(f"{url}: two queries are equal: '{twice}'", REMEDY)
