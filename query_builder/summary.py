"""The lines a build ends with: what was read, what was found, what the list is made of."""

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from query_builder.config import SOURCES, BuildConfig
from query_builder.corpus import Totals
from query_builder.merge.titles import TitleStatistics
from query_builder.schema import Query
from query_builder.sources.synset import Synset
from query_builder.sources.wordnet import published_names
from query_builder.write import Knowledge
from webimagetext.progress import human_bytes

__all__ = ["fitting_thresholds", "print_summary"]

WHOLE_WIKIPEDIA = 2_500_000_000  # words of text in the English one
LEAST_WORD, LEAST_BIGRAM = 3, 2
USUAL = ("pages", "articles", "redirects", "disambiguation pages", "text_bytes", "xml_bytes")


def print_summary(
    config: BuildConfig,
    rows: Sequence[Query],
    totals: Totals,
    titles: TitleStatistics,
    views: Mapping[str, int],
    knowledge: Knowledge,
    synsets: list[Synset],
) -> None:
    """Prints the summary on standard output."""
    ledger = totals.ledger
    print(
        f"read     {ledger.get('articles', 0):,} articles, {ledger.get('redirects', 0):,} redirects, "
        f"{ledger.get('disambiguation pages', 0):,} disambiguation pages in {human_bytes(ledger.get('xml_bytes', 0))} "
        "of XML"
    )
    if titles.repeated:
        print(
            f"twice    {titles.repeated:,} pages have the title of another page: where dumps overlap, text counts twice"
        )
    distinct = sum(knowledge.corpus.bigram_reasons.values())
    print(f"counted  {totals.words:,} words; {distinct:,} distinct bigrams of the words kept")
    if config.pageviews:
        print(f"views    {titles.views:,} of known titles, {titles.views_of_unknown_titles:,} of unknown ones")
        print(
            f"         in {views['taken']:,} rows of {config.language}.wikipedia; "
            f"{views['of other projects']:,} rows are of other projects"
        )
    else:
        print("titles   no page views given: titles are ranked by the redirects to them")
    if synsets:
        heads = len({synset.head.lower() for synset in synsets})
        names = len(published_names(synsets)) if config.compat == "metaclip" else heads
        print(f"wordnet  {len(synsets):,} synsets, {names:,} names, {len(knowledge.synsets):,} in normal form")
    for name, count in sorted(ledger.items()):
        if name not in USUAL and count:
            print(f"left out {count:,} {name}")
    for name, what in (
        ("unreadable", "unreadable rows of page views"),
        ("damaged stretches", "damaged stretches of page views"),
    ):
        if views[name]:
            print(f"left out {views[name]:,} {what}")
    from_source = Counter(source for row in rows for source in row.sources)
    admitted = Counter(row.admitted for row in rows)
    print(f"\n{config.output}: {len(rows):,} queries")
    print(f"  {'source':<8}{'in the list':>13}{'in its places':>15}   examples")
    for source in SOURCES:
        examples = [row.surface for row in _best(rows, source)]
        print(f"  {source:<8}{from_source[source]:>13,}{admitted[source]:>15,}   {', '.join(examples)}")
    if config.compat == "none":
        if not from_source["word"]:
            print(f"\nno word occurs {config.min_word_count:,} times: the list is of titles and synsets alone")
        if len(rows) < config.size:
            print(f"\nonly {len(rows):,} of the {config.size:,} queries asked for passed the thresholds")
        options = fitting_thresholds(config, totals.words, totals.most)
        if options and (len(rows) < config.size or not from_source["word"]):
            print(f"thresholds that fit {totals.words:,} words of text: {options}")


def fitting_thresholds(config: BuildConfig, words: int, most: int = 1 << 62) -> str:
    """The options with thresholds that fit a text of so many words, one of which occurs ``most`` times; "" where those
    in use are no higher.

    The defaults belong to a whole Wikipedia. A fixed share of its words would leave a short text no threshold at all
    and its chance pairs in the list, so thresholds fall with the cube root of the text's length: a million words have 7
    and 2.
    """
    share = min(1.0, words / WHOLE_WIKIPEDIA) ** (1 / 3)
    options = []
    for name, default, least in (("min_word_count", 100, LEAST_WORD), ("min_bigram_count", 20, LEAST_BIGRAM)):
        fits = min(max(least, round(default * share)), max(1, most))
        if fits < getattr(config, name):
            options.append(f"--{name.replace('_', '-')} {fits}")
    return " ".join(options)


def _best(rows: Sequence[Query], source: str, count: int = 4) -> list[Query]:
    """Some queries that only this source gives a place to, best first."""

    def value(row: Query) -> float:
        if source == "bigram":
            return (row.pmi or 0) + math.log2(row.bigram_count or 1)  # as they are ranked
        return float((row.page_views if source == "title" else row.word_count) or 0)

    own = (row for row in rows if row.admitted == source)
    return heapq.nsmallest(count, own, key=lambda row: (-value(row), row.query))
