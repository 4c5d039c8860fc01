"""Why a text is in a list, or not; and of every query of a list why it is in.

In: ``queries.parquet``, the near misses beside it, and the thresholds in its metadata. Out: lines of text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from query_builder.config import SOURCES, ExplainConfig
from query_builder.lists import read_list
from query_builder.near_misses import near_misses
from query_builder.normalize import normalize
from query_builder.schema import candidates_path, read_metadata
from webimagetext.errors import UserError
from webimagetext.files import exists
from webimagetext.foreign import shown

__all__ = ["explain", "explain_all", "reasons"]

UNITS = {"word": "occurrences", "bigram": "occurrences", "title": "views", "synset": "occurrences"}
THRESHOLDS = {"word": "min_word_count", "bigram": "min_bigram_count", "title": "min_page_views"}


def explain_all(url: str, texts: Sequence[str], config: ExplainConfig) -> None:
    """Prints why each of the texts is in the list or not; without texts, a line for each query: the query, its number,
    the source in whose place it stands, and why, with tabs between. Raises UserError if ``url`` is no list."""
    if texts:
        print(shown("\n".join(line for text in texts for line in explain(url, text))))
        return
    table = read_list(url)
    settings = (read_metadata(url) or {}).get("settings", {})
    if config.source:
        table = table.filter(pc.equal(table["admitted"], config.source))
    for batch in table.to_batches(max_chunksize=1 << 14):
        for row in batch.to_pylist():
            why = "; ".join(reasons(row, settings)) or "given"
            print(shown(f"{row['query']}\t{row['id']}\t{row['admitted']}\t{why}"))


def reasons(row: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """Of a row of a list, each source that it passes and by what; then the numbers that are told alone."""
    views = "views not given" if row["page_views"] is None else f"{row['page_views']:,} views"
    pmi = "" if row["pmi"] is None else f", PMI {row['pmi']:.2f}"
    told = {
        "word": (row["word_count"] is not None, f"{row['word_count'] or 0:,} occurrences", ("min_word_count",)),
        "bigram": (
            row["bigram_count"] is not None,
            f"{row['bigram_count'] or 0:,} occurrences{pmi}",
            ("min_bigram_count", "min_pmi"),
        ),
        "title": (bool(row["titles"]), f"{', '.join(row['titles'])}: {views}", ("min_page_views",)),
        "synset": (bool(row["synsets"]), ", ".join(row["synsets"]), ()),
    }
    for source, (known, what, thresholds) in told.items():
        if known:
            passes = "" if source in row["sources"] else ", only told"
            yield f"{source}: {what}{_least(settings, *thresholds)}{passes}"
    for source in row["sources"]:
        if source not in told or not told[source][0]:
            yield f"given by {source}"


def explain(url: str, text: str) -> list[str]:
    """Why ``text`` is in the list, or which threshold it missed, in lines."""
    metadata = read_metadata(url) or {}
    table = read_list(url)
    settings = metadata.get("settings", {})
    query = text if settings.get("compat") == "metaclip" else normalize(text)
    if not query:
        raise UserError(f"{text!r}: there is no word in it")
    found = table.filter(pc.equal(table["query"], query)).to_pylist()
    if found:
        row = found[0]
        place = f"its sources: {', '.join(row['sources']) or 'none given'}."
        if row["admitted"] in SOURCES:
            place = f"it has its place as a {row['admitted']}."
        lines = [f"'{query}' is query {row['id']}, written '{row['surface']}'; {place}"]
        for reason in reasons(row, settings):
            lines.append(f"  {reason}")
            if reason.startswith("bigram:"):
                lines += _words_of(url, table, query, settings)
        return lines
    lines = [f"'{query}' is not in the list."]
    if "min_word_count" not in settings:  # not built from counts
        return lines
    near = near_misses(url, [query])
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
    for miss in near_misses(url, words):
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
