"""A list of one's own texts as a query list.

In: files of texts (:mod:`query_builder.sources.texts`). Out: the rows of a list, and what became of the texts: which
fell together in normal form, which had no word. The source of a query is the one its file gives it, else ``list:`` and
the file's name.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from query_builder.config import ImportConfig
from query_builder.inputs import described
from query_builder.normalize import normalize
from query_builder.rows import queries_table, write_queries
from query_builder.schema import Query
from query_builder.sources.texts import TEXT_COLUMNS, read_texts
from webimagetext.errors import UserError

__all__ = ["collect", "compat_of", "import_lists", "import_to", "texts_of"]

EXAMPLES = 5
MAX_LENGTH = 1000  # characters: no caption holds such a text
SHOWN = 60  # characters of a text in a message


@dataclass
class Imported:
    """The rows of the list, ordered by query, and what became of the texts: counts and the first few of each kind."""

    rows: list[Query]
    texts: int
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """The rows as a table of QUERIES, numbered."""
        return queries_table(self.rows)

    def lines(self) -> Iterator[str]:
        """What became of the texts, for people."""
        yield f"{self.texts:,} texts gave {len(self.rows):,} queries"
        for kind, count in self.counts.items():
            if count:
                more = ", …" if count > len(self.examples[kind]) else ""
                yield f"  {count:,} {kind}: {', '.join(self.examples[kind])}{more}"


EQUAL, WORDLESS, LONG = "equal to an earlier one", "without a word", f"longer than {MAX_LENGTH:,} characters"
EXCLUDED = "excluded"


def collect(urls: Sequence[str], column: str = "", *, as_written: bool = False) -> Imported:
    """The list that the texts of all files make together. ``as_written`` keeps their letters, for the published rule of
    matching.

    Raises UserError for a file that cannot be read, or when there is no query in any.
    """
    found: dict[str, Query] = {}
    result = Imported([], 0, dict.fromkeys((EQUAL, WORDLESS, LONG), 0), {EQUAL: [], WORDLESS: [], LONG: []})

    def note(kind: str, example: str) -> None:
        result.counts[kind] += 1
        if len(result.examples[kind]) < EXAMPLES and example not in result.examples[kind]:
            result.examples[kind].append(example)

    for url in urls:
        own = (f"list:{os.path.basename(url)}",)
        for item in read_texts(url, column):
            text = item.text.strip()
            if not text and not item.sources:
                continue  # an empty line
            result.texts += 1
            if len(text) > MAX_LENGTH:
                note(LONG, f"{os.path.basename(url)} line {item.place:,} ('{text[:SHOWN]}…')")
                continue
            query = text if as_written else normalize(text)
            if not query:
                note(WORDLESS, f"'{text[:SHOWN]}'")
                continue
            sources = item.sources or own
            if query not in found:
                found[query] = Query(query, text, sources, sources[0])
                continue
            known = found[query]
            note(EQUAL, f"'{text[:SHOWN]}' = '{known.surface[:SHOWN]}'")
            known.sources = tuple(dict.fromkeys((*known.sources, *sources)))
    if not found:
        raise UserError(
            f"{', '.join(urls)}: no query in {'it' if len(urls) == 1 else 'them'}",
            f"texts stand one a line, or in a column such as {', '.join(TEXT_COLUMNS[:3])}",
        )
    result.rows = [found[query] for query in sorted(found)]
    return result


def compat_of(as_written: bool) -> str:
    """How the settings of a list name what was done to the letters, as those of a built one do."""
    return "metaclip" if as_written else "none"


def texts_of(urls: Sequence[str], *, as_written: bool = False) -> frozenset[str]:
    """The texts of a user's files as queries are written; nothing where there are no files."""
    return frozenset(row.query for row in collect(urls, as_written=as_written).rows) if urls else frozenset()


def import_to(
    output: str, urls: Sequence[str], column: str = "", exclude: Sequence[str] = (), *, as_written: bool = False
) -> Imported:
    """Writes the list of all files to ``output``, without the texts of the files in ``exclude``; equal files give equal
    bytes. Raises UserError if none is left."""
    found = collect(urls, column, as_written=as_written)
    if excluded := texts_of(exclude, as_written=as_written):
        gone = [row for row in found.rows if row.query in excluded]
        found.rows = [row for row in found.rows if row.query not in excluded]
        found.counts[EXCLUDED], found.examples[EXCLUDED] = (
            len(gone),
            [f"'{row.surface[:SHOWN]}'" for row in gone[:EXAMPLES]],
        )
        if not found.rows:
            raise UserError(f"{', '.join(urls)}: every text is excluded", "give fewer texts to exclude")
    settings = {"compat": compat_of(as_written), "column": column, "imported": True}
    metadata: dict[str, Any] = {
        "settings": settings,
        "inputs": [described(url) for url in [*urls, *exclude]],
        "totals": {"texts": found.texts, **found.counts},
    }
    write_queries(output, found.rows, metadata)
    return found


def import_lists(urls: Sequence[str], config: ImportConfig) -> None:
    """The command: writes the list and prints what became of the texts."""
    as_written = config.compat == "metaclip"
    found = import_to(config.output, urls, config.column, config.exclude, as_written=as_written)
    print("\n".join([*found.lines(), f"{config.output}: {len(found.rows):,} queries"]))
