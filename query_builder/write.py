"""The rows of the query list, and the near misses beside it.

In: the chosen names, the corpus, titles and synsets. Out: rows for :mod:`query_builder.rows`, and a Parquet file of
near misses (:mod:`query_builder.schema`), byte-identical for equal inputs, which appears under its name when it is
whole.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from query_builder.corpus import Corpus
from query_builder.merge.titles import TitleName
from query_builder.rows import ROWS_A_GROUP, parquet_writer
from query_builder.schema import CANDIDATES, METADATA_KEY, REASONS, Query
from query_builder.sources.synset import Synset

__all__ = ["Knowledge", "write_candidates"]

MAX_TITLES = 8  # titles kept for a name; the views are those of all


@dataclass(frozen=True)
class Knowledge:
    """All that is known about names: counts, titles and synsets by normal form, the least counts of words and titles,
    and the names that get no place whatever they pass."""

    corpus: Corpus
    titles: Mapping[str, TitleName]
    synsets: Mapping[str, list[Synset]]
    min_word_count: int
    min_page_views: int
    excluded: frozenset[str] = frozenset()

    def rows(self, chosen: Mapping[str, str]) -> list[Query]:
        """The rows of the chosen names, ordered by name."""
        names = sorted(chosen)
        words, pairs = self.corpus.rows(names)
        bigrams = self.corpus.bigrams
        rows = [
            self._row(*values)
            for values in zip(
                names,
                [chosen[name] for name in names],
                _values(self.corpus.words.counts, words),
                _values(self.corpus.missed_by_words(self.min_word_count) == 0, words),
                _values(bigrams.count, pairs),
                _values(bigrams.pmi, pairs),
                _values(self.corpus.passed, pairs),
                strict=True,
            )
        ]
        # A name is one word, two, or more: never both of these.
        for surfaces, found in ((self.corpus.word_surfaces, words), (self.corpus.bigram_surfaces, pairs)):
            places = np.flatnonzero(found >= 0)
            for place, surface in zip(places.tolist(), surfaces(found[places]), strict=True):
                rows[place].surface = surface
        return rows

    def rules(self) -> dict[str, dict[str, int]]:
        """How many words, of those whose counts are kept, and bigrams each rule keeps out, by its name in REASONS."""
        words = np.bincount(self.corpus.missed_by_words(self.min_word_count), minlength=len(REASONS))
        found = {"word": dict(zip(REASONS, words.tolist(), strict=True)), "bigram": self.corpus.bigram_reasons}
        return {
            source: {reason: count for reason, count in counts.items() if reason and count}
            for source, counts in found.items()
        }

    def _row(
        self,
        name: str,
        admitted: str,
        word_count: int | None,
        is_word: bool | None,
        bigram_count: int | None,
        pmi: float | None,
        is_bigram: bool | None,
    ) -> Query:
        """The row of a query, written as its title or synset is."""
        title, synsets = self.titles.get(name), self.synsets.get(name, ())
        sources = []
        if is_word:
            sources.append("word")
        if is_bigram:
            sources.append("bigram")
        if title and (title.views is None or title.views >= self.min_page_views):
            sources.append("title")
        if synsets:
            sources.append("synset")
        return Query(
            name,
            title.surface if title else synsets[0].head if synsets else name,
            tuple(sources),
            admitted,
            word_count,
            bigram_count,
            pmi,
            title.views if title else None,
            title.titles[:MAX_TITLES] if title else (),
            tuple([synset.name for synset in synsets]),
        )


def _values(column: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> list[Any]:
    """The column's values at ``rows``, None where the row is -1."""
    if not len(column):
        return [None] * len(rows)
    return [value if row >= 0 else None for row, value in zip(rows.tolist(), column[rows].tolist(), strict=True)]


def write_candidates(path: str, knowledge: Knowledge, chosen: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
    """Writes the counted words, bigrams, titles and synset names that are not in the list, source by source, best
    first. By the published rules all synsets are in, under other names."""
    schema = CANDIDATES.with_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode()})
    corpus = knowledge.corpus
    with parquet_writer(path, schema) as writer:

        def write(
            source: str, names: list[str], counts: list[Any], missed: Sequence[str], pmi: list[float] | None = None
        ) -> None:
            rest = [row for row, name in enumerate(names) if name not in chosen]
            columns = {
                "query": [names[row] for row in rest],
                "source": [source] * len(rest),
                "count": [counts[row] for row in rest],
                "pmi": [pmi[row] if pmi else None for row in rest],
                "reason": [
                    missed[row] or ("excluded" if names[row] in knowledge.excluded else "no room") for row in rest
                ],
            }
            writer.write_table(pa.table(columns, schema=schema))

        missed = corpus.missed_by_words(knowledge.min_word_count)
        order = np.lexsort((corpus.words.hashes, -corpus.words.counts))
        for start in range(0, len(order), ROWS_A_GROUP):
            rows = order[start : start + ROWS_A_GROUP]
            texts = [text.decode() for text in corpus.words.texts.take(pa.array(rows)).to_pylist()]
            write("word", texts, corpus.words.counts[rows].tolist(), [REASONS[place] for place in missed[rows]])
        for start in range(0, len(corpus.bigrams.count), ROWS_A_GROUP):
            rows = np.arange(start, min(start + ROWS_A_GROUP, len(corpus.bigrams.count)))
            numbers = corpus.bigrams.take(rows)
            reasons = [REASONS[place] for place in numbers.missed]
            write("bigram", corpus.bigram_texts(rows), numbers.count.tolist(), reasons, numbers.pmi.tolist())
        titles = sorted(knowledge.titles.values(), key=lambda title: title.rank)
        for start in range(0, len(titles), ROWS_A_GROUP):
            part = titles[start : start + ROWS_A_GROUP]
            views = [title.views for title in part]
            low = ["rare" if n is not None and n < knowledge.min_page_views else "" for n in views]
            write("title", [title.name for title in part], views, low)
        if metadata["settings"]["compat"] != "metaclip":
            names = sorted(knowledge.synsets)
            write("synset", names, corpus.counts_of(names).tolist(), [""] * len(names))
