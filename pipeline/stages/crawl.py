"""A crawl, breadth first in rounds: each round is one Beam graph over buckets of hosts, and a second one plans the next
round.

A host lies in one bucket, and a bucket is one unit of work, so no host is ever asked by two workers. A bucket's files
are its marker: after a kill, only the buckets that were in work are gone on with, and by their journals only the pages
that were under way are asked for again.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from pipeline.config import RunConfig
from pipeline.engines.engine import Engine
from pipeline.fetch.journals import journal_path, open_journal
from pipeline.hosts import by_host
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import (
    Entry,
    entry_of_table,
    is_complete,
    iter_batches,
    mark_complete,
    read_manifest,
    rows_in,
    write_manifest,
)
from pipeline.keeping.step import Context
from pipeline.read.ahead import Ahead
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import CrawlBucket
from pipeline.read.crawls import CURRENT_FILE, crawl_folder, current_crawl, round_folder
from pipeline.read.frontier import seed_frontier
from pipeline.stages.asking import AskBuckets, Asking, Chain, known_folder
from pipeline.stages.crawl_plan import Known, Plan, buckets_of
from pipeline.tables.batches import combine, split
from pipeline.tables.gather import Gather
from pipeline.tables.schema import CANDIDATES, FRONTIER, PAGES, REJECTS
from pipeline.tables.sink import WriteGroups, WriteManifest, write_part
from pipeline.tables.source import ReadTable
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["MARKER", "TABLES", "crawl_sites", "open_pages"]

# The tables a bucket writes, in this order: the last one is its marker.
TABLES = {"candidates": CANDIDATES, "links": FRONTIER, "rejects": REJECTS, "pages": PAGES}
MARKER = "pages"
KNOWN = "crawl"
AHEAD = "ahead"  # the folder, beside the rounds, of what was asked for before its round
JOURNALS = "journals"  # the folder, beside the tables of a round, of those of its unfinished buckets
FORM = "crawl, 1"  # of what they hold
PATIENCE = 60.0  # seconds for a worker that is about to end

Quota = tuple[str, int]  # a frontier file's name, and how many of its pages to ask for


def crawl_sites(context: Context) -> tuple[str, int]:
    """Crawls, goes on with a crawl, or finds it done; makes it the current one. Returns its folder and the number of
    its rounds."""
    run, config = context.run, context.config
    folder = crawl_folder(run, config)
    rounds = _crawl(run, folder, config, context.engine)
    is_whole = not open_pages(context)
    if is_whole:
        files.remove(known_folder(run, KNOWN))
        files.remove(files.join(folder, AHEAD))
    _replace_crawl(run, folder, rounds, is_whole)
    return folder, rounds


def open_pages(context: Context) -> Counter[str]:
    """How many pages the round that is next is going to ask for, by host, the most first; none of a whole crawl."""
    folder, number, asked = crawl_folder(context.run, context.config), 0, 0
    while is_complete(pages := round_folder(folder, number, MARKER)):
        asked, number = asked + rows_in(pages), number + 1
    frontier = round_folder(folder, number, "frontier")
    found: Counter[str] = Counter()
    if is_complete(frontier) and asked < context.config.extract.max_pages:
        for batch in iter_batches(frontier, ["host"]):
            found.update(batch.column("host").to_pylist())
    return Counter(dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))))


def _replace_crawl(run: RunFolder, folder: str, rounds: int, is_whole: bool) -> None:
    """Makes a crawl the current one; a whole one takes the place of all others.

    Raises UserError, keeping the one before, when not one page could be read: the sites cannot be reached, or refuse.
    """
    before = current_crawl(run)
    replaced = before if before != folder else None
    if replaced:
        tables = (round_folder(folder, number, MARKER) for number in range(rounds))
        statuses = Counter(
            status for table in tables for batch in iter_batches(table, ["status"]) for status in batch[0].to_pylist()
        )
        if not statuses["success"]:
            files.remove(folder)
            why = ", ".join(f"{status}: {count}" for status, count in statuses.most_common(3))
            raise UserError(
                f"the crawl with the new settings could read no page ({why}); the one before it is kept",
                "mend the settings, or wait until the sites can be reached, and run the same command again",
            )
    with files.write_atomic(files.join(run.crawl, CURRENT_FILE), "w", safe=True) as stream:
        stream.write(folder.rpartition("/")[2])
    if is_whole:
        for other in files.listing("*", run.crawl):
            if other.rstrip("/").rpartition("/")[2] not in (CURRENT_FILE, folder.rpartition("/")[2]):
                files.remove(other)


def _crawl(run: RunFolder, folder: str, config: RunConfig, engine: Engine) -> int:
    """Crawls all rounds, or as many as the budgets of one command allow, and returns how many there are. Finished
    rounds and buckets of an interrupted crawl are kept."""
    _write_seeds(folder, config)
    known: dict[int, Known] = {}
    asked, number = 0, 0
    budget = _Budget(config.extract)
    while True:
        frontier = round_folder(folder, number, "frontier")
        quotas = _quotas(frontier, config.extract.max_pages - asked)
        pages = round_folder(folder, number, MARKER)
        if not is_complete(pages):
            name = f"crawl round {number}"
            spare = (config.extract.max_pages - asked - sum(quotas.values())) // (2 * max(1, len(quotas)))
            _crawl_round(name, partial(_Crawling, run, folder, config, number, name, spare), quotas, engine)
            files.remove(round_folder(folder, number, JOURNALS))
            mark_complete(pages, "")
            budget.asked += sum(quotas.values())
        asked += sum(quotas.values())
        following = round_folder(folder, number + 1, "frontier")
        if not is_complete(following):
            _plan_round(folder, number, Plan(folder, config, number, asked, known), engine)
            mark_complete(following, "")
        if rows_in(following) == 0 or asked >= config.extract.max_pages or budget.is_spent:
            return number + 1
        number += 1


class _Budget:
    """What one command may ask for: once it has asked for something, it ends before the next round."""

    def __init__(self, extract: ExtractConfig) -> None:
        self._most = extract.max_requests or float("inf")
        self._until = time.time() + 3600 * extract.max_hours if extract.max_hours else float("inf")
        self.asked = 0

    @property
    def is_spent(self) -> bool:
        """Whether no further round may begin."""
        return self.asked > 0 and (self.asked >= self._most or time.time() >= self._until)


def _write_seeds(crawled: str, config: RunConfig) -> None:
    folder = round_folder(crawled, 0, "frontier")
    if is_complete(folder):
        return
    entries = []
    seeds = seed_frontier(config.extract)
    for batch in seeds.combine_chunks().to_batches():
        for part, rows in sorted(split(batch, by_host, buckets_of(config))):
            entries.append(write_part(folder, part_name(part), pa.Table.from_batches([rows])))
    write_manifest(folder, entries)
    mark_complete(folder, "")


def _quotas(frontier: str, budget: int) -> dict[str, int]:
    """How many pages of each bucket the budget allows: all, or shares in proportion, rounded by the largest
    remainder."""
    rows = {entry["file"]: entry["rows"] for entry in read_manifest(frontier).to_pylist()}
    total = sum(rows.values())
    if total <= budget:
        return rows
    shares = {name: divmod(count * budget, total) for name, count in rows.items()}
    left = budget - sum(whole for whole, _ in shares.values())
    favoured = sorted(shares, key=lambda name: (-shares[name][1], name))[:left]
    return {name: whole + (name in favoured) for name, (whole, _) in shares.items()}


def _crawl_round(name: str, crawling: "Callable[[], _Crawling]", quotas: dict[str, int], engine: Engine) -> None:
    """Frontier of a round -> pages, candidates, links and rejects of the round."""
    pages = sum(quotas.values())
    if engine.stays_here(pages):
        engine.run_here(name, partial(_round_here, crawling, quotas), total=pages, unit="pages")
    else:
        engine.run(name, partial(_round, crawling=crawling, quotas=quotas), total=pages, unit="pages")


def _plan_round(folder: str, number: int, plan: Plan, engine: Engine) -> None:
    """Links of a round -> frontier of the next one."""
    name = f"plan round {number + 1}"
    if engine.stays_here(rows_in(round_folder(folder, number, "links"))):
        engine.run_here(name, partial(_plan_here, plan))
    else:
        engine.run(name, partial(_plan_graph, plan=plan))


def _round(root: beam.Pipeline, crawling: "Callable[[], _Crawling]", quotas: dict[str, int]) -> None:
    buckets = root | "Name buckets" >> beam.Create(sorted(quotas.items()), reshuffle=False)
    spread = buckets | "Spread buckets" >> beam.Reshuffle()
    entries = spread | "Crawl buckets" >> beam.ParDo(AskBuckets(crawling)).with_outputs(*TABLES)
    for table in TABLES:
        entries[table] | f"Manifest of {table}" >> WriteManifest(crawling().table_folder(table))


def _round_here(crawling: "Callable[[], _Crawling]", quotas: dict[str, int]) -> None:
    """The same in this process."""
    entries: dict[str, list[Entry]] = {table: [] for table in TABLES}
    with crawling() as asking:
        for bucket in sorted(quotas.items()):
            asking.take(bucket)
        for found in asking.rest():
            entries[found.tag].append(found.value)
        for table in TABLES:
            write_manifest(asking.table_folder(table), entries[table])


def _plan_graph(root: beam.Pipeline, plan: Plan) -> None:
    links = root | "Read links" >> ReadTable(round_folder(plan.folder, plan.number, "links"))
    groups = links | "By host" >> Gather(by_host, plan.buckets, FRONTIER, ["depth", "url"])
    admitted = groups | "Admit" >> beam.FlatMap(plan.admitted)
    admitted | "Write frontier" >> WriteGroups(round_folder(plan.folder, plan.number + 1, "frontier"))


def _plan_here(plan: Plan) -> None:
    """The same in this process."""
    batches = iter_batches(round_folder(plan.folder, plan.number, "links"))
    cut = [piece for batch in batches for piece in split(batch, by_host, plan.buckets)]
    parts: dict[int, list[pa.RecordBatch]] = defaultdict(list)
    for part, rows in cut:
        parts[part].append(rows)
    following = round_folder(plan.folder, plan.number + 1, "frontier")
    entries = []
    for part in sorted(parts):
        for _, admitted in plan.admitted((part, combine(parts[part], FRONTIER, ("depth", "url")))):
            entries.append(write_part(following, part_name(part), admitted))
    write_manifest(following, entries)


class _Crawling(Asking[Quota, CrawlBucket, TaggedOutput]):
    """Crawls the first pages of frontier files; gives the manifest rows of each bucket's four tables."""

    known = KNOWN

    def __init__(self, run: RunFolder, folder: str, config: RunConfig, number: int, name: str, spare: int = 0) -> None:
        super().__init__(run, config.http, name)
        self.folder, self.config, self.number, self.spare = folder, config, number, spare

    def table_folder(self, table: str) -> str:
        """The folder of one of the round's tables."""
        return round_folder(self.folder, self.number, table)

    def cut(self, element: object) -> list[Chain[Quota]]:
        """A frontier file is one order."""
        order = cast(Quota, element)
        return [Chain(deque([order]), order[1])]

    def begin(self, order: Quota, chain: Chain[Quota]) -> CrawlBucket | None:
        """The bucket of a frontier file, if it is not finished."""
        name, quota = order
        if files.exists(files.join(self.table_folder(MARKER), name)):
            return None
        batches = list(iter_batches(self.table_folder("frontier"), names=[name]))
        frontier = pa.Table.from_batches(batches, schema=FRONTIER).slice(0, quota)
        self.recall(name.partition(".")[0])
        journal = open_journal(self.table_folder(JOURNALS), name.partition(".")[0], FORM, PATIENCE)
        return CrawlBucket(
            self.visits,
            frontier,
            self.config.http,
            self.config.extract,
            self.beacon,
            journal,
            self.news,
            self._ahead(name),
        )

    def _ahead(self, name: str) -> Ahead | None:
        """What takes a bucket's pages of the next rounds; nothing where their journal might not be found again."""
        if files.is_url(self.folder):
            return None
        place, bucket = files.join(self.folder, AHEAD), name.partition(".")[0]

        def asked() -> tuple[npt.NDArray[np.uint64], Counter[str]]:
            known = Known()
            known.read(self.folder, name, self.number + 1)
            return known.urls, known.hosts

        return Ahead(
            partial(open_journal, place, bucket, FORM, PATIENCE), asked, self.config.extract, self.spare,
            is_there=files.exists(journal_path(place, bucket)),
        )  # fmt: skip

    def results(self, order: Quota, bucket: CrawlBucket | None, chain: Chain[Quota]) -> Iterator[TaggedOutput]:
        """The rows by table."""
        name, _ = order
        found = bucket.result(self.throttled) if bucket is not None else None
        if bucket is not None:
            self.remember(name.partition(".")[0], bucket.hosts)
        for table, schema in TABLES.items():
            folder = self.table_folder(table)
            if found is None:
                yield TaggedOutput(table, entry_of_table(folder, name))
            else:
                rows = getattr(found, table)
                whole = rows if isinstance(rows, pa.Table) else pa.Table.from_batches(rows, schema=schema)
                yield TaggedOutput(table, write_part(folder, name, whole, safe=True))
        if bucket is not None:
            bucket.forget()
