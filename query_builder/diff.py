"""Compares two query lists by source: what stayed, what went, what came, and what changed its place.

In: two lists. Out: text on standard output, and the numbers for other code.
"""

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa

from query_builder.config import SOURCES, DiffConfig
from query_builder.lists import read_list
from query_builder.schema import read_metadata
from webimagetext.foreign import shown

__all__ = ["compare", "diff"]


@dataclass(frozen=True)
class SourceChange:
    """One source's queries in common, only in the old list, only in the new one (each sorted)."""

    source: str
    kept: int
    gone: tuple[str, ...]
    new: tuple[str, ...]


def compare(old: str, new: str) -> list[SourceChange]:
    """The changes of each source; a query counts for every source it passes."""
    tables = [read_list(url, ("query", "sources")) for url in (old, new)]
    sides = [_by_source(table) for table in tables]
    named = {name for side in sides for name in side}
    changes = []
    for source in (*SOURCES, *sorted(named - set(SOURCES))):
        before, after = (side.get(source, set()) for side in sides)
        changes.append(
            SourceChange(source, len(before & after), tuple(sorted(before - after)), tuple(sorted(after - before)))
        )
    return changes


def _by_source(table: pa.Table) -> dict[str, set[str]]:
    """The queries that pass each source."""
    found: dict[str, set[str]] = defaultdict(set)
    for query, sources in zip(table["query"].to_pylist(), table["sources"].to_pylist(), strict=True):
        for source in sources:
            found[source].add(query)
    return found


def diff(old: str, new: str, config: DiffConfig) -> None:
    """Prints the comparison. Raises UserError if a file is not a query list."""
    queries = [set(read_list(url, ("query",))["query"].to_pylist()) for url in (old, new)]
    common = len(queries[0] & queries[1])
    print(f"old: {old}: {len(queries[0]):,} queries\nnew: {new}: {len(queries[1]):,} queries")
    print(f"in both {common:,}   only in old {len(queries[0]) - common:,}   only in new {len(queries[1]) - common:,}")
    before, after = ((read_metadata(url) or {}).get("settings", {}) for url in (old, new))
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            print(shown(f"setting {name}: {before.get(name)} -> {after.get(name)}"))
    for change in compare(old, new):
        if not (change.kept or change.gone or change.new):
            continue
        print(f"\n{change.source}: {change.kept:,} kept, {len(change.gone):,} gone, {len(change.new):,} new")
        for label, names in (("gone", change.gone), ("new", change.new)):
            if names and config.examples:
                more = f", … {len(names) - config.examples:,} more" if len(names) > config.examples else ""
                print(shown(f"  {label}: {', '.join(names[: config.examples])}{more}"))
