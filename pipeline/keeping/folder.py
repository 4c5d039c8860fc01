"""Where everything lies in a run folder, and how a shard is laid out. The one file that writers and readers of shards
share.

A shard is a tar of adjacent members ``KEY.jpg KEY.txt KEY.json`` (or ``.png``, ``.webp``; KEY: 16 lower-case
hexadecimal digits, the pair's id) beside a Parquet file of the same name with a row a sample and a ``_stats.json``.
``sizes.json`` counts the samples of
each tar (where there are none, of each Parquet file) and ``index.json`` is the index that the ``wids`` reader of
webdataset expects. Imports nothing but the standard library.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "CAPTION_SUFFIX",
    "IMAGE_SUFFIXES",
    "INDEX_FILE",
    "MANIFEST_FILE",
    "METADATA_SUFFIX",
    "OPEN_FILE",
    "SIZES_FILE",
    "SUCCESS_FILE",
    "RunFolder",
    "image_suffix",
    "key_of",
    "part_name",
    "shard_name",
    "shards_of",
    "today",
]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # what a reader should accept
CAPTION_SUFFIX = ".txt"
METADATA_SUFFIX = ".json"
SIZES_FILE = "sizes.json"
INDEX_FILE = "index.json"
MANIFEST_FILE = "_MANIFEST"  # a Parquet table, under a name that no pattern for data finds
SUCCESS_FILE = "_SUCCESS"
OPEN_FILE = "_OPEN"  # in the place of SUCCESS_FILE while part of the work is still to be done


def image_suffix(picture: bytes) -> str:
    """The ending of a stored picture's name in a tar: .jpg, .png or .webp."""
    return ".png" if picture.startswith(b"\x89PNG") else ".webp" if picture.startswith(b"RIFF") else ".jpg"


def key_of(pair_id: int) -> str:
    """A pair's key in a shard: its 64-bit id as 16 hexadecimal digits, so without dots and in lower case."""
    return f"{pair_id:016x}"


def shard_name(index: int) -> str:
    """``3`` -> ``00003``: the common stem of a shard's files."""
    return f"{index:05d}"


def part_name(index: int) -> str:
    """``3`` -> ``part-00003.parquet``: a file of a table between two stages."""
    return f"part-{index:05d}.parquet"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, by path or URL; every property is a path below it."""

    root: str

    def path(self, *names: str) -> str:
        """A file or folder in the run folder."""
        return "/".join([self.root.rstrip("/"), *names])

    @property
    def config(self) -> str:
        """The resolved configuration, TOML."""
        return self.path("config.toml")

    @property
    def funnel(self) -> str:
        """What remained after each step, JSON."""
        return self.path("funnel.json")

    @property
    def report(self) -> str:
        """The report for people, HTML."""
        return self.path("report.html")

    @property
    def card(self) -> str:
        """The dataset card, Markdown."""
        return self.path("README.md")

    @property
    def croissant(self) -> str:
        """The dataset's description for machines, Croissant JSON-LD."""
        return self.path("croissant.json")

    @property
    def crawl(self) -> str:
        """Crawls, each in a folder named by its settings with ``round-000/`` …: the frontier, pages and pairs of each
        round."""
        return self.path("crawl")

    @property
    def candidates(self) -> str:
        """Table of candidate pairs, schema CANDIDATES."""
        return self.path("candidates")

    @property
    def matched(self) -> str:
        """Table of pairs that passed the text rules and hold a query, schema MATCHED."""
        return self.path("matched")

    @property
    def match_counts(self) -> str:
        """How many matched pairs hold each query, by query id: a NumPy file of int64."""
        return self.path("matched", "counts.npy")

    @property
    def frequent_captions(self) -> str:
        """Table of the captions that too many pairs share, schema FREQUENT_CAPTIONS."""
        return self.path("frequent_captions")

    @property
    def site_languages(self) -> str:
        """Table of what the captions of each site are in, schema SITE_LANGUAGES."""
        return self.path("site_languages")

    @property
    def counts(self) -> str:
        """Matches and selected pairs of each query, schema COUNTS."""
        return self.path("counts.parquet")

    @property
    def own_queries(self) -> str:
        """The query list that was made of a user's own texts, as `query_builder import` makes it."""
        return self.path("own_queries.parquet")

    @property
    def automaton(self) -> str:
        """Folder of the compiled query automaton, a file named by its content hash."""
        return self.path("automaton")

    @property
    def balance_plan(self) -> str:
        """Folder of what the balance goes by: t, cutoffs, and the aggregates they come from."""
        return self.path("balance")

    @property
    def plan(self) -> str:
        """The balance's plan, a NumPy archive (see stages/balance.py)."""
        return self.path("balance", "plan.npz")

    @property
    def selected(self) -> str:
        """Table of pairs that the balance drew, schema SELECTED."""
        return self.path("selected")

    def selected_counts(self, column: str) -> str:
        """How many selected pairs list each query in a column (query_ids or drawn_by): a NumPy file of int64."""
        return self.path("selected", f"{column}.npy")

    @property
    def reserve(self) -> str:
        """Table of the pairs next in line, schema SELECTED."""
        return self.path("reserve")

    @property
    def images(self) -> str:
        """The image store: tars of image files and tables of their metadata, schema IMAGES."""
        return self.path("images")

    @property
    def evaluation(self) -> str:
        """Table of the evaluation pictures that the data must not hold: name, sha256, phash."""
        return self.path("evaluation")

    def packing(self, number: int, table: str) -> str:
        """A table of one round of joining: pairs (SELECTED, drawn from the reserve), pictures (JOINED) or rejects
        (REJECTS)."""
        return self.path("packing", f"round-{number:03d}", table)

    @property
    def joined(self) -> str:
        """Table of selected pairs with a reference to their image, schema JOINED."""
        return self.path("joined")

    def held_counts(self, number: int) -> str:
        """How many pairs, of those left after a round of joining, each query drew: a NumPy file of int64."""
        return self.path("packing", f"round-{number:03d}", "drawn_by.npy")

    @property
    def losses(self) -> str:
        """Table of the drawn pairs that packaging rejected, by query and cause."""
        return self.path("packing", "losses")

    @property
    def shortfall(self) -> str:
        """What each query holds and lacks in the end, and why, schema SHORTFALL."""
        return self.path("shortfall.parquet")

    @property
    def shards(self) -> str:
        """The training shards."""
        return self.path("shards")

    @property
    def held_out(self) -> str:
        """Table of the pictures that are kept apart for evaluation, schema HELD."""
        return self.path("held_out")

    @property
    def drawn_holdout(self) -> str:
        """What the hold-out is drawn from: tables pictures (HELD) and links (LINKS)."""
        return self.path("drawing")

    @property
    def holdout(self) -> str:
        """Shards kept apart for evaluation, same layout."""
        return self.path("holdout")

    def rejects(self, stage: str) -> str:
        """The ledger of what a stage dropped, schema REJECTS."""
        return self.path("rejects", stage)


def shards_of(runs: Sequence[str]) -> list[str]:
    """The folders of finished samples of runs, by the runs' folders."""
    return [folder for run in map(RunFolder, runs) for folder in (run.shards, run.holdout)]


def today() -> str:
    """The day, in UTC, as ISO 8601 writes it: when something in a folder was made."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
