"""A crawl, breadth first in rounds: each round is one Beam graph over buckets of hosts, and a second one plans the next
round.

A host lies in one bucket, and a bucket is one unit of work, so no host is ever asked by two workers. A bucket's files
are its marker: after a kill, only the buckets that were in work are crawled again.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import apache_beam as beam
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.engines.engine import Engine
from pipeline.engines.throttling import Throttled
from pipeline.engines.watching import Beacon
from pipeline.hosts import by_host, host_of
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import (
    entry_of_table,
    is_complete,
    iter_batches,
    mark_complete,
    read_manifest,
    rows_in,
    write_manifest,
)
from pipeline.keeping.step import Context
from pipeline.read.crawl import crawl_bucket
from pipeline.read.crawls import CURRENT_FILE, crawl_folder, current_crawl, round_folder
from pipeline.read.frontier import admit, seed_frontier
from pipeline.tables.gather import Gather
from pipeline.tables.schema import CANDIDATES, FRONTIER, PAGES, REJECTS
from pipeline.tables.sink import WriteGroups, WriteManifest, write_part
from pipeline.tables.source import ReadTable
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["MARKER", "TABLES", "crawl_sites"]

BUCKETS = 64
# The tables a bucket writes, in this order: the last one is its marker.
TABLES = {"candidates": CANDIDATES, "links": FRONTIER, "rejects": REJECTS, "pages": PAGES}
MARKER = "pages"


def crawl_sites(context: Context) -> tuple[str, int]:
    """Crawls, goes on with a crawl, or finds it done; makes it the current one. Returns its folder and the number of
    its rounds."""
    run, config = context.run, context.config
    folder = crawl_folder(run, config)
    rounds = _crawl(run, folder, config, context.engine)
    _replace_crawl(run, folder, rounds)
    return folder, rounds


def _replace_crawl(run: RunFolder, folder: str, rounds: int) -> None:
    """Makes a whole crawl the current one and removes the one before.

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
    if replaced:
        files.remove(replaced)


def _crawl(run: RunFolder, folder: str, config: RunConfig, engine: Engine) -> int:
    """Crawls all rounds and returns how many there were. Finished rounds and buckets of an interrupted crawl are
    kept."""
    _write_seeds(folder, config)
    asked, number = 0, 0
    while True:
        frontier = round_folder(folder, number, "frontier")
        quotas = _quotas(frontier, config.extract.max_pages - asked)
        pages = round_folder(folder, number, MARKER)
        if not is_complete(pages):
            name = f"crawl round {number}"
            work = _CrawlBucket(run, folder, config, number, name)
            engine.run(name, partial(_round, work=work, quotas=quotas), total=sum(quotas.values()), unit="pages")
            mark_complete(pages, "")
        asked += sum(quotas.values())
        following = round_folder(folder, number + 1, "frontier")
        if not is_complete(following):
            plan = _PlanBucket(folder, config, number, asked)
            engine.run(f"plan round {number + 1}", partial(_plan, plan=plan))
            mark_complete(following, "")
        if rows_in(following) == 0 or asked >= config.extract.max_pages:
            return number + 1
        number += 1


def _write_seeds(crawled: str, config: RunConfig) -> None:
    folder = round_folder(crawled, 0, "frontier")
    if is_complete(folder):
        return
    entries = []
    seeds = seed_frontier(config.extract)
    for part in range(BUCKETS):
        mask = pa.array([bool(key % BUCKETS == part) for batch in seeds.to_batches() for key in by_host(batch)])
        if rows := seeds.filter(mask):
            entries.append(write_part(folder, part_name(part), rows))
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


def _round(root: beam.Pipeline, work: "_CrawlBucket", quotas: dict[str, int]) -> None:
    """Frontier of a round -> pages, candidates, links and rejects of the round."""
    buckets = root | "Name buckets" >> beam.Create(sorted(quotas.items()), reshuffle=False)
    spread = buckets | "Spread buckets" >> beam.Reshuffle()
    entries = spread | "Crawl bucket" >> beam.ParDo(work).with_outputs(*TABLES)
    for table in TABLES:
        entries[table] | f"Manifest of {table}" >> WriteManifest(round_folder(work.folder, work.number, table))


def _plan(root: beam.Pipeline, plan: "_PlanBucket") -> None:
    """Links of a round -> frontier of the next one."""
    links = root | "Read links" >> ReadTable(round_folder(plan.folder, plan.number, "links"))
    groups = links | "By host" >> Gather(by_host, BUCKETS, FRONTIER, ["depth", "url"])
    admitted = groups | "Admit" >> beam.ParDo(plan)
    admitted | "Write frontier" >> WriteGroups(round_folder(plan.folder, plan.number + 1, "frontier"))


class _CrawlBucket(beam.DoFn):
    """Crawls the first pages of one frontier file and writes the bucket's four tables."""

    def __init__(self, run: RunFolder, folder: str, config: RunConfig, number: int, name: str) -> None:
        self.run, self.folder, self.config, self.number, self.name = run, folder, config, number, name

    def process(self, bucket: tuple[str, int]) -> Iterator[object]:
        name, quota = bucket
        folders = {table: round_folder(self.folder, self.number, table) for table in TABLES}
        if files.exists(files.join(folders[MARKER], name)):
            entries = {table: entry_of_table(folder, name) for table, folder in folders.items()}
        else:
            tables = self._crawl(name, quota)
            entries = {table: write_part(folder, name, tables[table], safe=True) for table, folder in folders.items()}
        for table, entry in entries.items():
            yield beam.pvalue.TaggedOutput(table, entry)

    def _crawl(self, name: str, quota: int) -> dict[str, pa.Table]:
        batches = list(iter_batches(round_folder(self.folder, self.number, "frontier"), names=[name]))
        frontier = pa.Table.from_batches(batches, schema=FRONTIER).slice(0, quota)
        beacon = Beacon(self.run, self.name)
        found = crawl_bucket(frontier, self.config.http, self.config.extract, beacon, waited=Throttled())
        beacon.flush()
        return {
            "candidates": pa.Table.from_batches(found.candidates, schema=CANDIDATES),
            "links": found.links,
            "rejects": pa.Table.from_batches(found.rejects, schema=REJECTS),
            "pages": found.pages,
        }


class _PlanBucket(beam.DoFn):
    """Admits the links of one bucket that no earlier round has asked for."""

    def __init__(self, folder: str, config: RunConfig, number: int, asked: int) -> None:
        self.folder, self.config, self.number, self.asked = folder, config, number, asked

    def process(self, group: tuple[int, pa.Table]) -> Iterator[tuple[int, pa.Table]]:
        part, links = group
        seen: set[str] = set()
        asked: Counter[str] = Counter()
        for earlier in range(self.number + 1):
            folder = round_folder(self.folder, earlier, "frontier")
            if files.exists(files.join(folder, part_name(part))):
                for batch in iter_batches(folder, ["url"], [part_name(part)]):
                    seen.update(urls := batch.column("url").to_pylist())
                    asked.update(map(host_of, urls))
        admitted = admit(links, seen, self.config.extract, asked=self.asked, asked_by_host=dict(asked))
        if admitted.num_rows:
            yield part, admitted
