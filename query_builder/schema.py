"""The columns of ``queries.parquet`` and of the near misses beside it: the contract with the pipeline.

A row of the list is one query. ``query`` is in normal form (:mod:`query_builder.normalize`) and unique; rows are
ordered by it and ``id`` is the row's number, so the same inputs give the same ids. ``sources`` names every source whose
threshold the query passes; ``admitted`` the one in whose budget it stands. A number is null where nothing was counted.
The metadata entry ``query_builder`` holds the settings, the checksums of the inputs, the totals and the number of the
normal form, as JSON.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from webimagetext.files import exists, open_input, read
from webimagetext.parquet import UNREADABLE, open_parquet
from webimagetext.sealed import is_broken_parquet

__all__ = [
    "CANDIDATES",
    "METADATA_KEY",
    "QUERIES",
    "REASONS",
    "Query",
    "candidates_path",
    "form_of",
    "is_whole",
    "metadata_of",
    "read_metadata",
]

METADATA_KEY = b"query_builder"
QUERIES = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("surface", pa.string(), nullable=False),  # as most often written
        pa.field("id", pa.uint32(), nullable=False),
        pa.field("sources", pa.list_(pa.string()), nullable=False),  # of word, bigram, title, synset
        pa.field("admitted", pa.string(), nullable=False),
        pa.field("word_count", pa.int64()),  # occurrences in the dump, for queries of one word
        pa.field("bigram_count", pa.int64()),  # occurrences in the dump, for queries of two words that stood together
        pa.field("pmi", pa.float64()),  # bits
        pa.field("page_views", pa.int64()),  # of all titles of this name, with redirects
        pa.field("titles", pa.list_(pa.string()), nullable=False),  # most viewed first
        pa.field("synsets", pa.list_(pa.string()), nullable=False),  # such as dog.n.01
    ]
)


@dataclass(slots=True)
class Query:
    """A row of the list before it has its number; the fields are the columns of :data:`QUERIES`."""

    query: str
    surface: str
    sources: tuple[str, ...]
    admitted: str
    word_count: int | None = None
    bigram_count: int | None = None
    pmi: float | None = None
    page_views: int | None = None
    titles: tuple[str, ...] = ()
    synsets: tuple[str, ...] = ()


# The rule that kept out what was read and is not in a list: occurrences of a bigram's words, occurrences or views,
# the measures of bigrams, kinds of words, a user's list; or a list that was full. None: it passed.
REASONS = (
    "",
    "rare words",
    "rare",
    "low PMI",
    "low log-likelihood",
    "function word",
    "number",
    "stop word",
    "excluded",
    "no room",
)

# What was read but didn't get in: `count` is occurrences (of a synset's name, 0 where it was not counted), for titles
# views (null without page views); `reason` is one of REASONS.
CANDIDATES = pa.schema(
    [
        ("query", pa.string()),
        ("source", pa.string()),
        ("count", pa.int64()),
        ("pmi", pa.float64()),
        ("reason", pa.string()),
    ]
)


def candidates_path(queries: str) -> str:
    """The near misses' file beside a query list."""
    return f"{queries.removesuffix('.parquet')}.candidates.parquet"


def read_metadata(url: str) -> dict[str, Any] | None:
    """The settings, checksums and totals a list was built with; None if there is no such list, or none
    that says it."""
    if not exists(url):
        return None
    with open_input(url) as stream:
        try:
            schema = pq.read_schema(stream)
        except UNREADABLE:
            return None
    return metadata_of(schema)


def metadata_of(schema: pa.Schema) -> dict[str, Any] | None:
    """What :func:`read_metadata` gives, of a list whose columns are read already."""
    metadata = schema.metadata or {}
    try:
        loaded: dict[str, Any] | None = json.loads(metadata[METADATA_KEY]) if METADATA_KEY in metadata else None
    except ValueError:
        return None
    return loaded


def form_of(metadata: Mapping[str, Any]) -> int:
    """The number of the normal form (query_builder/normalize.py) that a list's words are in, as its metadata says."""
    return int(metadata.get("normal_form", 1))  # the first one was not numbered


def is_whole(url: str) -> bool:
    """Whether a Parquet file is there and is as its checksum says, where it has one."""
    content = read(url)
    if content is None or is_broken_parquet(content):
        return False
    try:
        open_parquet(io.BytesIO(content))
    except UNREADABLE:
        return False
    return True
