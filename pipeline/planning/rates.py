"""What a plan reckons with: measured speeds, shares that nobody can know before asking, prices of machines.

In: nothing, a TOML file with the tables ``[speeds]``, ``[assumed]`` and ``[prices]``, or options of the same names.
Out: :class:`Rates`. The one place where these numbers stand. The speeds are those of docs/scale.md and
benchmarks/results, taken on two cores of a 2.5 GHz server. Import-light, because ``--help`` reads it.
"""

from dataclasses import dataclass, field
from typing import Annotated

from webimagetext.ranges import Range, Ranged

__all__ = ["Assumed", "Prices", "Rates", "Speeds"]


@dataclass(frozen=True)
class Speeds(Ranged):
    """Measured speeds, a second of one core's time each unless something else is said."""

    cores: Annotated[int, Range(1)] = 2
    """Cores of a worker."""
    list_rows: Annotated[float, Range(above=0)] = 540_000.0
    """Rows of a list read."""
    archive_pairs: Annotated[float, Range(above=0)] = 2_570.0
    """Pairs read from archives: 1,190 pages with 2.16 pairs each."""
    crawled_pages: Annotated[float, Range(above=0)] = 437.0
    """Pages of a crawl asked for and read."""
    curated_pairs: Annotated[float, Range(above=0)] = 26_900.0
    """Candidates filtered, matched and balanced with the default rules."""
    images: Annotated[float, Range(above=0)] = 313.0
    """Pictures received, decoded and stored."""
    packed_pairs: Annotated[float, Range(above=0)] = 2_500.0
    """Pairs joined, judged and written to shards."""
    answer_seconds: Annotated[float, Range(above=0)] = 0.28
    """Seconds of wall time that a server takes for an answer, on average."""
    line_bytes: Annotated[float, Range(above=0)] = 125_000_000.0
    """Bytes a second of wall time that a worker's line carries."""
    graph_seconds_local: Annotated[float, Range(0)] = 2.0
    """Seconds of wall time that a graph takes beside its work, on one machine."""
    graph_seconds_spark: Annotated[float, Range(0)] = 4.0
    """The same on Spark: 68 s for twenty graphs with next to no work, the start of Spark included."""
    graph_seconds_dataflow: Annotated[float, Range(0)] = 240.0
    """The same on Dataflow, where workers are started for each graph: not measured."""


@dataclass(frozen=True)
class Assumed(Ranged):
    """What cannot be known before anybody is asked. A run folder that has images says the first two better."""

    alive: Annotated[float, Range(0, 1)] = 0.8
    """Share of image addresses that give a picture."""
    kept: Annotated[float, Range(0, 1)] = 0.95
    """Share of the fetched pairs that pass the image rules and are no duplicates."""
    image_bytes: Annotated[float, Range(0)] = 100_000.0
    """Bytes of a picture on its way."""
    stored_bytes: Annotated[float, Range(0)] = 20_000.0
    """Bytes of a picture in the store, at an image_size of 256."""
    page_bytes: Annotated[float, Range(0)] = 30_000.0
    """Bytes of a page on its way."""
    pairs_a_page: Annotated[float, Range(0)] = 3.0
    """Candidate pairs of a page."""
    candidate_bytes: Annotated[float, Range(0)] = 300.0
    """Bytes of a candidate in all tables and ledgers."""


@dataclass(frozen=True)
class Prices(Ranged):
    """Prices in dollars, of no provider in particular: look up yours."""

    core_hour: Annotated[float, Range(0)] = 0.04
    """A core for an hour, with its memory."""
    dataflow_core_hour: Annotated[float, Range(0)] = 0.08
    """The same on Dataflow, with what the service takes."""
    gigabyte_month: Annotated[float, Range(0)] = 0.02
    """A gigabyte kept for a month."""
    gigabyte_received: Annotated[float, Range(0)] = 0.0
    """A gigabyte received from the web: most providers take nothing."""


@dataclass(frozen=True)
class Rates(Ranged):
    """All that a plan reckons with."""

    speeds: Speeds = field(default_factory=Speeds)
    assumed: Assumed = field(default_factory=Assumed)
    prices: Prices = field(default_factory=Prices)
