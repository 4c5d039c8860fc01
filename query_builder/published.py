"""The rules of the published re-creation of the list, errors included, so that the difference can be shown.

In: the counts, titles and synsets. Out: rows as in the list, but ``query`` is the entry as that list has it. Its rules:
WordNet names cut at the first dot ("st. louis" gives "st") and "0" to "99"; words of 100 occurrences; bigrams by a PMI
so high (30 bits) that only pairs met a handful of times can reach it; titles of 70 views as they are written, qualifier
and all. Nothing is folded together.
"""

from typing import Any

from query_builder.merge.titles import TitleName
from query_builder.schema import Query
from query_builder.sources.synset import Synset
from query_builder.sources.wordnet import published_names
from query_builder.write import Knowledge

__all__ = ["published_rows"]


def published_rows(knowledge: Knowledge, titles: list[TitleName], synsets: list[Synset]) -> list[Query]:
    """All rows, ordered by entry; an entry of several sources is admitted by the first of synset, word, bigram,
    title."""
    corpus = knowledge.corpus
    entries: dict[str, list[str]] = {}
    numbers: dict[str, dict[str, Any]] = {}

    def enter(entry: str, source: str, **values: Any) -> None:
        sources = entries.setdefault(entry, [])
        if source not in sources:
            sources.append(source)
        numbers.setdefault(entry, {}).update(values)

    if synsets:
        for entry in published_names(synsets):
            enter(entry, "synset")
    for synset in synsets:
        entry = synset.name.split(".")[0].replace("_", " ")
        if entry:
            known = numbers[entry]
            known["synsets"] = (*known.get("synsets", ()), synset.name)
    words = corpus.ranked_words(knowledge.min_word_count, len(corpus.words.counts))
    for word, row in zip(words, corpus.rows(words)[0].tolist(), strict=True):
        enter(word, "word", word_count=int(corpus.words.counts[row]))
    bigrams = list(corpus.ranked_bigrams(len(corpus.bigrams.count)))
    for bigram, row in zip(bigrams, corpus.rows(bigrams)[1].tolist(), strict=True):
        enter(bigram, "bigram", bigram_count=int(corpus.bigrams.count[row]), pmi=float(corpus.bigrams.pmi[row]))
    for title in titles:
        if title.views is None or title.views >= knowledge.min_page_views:
            for text in title.titles:
                enter(text, "title", page_views=title.views, titles=(text,))
    return [
        Query(entry, entry, tuple(entries[entry]), entries[entry][0], **numbers[entry]) for entry in sorted(entries)
    ]
