"""What a list is made of, and why one text is in it or not.

In: ``queries.parquet``, the near misses beside it, and the thresholds in its metadata. Out: text on standard output.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from query_builder.config import SOURCES, InspectConfig
from query_builder.lists import AGAIN, read_list, sources_of
from query_builder.normalize import normalize
from query_builder.schema import candidates_path, read_metadata
from webimagetext.errors import UserError
from webimagetext.files import exists, open_input
from webimagetext.foreign import shown
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["explain", "inspect"]

NUMBERS = {"word": "word_count", "bigram": "bigram_count", "title": "page_views", "synset": "word_count"}
UNITS = {"word": "occurrences", "bigram": "occurrences", "title": "views", "synset": "occurrences"}
THRESHOLDS = {"word": "min_word_count", "bigram": "min_bigram_count", "title": "min_page_views"}


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
        best = best_rows(part, source, config.top)
        print(f"\n{source or 'no source'}: {len(part):,} in its places; the first {len(best)}:")
        for row in best:
            print(shown(f"  {_line(row)}"))


def best_rows(table: pa.Table, source: str, count: int) -> list[dict[str, object]]:
    """The first rows in the order that the source is ranked by."""
    values = pc.fill_null(table[NUMBERS.get(source, "word_count")], 0)
    if source == "bigram":
        values = pc.add(pc.fill_null(table["pmi"], 0.0), pc.log2(pc.max_element_wise(values, 1)))  # as they are ranked
    keys = pa.table({"value": values, "query": table["query"]})
    order = pc.sort_indices(keys, sort_keys=[("value", "descending"), ("query", "ascending")])
    rows: list[dict[str, object]] = table.take(order[:count]).to_pylist()
    return rows


def _line(row: dict[str, object]) -> str:
    parts = [f"{row['surface']}"]
    for name, label in (("word_count", "times"), ("bigram_count", "times together"), ("page_views", "views")):
        if row[name] is not None:
            parts.append(f"{row[name]:,} {label}")
    if row["pmi"] is not None:
        parts.append(f"PMI {row['pmi']:.1f}")
    return "  ".join(parts)


def explain(url: str, text: str) -> list[str]:
    """Why ``text`` is in the list, or which threshold it missed, in lines."""
    metadata = read_metadata(url) or {}
    table = read_list(url)
    settings = metadata.get("settings", {})
    query = text if settings.get("compat") == "metaclip" else normalize(text)
    if not query:
        raise UserError(f"--find {text!r}: there is no word in it")
    found = table.filter(pc.equal(table["query"], query)).to_pylist()
    if found:
        row = found[0]
        place = f"its sources: {', '.join(row['sources']) or 'none given'}."
        if row["admitted"] in SOURCES:
            place = f"it has its place as a {row['admitted']}."
        lines = [f"'{query}' is query {row['id']}, written '{row['surface']}'; {place}"]
        if row["word_count"] is not None:
            lines.append(f"  word: {row['word_count']:,} occurrences{_least(settings, 'min_word_count')}")
        if row["bigram_count"] is not None:
            pmi = "" if row["pmi"] is None else f", PMI {row['pmi']:.2f}"
            lines.append(
                f"  bigram: {row['bigram_count']:,} occurrences{pmi}{_least(settings, 'min_bigram_count', 'min_pmi')}"
            )
            lines += _words_of(url, table, query, settings)
        if row["titles"]:
            views = "views not given" if row["page_views"] is None else f"{row['page_views']:,} views"
            lines.append(f"  title: {', '.join(row['titles'])}: {views}{_least(settings, 'min_page_views')}")
        if row["synsets"]:
            lines.append(f"  synset: {', '.join(row['synsets'])}")
        return lines
    lines = [f"'{query}' is not in the list."]
    if "min_word_count" not in settings:  # not built from counts
        return lines
    near = _near_misses(url, [query])
    counts = _word_counts(url, table, query)
    for miss in near:
        lines.append(f"  {miss['source']}: {_missed(miss, settings, counts)}")
        if miss["source"] == "bigram":
            lines += _words_of(url, table, query, settings)
    if not near:
        lines.append(
            "  Nothing is kept of it: it is no synset and no title among the best, and it was not counted as a"
        )
        lines.append(
            f"  word or bigram, or too seldom (a word less than a tenth of the {settings['min_word_count']:,} times "
            "needed)."
        )
    return lines


def _word_counts(url: str, table: pa.Table, query: str) -> dict[str, int | None]:
    """The occurrences of each word of a query of several, None where its count was not kept; nothing for other
    queries."""
    words = list(dict.fromkeys(query.split(" ")))
    if " " not in query or not exists(candidates_path(url)):
        return {}
    inside = table.filter(pc.is_in(table["query"], pa.array(words))).to_pylist()
    counts: dict[str, int | None] = dict.fromkeys(words)
    counts.update({row["query"]: row["word_count"] for row in inside})
    for miss in _near_misses(url, words):
        if miss["source"] == "word":
            counts[str(miss["query"])] = cast(int, miss["count"])
    return counts


def _words_of(url: str, table: pa.Table, query: str, settings: Mapping[str, Any]) -> list[str]:
    """The line that says how often the words of a bigram occur, where that is known."""
    counts = _word_counts(url, table, query)
    told = [f"{word} {'fewer than are kept' if n is None else f'{n:,}'}" for word, n in counts.items()]
    return [f"    its words: {', '.join(told)}{_least(settings, 'min_word_count')}"] if told else []


def _least(settings: Mapping[str, Any], *names: str) -> str:
    """The thresholds of these names, where the list has them."""
    values = [f"{settings[name]:,}" for name in names if name in settings]
    return f" (threshold{'s' if len(values) > 1 else ''} {' and '.join(values)})" if values else ""


def _near_misses(url: str, queries: Sequence[str]) -> list[dict[str, object]]:
    """What the file beside a list keeps of some queries. Raises UserError where it is missing or damaged."""
    path = candidates_path(url)
    if not exists(path):
        raise UserError(f"{path}: the near misses that belong to {url} are missing", AGAIN)
    with open_input(path) as stream:
        try:
            file = open_parquet(stream)
            if "reason" not in file.schema_arrow.names:
                raise UserError(f"{path}: is of an earlier version, which did not note why a text is not in", AGAIN)
            wanted = pa.array(queries, pa.string())
            parts = [group.filter(pc.is_in(group["query"], wanted)) for group in file.iter_batches()]
        except UNREADABLE as error:
            raise UserError(f"{path}: is damaged: {error}", AGAIN) from None
    rows: list[dict[str, object]] = pa.Table.from_batches(parts, file.schema_arrow).to_pylist() if parts else []
    return rows


def _missed(miss: Mapping[str, object], settings: Mapping[str, Any], word_counts: Mapping[str, int | None]) -> str:
    """Which rule, or else which rank, kept a near miss out; ``word_counts`` are those of its words."""
    source, reason, count, pmi = str(miss["source"]), miss["reason"], miss["count"], miss["pmi"]
    number = "views not given" if count is None else f"{count:,} {UNITS[source]}"
    measured = f"{number}, PMI {pmi:.2f}" if isinstance(pmi, float) else number
    least = settings["min_word_count"]
    rare = [word for word, n in word_counts.items() if n is None or n < least]
    told = {
        "rare words": f"{number}, but {' and '.join(map(repr, rare))} below the threshold of words, {least:,}",
        "rare": f"{number}, below the threshold of {settings.get(THRESHOLDS.get(source, ''), 0):,}",
        "low PMI": f"PMI {pmi or 0:.2f}, below the threshold of {settings['min_pmi']}",
        "low log-likelihood": f"{measured}: so few occurrences may be chance: log-likelihood below the threshold of "
        f"{settings.get('min_log_likelihood')}",
        "function word": f"{measured}, but a word of it is a function word",
        "number": f"{measured}, but it {'begins with' if source == 'bigram' else 'is'} a number",
        "stop word": f"{measured}, but {'a word of it' if source == 'bigram' else 'it'} is a stop word",
        "excluded": f"{measured}: left out by --exclude",
    }
    passed = "above the thresholds" if source in THRESHOLDS else "read"
    full = f"{measured}: {passed}, but the list of {settings['size']:,} was full of better ones"
    return told.get(str(reason), full)
