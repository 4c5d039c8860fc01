"""Whether the disk has room for a run, guessed before it begins from its settings and the size of its inputs.

In: a run folder on this machine, the configuration and the input files. Out: a :class:`Need` of bytes: for the tables,
which follow from the number of candidates, and for the pictures, which lie in the image store and once more in the
shards. A guess, from the figures of docs/curation.md: so only a disk that cannot even hold the tables is refused, and a
smaller one than guessed is named.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.balance.threshold import needed_total
from pipeline.config import RunConfig
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["Need", "free_bytes", "guess", "nearest_folder"]

PAIRS_A_PAGE = 3
BYTES_A_ROW = 200  # of a list of addresses and texts that is not Parquet
BYTES_A_PICTURE_IN_ARCHIVE = 40_000  # an archive of so many bytes holds one picture, about
BYTES_A_CANDIDATE = 300  # compressed, in all tables and ledgers
BYTES_A_PICTURE = 20_000  # stored at 256 pixels
SAMPLED = 3  # input files that are looked at; the others are taken to be alike


@dataclass(frozen=True)
class Need:
    """Bytes that a run is guessed to write."""

    tables: int
    pictures: int

    @property
    def total(self) -> int:
        """All that is written."""
        return self.tables + self.pictures


def nearest_folder(path: str) -> str:
    """The path itself, or the nearest folder above it that is there."""
    place = os.path.abspath(path)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return place


def free_bytes(path: str) -> int:
    """Bytes that are free where ``path`` is, or is going to be."""
    return shutil.disk_usage(nearest_folder(path)).free


def guess(config: RunConfig, inputs: Sequence[str]) -> Need:
    """What a whole run from these input files (none: a crawl) is going to write."""
    candidates = config.extract.max_pages * PAIRS_A_PAGE if config.extract.source == "pages" else _rows(config, inputs)
    side = config.image.image_size / 256
    picture = int(BYTES_A_PICTURE * side * side)
    return Need(candidates * BYTES_A_CANDIDATE, 2 * picture * min(candidates, _drawn_at_most(config)))


def _rows(config: RunConfig, inputs: Sequence[str]) -> int:
    """Candidate pairs of the input files, by those of a few of them."""
    looked_at = inputs[:: max(1, len(inputs) // SAMPLED)][:SAMPLED]
    rows = sum(_rows_of(path, config.extract.source) for path in looked_at)
    return rows * len(inputs) // max(1, len(looked_at))


def _rows_of(path: str, source: str) -> int:
    if source == "crawl_index":
        return 0  # how many of its rows are wanted is known once it is read
    try:
        if path.lower().endswith(".parquet"):
            with files.open_input(path) as stream:
                return int(pq.read_metadata(stream).num_rows)
        size = files.size(path)
    except (UserError, pa.ArrowException, OSError, TypeError):
        return 0  # not there, or of unknown size: others say so
    return size // (BYTES_A_ROW if source == "url_list" else BYTES_A_PICTURE_IN_ARCHIVE)


def _drawn_at_most(config: RunConfig) -> int:
    """Pairs that the balance may keep, however many match."""
    balance = config.balance
    if balance.wanted_total is not None:
        return int(needed_total(balance))
    queries = _rows_of(config.queries, "url_list") if config.queries.endswith(".parquet") else 0
    if balance.mode == "none" or balance.tail_share is not None or not queries:
        return 1 << 62
    return queries * balance.t
