"""What a list is made of: settings, inputs, and the head and the foot of each source.

In: ``queries.parquet``. Out: text on standard output.
"""

import pyarrow as pa
import pyarrow.compute as pc

from query_builder.config import InspectConfig
from query_builder.explain import explain
from query_builder.lists import read_list, sources_of
from query_builder.schema import read_metadata
from webimagetext.foreign import shown

__all__ = ["head_and_foot", "inspect", "row_parts"]

NUMBERS = {"word": "word_count", "bigram": "bigram_count", "title": "page_views", "synset": "word_count"}


def inspect(url: str, config: InspectConfig) -> None:
    """Prints the overview, or the answer about one text. Raises UserError if ``url`` is no list."""
    if config.find is not None:
        print(shown("\n".join(explain(url, config.find))))
        return
    table = read_list(url)
    metadata = read_metadata(url) or {}
    print(f"{url}: {len(table):,} queries")
    if settings := metadata.get("settings"):
        told = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "budgets")
        print(shown(f"settings: {told}"))
    for item in metadata.get("inputs", ()):
        print(shown(f"input: {item['name']}  {item['bytes']:,} bytes  sha256 {item['sha256']}"))
    for source in sources_of(table):
        mask = pc.equal(table["admitted"], source)
        part = table.filter(mask)
        head, foot = head_and_foot(part, source, config.top)
        print(f"\n{source or 'no source'}: {len(part):,} in its places; the first {len(head)}:")
        for row in head:
            print(shown(f"  {'  '.join(row_parts(row))}"))
        if foot:
            print(f"the last {len(foot)}:")
        for row in foot:
            print(shown(f"  {'  '.join(row_parts(row))}"))


def head_and_foot(table: pa.Table, source: str, count: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The first and the last rows, ``count`` each at most, in the order that the source is ranked by; no row is in
    both."""
    values = pc.fill_null(table[NUMBERS.get(source, "word_count")], 0)
    if source == "bigram":
        values = pc.add(pc.fill_null(table["pmi"], 0.0), pc.log2(pc.max_element_wise(values, 1)))  # as they are ranked
    keys = pa.table({"value": values, "query": table["query"]})
    order = pc.sort_indices(keys, sort_keys=[("value", "descending"), ("query", "ascending")])
    last = max(count, len(order) - count)
    return table.take(order[:count]).to_pylist(), table.take(order[last:]).to_pylist()


def row_parts(row: dict[str, object]) -> list[str]:
    """A row as it is written, and its numbers, with what they are."""
    parts = [f"{row['surface']}"]
    for name, label in (("word_count", "times"), ("bigram_count", "times together"), ("page_views", "views")):
        if row[name] is not None:
            parts.append(f"{row[name]:,} {label}")
    if row["pmi"] is not None:
        parts.append(f"PMI {row['pmi']:.1f}")
    return parts
