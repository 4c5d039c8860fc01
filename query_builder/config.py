"""The settings of the commands; importing this loads nothing heavy, so that ``--help`` answers at once."""

from dataclasses import dataclass
from typing import Annotated, Literal

from webimagetext.ranges import Range, Ranged

__all__ = [
    "PUBLISHED_BUDGETS",
    "SOURCES",
    "BuildConfig",
    "DiffConfig",
    "ExplainConfig",
    "ImportConfig",
    "InspectConfig",
    "MergeConfig",
    "ReportConfig",
]

# The make-up of the published list of 500,000, in the order in which sources take their places.
PUBLISHED_BUDGETS = {"words": 251_465, "bigrams": 100_646, "titles": 61_235, "synsets": 86_654}
SOURCES = ("word", "bigram", "title", "synset")


@dataclass(frozen=True)
class BuildConfig(Ranged):
    """Builds the query list from a Wikipedia dump, page views and WordNet, or from WordNet alone.

    The same inputs give the same bytes."""

    dump: tuple[str, ...] = ()
    """pages-articles XML files or URLs: bz2 (multistream or not), gz, zst, xz or plain."""
    pageviews: tuple[str, ...] = ()
    """pageview_complete files, monthly or daily, hourly or pagecounts-ez files, any number: views are summed. Without
    any, titles rank by redirects to them."""
    wordnet: str | None = None
    """Folder or URL of a WordNet 3.0 or 3.1 database (data.noun, index.noun…), or a wordnet in WN-LMF, such as Open
    English WordNet (.xml, packed or in a tar archive, or a folder of such). Without it there are no synset queries."""
    output: str = "queries.parquet"
    """The Parquet file to write, path or URL; near misses go beside it, for `inspect`."""
    size: Annotated[int, Range(1)] = 500_000
    """Queries in the list."""
    min_word_count: Annotated[int, Range(0)] = 100
    """Least occurrences of a word in the dump, also for each word of a bigram. Lower it for small excerpts."""
    min_bigram_count: Annotated[int, Range(0)] = 20
    """Least occurrences of a bigram in the dump."""
    min_pmi: Annotated[float, Range()] = 3.0
    """Least pointwise mutual information of a bigram, in bits (3 = together 8 times oftener than by chance)."""
    min_log_likelihood: Annotated[float, Range()] = 20.0
    """Least log-likelihood ratio of a bigram (Dunning's G2): tells from chance what PMI doesn't where counts are
    small."""
    function_words: Literal["drop", "keep"] = "drop"
    """drop: no bigram has a function word of the language ("of", "his"), where its function words are known."""
    bare_numbers: Literal["drop", "keep"] = "drop"
    """drop: no word is a number alone, and no bigram begins with one and a blank ("21 members"; "8-bit" and "Apollo 13"
    stay)."""
    stop_words: str | None = None
    """A file of words (in any form that `import` reads) that are no word queries and in no bigram."""
    exclude: tuple[str, ...] = ()
    """Files of texts (in any form that `import` reads) that don't get into the list; others take their places."""
    min_page_views: Annotated[int, Range(0)] = 70
    """Least views of a title, summed over all page view files and all redirects to it."""
    budget: tuple[str, ...] = ()
    """Places of a source, as words=N bigrams=N titles=N synsets=N; default: the published make-up, scaled to the
    size."""
    compat: Literal["none", "metaclip"] = "none"
    """metaclip: the rules of the published re-creation with their errors, for comparison; ignores size, budget, and
    what else drops bigrams and words."""
    language: str = "en"
    """Code of the Wikipedia (en, de, simple…), which has to be the dump's: picks the rows of the page views and what
    marks lists and disambiguation."""
    all_sections: bool = False
    """Count headings too, sections of links and sources (External links, References…), and sources in other lists."""
    on_corrupt: Literal["fail", "skip"] = "fail"
    """fail: stop at damaged input, with file and byte offset; skip: leave the damaged part out and count it."""
    workers: Annotated[int, Range(0, 1024)] = 0
    """Processes (0: one a core). Any number gives the same bytes; each takes up to 900 MB."""
    work: str | None = None
    """Local folder for intermediate counts (default: OUTPUT.work, in the current folder when OUTPUT is a URL); a killed
    build takes up again from it."""
    keep_work: bool = False
    """Keep that folder after success, to build again with other thresholds without reading the dump, or from a newer
    one reading only the files that changed."""
    shard_megabytes: Annotated[float, Range(0)] = 0.0
    """Megabytes a shard, the unit that a killed build redoes; 0: 12 to 48 (compressed), by the size of all files."""
    download: str | None = None
    """Fetch everything first: a dump's name and date such as enwiki-20260101, with that month's page views and
    WordNet."""
    mirror: str = ""
    """Base address of a mirror of the dumps to download from (https://HOST/PATH); empty: the original site."""
    download_folder: str = "downloads"
    """Where downloads are kept; interrupted ones are resumed."""


@dataclass(frozen=True)
class ImportConfig(Ranged):
    """Makes a query list of texts of your own: text files (one a line), CSV, TSV, JSON, JSON Lines, Parquet; also
    packed (.gz)."""

    output: str = "queries.parquet"
    """The Parquet file to write, path or URL."""
    column: str = ""
    """Column with the texts; a number counts the columns of a CSV or TSV file without a line of names. Empty: query,
    text, name or another usual name."""
    compat: Literal["none", "metaclip"] = "none"
    """metaclip: leave the texts as they are written, for a run with --matching metaclip; else they are put into normal
    form."""
    exclude: tuple[str, ...] = ()
    """Files of texts that don't get into the list."""


@dataclass(frozen=True)
class MergeConfig(Ranged):
    """Makes one query list of several, built or imported, or files of texts: every query once, with all its sources.

    Its place and its numbers are those of the first list to have it."""

    output: str = "queries.parquet"
    """The Parquet file to write, path or URL."""
    compat: Literal["none", "metaclip"] = "none"
    """metaclip: of lists made with --compat metaclip."""
    exclude: tuple[str, ...] = ()
    """Files of texts that don't get into the list."""


@dataclass(frozen=True)
class InspectConfig(Ranged):
    """Shows what a query list is made of, or why one query is in it or not."""

    find: str | None = None
    """A text: says which sources it came from, or which threshold it missed."""
    top: Annotated[int, Range(0)] = 20
    """Queries to show of each source, from its head and from its foot."""


@dataclass(frozen=True)
class ExplainConfig(Ranged):
    """Says why texts are in a query list, or what they missed; without texts, why each query is in it: a line with the
    query, its number, the source in whose place it stands, and its counts, with tabs between."""

    source: str = ""
    """Only queries that stand in the places of this source (word, bigram, title, synset, list:FILE)."""


@dataclass(frozen=True)
class DiffConfig(Ranged):
    """Compares two query lists by source."""

    examples: Annotated[int, Range(0)] = 10
    """Queries to show on each side of each source."""


@dataclass(frozen=True)
class ReportConfig(Ranged):
    """Draws a query list: counts by rank, overlap of the sources, samples."""

    output: str = "queries.html"
    """The HTML page to write; it needs no other file."""
