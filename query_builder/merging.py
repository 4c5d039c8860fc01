"""Several lists as one.

In: query lists, built or imported, or files of texts. Out: one list with every query once, with all its sources, titles
and synsets; its place and numbers are those that the first list to have it gives.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from query_builder.config import MergeConfig
from query_builder.importing import compat_of, texts_of
from query_builder.inputs import described
from query_builder.lists import check_texts, is_query_list, read_list
from query_builder.rows import write_queries
from query_builder.schema import Query, read_metadata
from webimagetext.errors import UserError

__all__ = ["merge", "merge_lists"]

FIELDS = tuple(field.name for field in fields(Query))
JOINED = ("sources", "titles", "synsets")


def merge(urls: Sequence[str], excluded: frozenset[str], *, as_written: bool = False) -> list[Query]:
    """The rows of all lists, ordered by query, without the ``excluded``. ``as_written`` takes the letters as they are,
    for the published rule of matching. Raises UserError for a file that is no list, or one for the other rule."""
    found: dict[str, Query] = {}
    for url in urls:
        _check_rule(url, as_written=as_written)
        table = read_list(url, as_written=as_written)
        check_texts(table, url, published=as_written)
        for row in table.select(FIELDS).to_pylist():
            values: dict[str, Any] = {name: tuple(row[name]) if name in JOINED else row[name] for name in FIELDS}
            query = Query(**values)
            if query.query in excluded:
                continue
            known = found.setdefault(query.query, query)
            if known is not query:
                _join(known, query)
    return [found[name] for name in sorted(found)]


def _check_rule(url: str, *, as_written: bool) -> None:
    """Raises UserError for a list that was made for the other rule of matching."""
    settings = (read_metadata(url) or {}).get("settings", {}) if is_query_list(url) else {}
    compat = settings.get("compat")
    if compat is not None and compat != compat_of(as_written):
        wanted = "leave out --compat metaclip" if as_written else "add --compat metaclip, or leave the list out"
        raise UserError(f"{url}: a list made with --compat {compat}", wanted)


def _join(known: Query, other: Query) -> None:
    """Adds to a row what another list says of the same query."""
    for name in JOINED:
        setattr(known, name, tuple(dict.fromkeys((*getattr(known, name), *getattr(other, name)))))
    for name in ("word_count", "bigram_count", "pmi", "page_views"):
        if getattr(known, name) is None:
            setattr(known, name, getattr(other, name))


def merge_lists(urls: Sequence[str], config: MergeConfig) -> None:
    """The command: writes the list and prints what it is made of."""
    as_written = config.compat == "metaclip"
    excluded = texts_of(config.exclude, as_written=as_written)
    rows = merge(urls, excluded, as_written=as_written)
    if not rows:
        raise UserError("every query of the lists is excluded", "give fewer texts to exclude")
    read = sum(len(read_list(url, ("query",), as_written=as_written)) for url in urls)
    metadata: dict[str, Any] = {
        "settings": {"compat": config.compat, "merged": True},
        "inputs": [described(url) for url in [*urls, *config.exclude]],
        "totals": {"queries": read},
    }
    write_queries(config.output, rows, metadata)
    print(f"{config.output}: {len(rows):,} queries of {read:,} in {len(urls):,} lists")
