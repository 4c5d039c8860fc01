"""Asks for the images of the selected pairs, host by host.

In: selected/ (or the pairs of a round of topping up) and the image store. Out: images/, the store, which is added to
and never removed. What decides an answer is stored with it (fetch/decided.py), so that a changed setting opens exactly
the addresses that it decided. Addresses whose turn did not come are open: the step is not finished with any, and the
same command goes on with them.
"""

import dataclasses
import os
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self, cast

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.audit.funnel import fetch_step
from pipeline.config import RunConfig
from pipeline.fetch.bucket import Bucket
from pipeline.fetch.budget import Allowance, allow
from pipeline.fetch.decided import fetch_settings, is_answered
from pipeline.fetch.left import adopt_parts
from pipeline.fetch.mending import mend_store
from pipeline.fetch.part import entries_of_part, write_unasked
from pipeline.fetch.retry import retry_failed
from pipeline.fetch.store import claim_store
from pipeline.fetch.unasked import open_addresses
from pipeline.hashing import hash64, hash_strings
from pipeline.hosts import by_host, host_of, hosts_of
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.keeping.manifest import Entry, iter_batches, read_manifest, rows_in
from pipeline.keeping.step import Context, Step
from pipeline.net import pace
from pipeline.reasons import NOT_REACHED, by_frequency, in_words
from pipeline.removing.tombstones import Tombstones, in_force
from pipeline.stages.asking import AskBuckets, Asking, Chain, known_folder
from pipeline.tables.gather import Gather
from pipeline.tables.schema import FETCH_PLAN
from pipeline.tables.sink import WriteManifest, every_file
from pipeline.tables.source import ReadTable
from webimagetext import files

__all__ = ["FetchImages", "fetch_pairs", "known_rows", "left_of", "step"]
LEAST_BUCKETS, MOST_BUCKETS = 64, 50_000
KNOWN = "fetch"
URLS_A_BUCKET = 20_000
URLS_A_PART = 10_000  # images of one tar in the store
LARGE_HOST = 1_000  # URLs: so many of a host with more are held at a time


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    asked = fetch_settings(config.http, config.image)
    return Step(
        name="fetch images",
        verb="fetch",
        output=run.images,
        settings={"asked": asked, "http_of_images": config.http, "image": config.image},
        tables=(run.selected,),
        documents=lambda: in_force(run, config).urls,
        work=lambda context: fetch_pairs(context, run.selected, "fetch images"),
        result=lambda _: _answers(run),
        keep=True,
        left=lambda context: left_of(context, [run.selected]),
        mend=lambda _, name: mend_store(run, name),
        always=config.fetch.retry_failed,
    )


def _answers(run: RunFolder) -> str:
    """What became of the image addresses that were asked for: how many were had, and why most others were not."""
    step = fetch_step(run)
    lost = by_frequency(step.rejects)
    words = [f"{count:,} {in_words(reason)}" for reason, count in lost[:3]]
    words += [f"{sum(count for _, count in lost[3:]):,} for other reasons"] if lost[3:] else []
    return f"{step.rows_in:,} image URLs: {', '.join([f'{step.rows_out:,} stored', *words])}"


def left_of(context: Context, tables: Sequence[str]) -> Counter[str]:
    """How many of the addresses that the pairs of ``tables`` want nobody has asked for yet, by host, the most first."""
    run, config = context.run, context.config
    answers = partial(iter_batches, run.images, ["url", "status", "decided_by"], _tables_of(run.images))
    wanted = (batch for table in tables for batch in _wanted_of(run, config, table))
    return open_addresses(answers, lambda: wanted, config.http, config.image)


def _columns(stones: Tombstones) -> list[str]:
    """What is read of pairs to know which addresses they want."""
    return ["url", "page_url", "pair_id"] if stones else ["url"]


def _wanted_of(run: RunFolder, config: RunConfig, table: str) -> Iterator[pa.RecordBatch]:
    """The pairs of a table, as far as they were not taken out."""
    stones = in_force(run, config)
    return (without_removed(batch, stones) for batch in iter_batches(table, _columns(stones)))


def without_removed(batch: pa.RecordBatch, stones: Tombstones) -> pa.RecordBatch:
    """The pairs of a batch that were not taken out: nobody asks for the pictures of the others."""
    return batch.filter(pa.array([not kind for kind in stones.kinds(batch)], pa.bool_())) if stones else batch


def _tables_of(folder: str) -> list[str]:
    names: list[str] = read_manifest(folder).column("file").to_pylist()
    return [name for name in names if name.endswith(".parquet")]


def fetch_pairs(context: Context, pairs: str, name: str) -> None:
    """Fetches what the store lacks of the pairs of a table, in rounds: until nothing is open, or nothing more comes of
    asking, or the time or another budget for it is spent."""
    run, config = context.run, context.config
    claim_store(run, config.image)
    if context.fresh:
        adopt_parts(run, config.image)
    hours = config.fetch.max_hours
    until = time.time() + 3600 * hours if hours else float("inf")
    allowance, open_before, seconds = _allowance(context, pairs), -1, config.fetch.round_seconds
    while True:
        earlier = read_manifest(run.images).num_rows
        files.remove(_spent_folder(run))
        asking = partial(_Fetching, run, config, earlier, name, until, allowance, seconds)
        build = partial(fetch, pairs=pairs, run=run, config=config, asking=asking)
        context.engine.run(name, build, total=rows_in(pairs), unit="images")
        left = left_of(context, [pairs])
        still = left.total()
        allowance = _less(context, allowance, still)
        if not still or still == open_before or time.time() >= until or _is_spent(allowance):
            break
        hosts = ", ".join(f"{host}: {count:,}" for host, count in left.most_common(3))
        print(f"    {still:,} are open, most of {hosts}: the next round", file=sys.stderr)
        open_before, seconds = still, 2 * seconds  # so that the rounds of a host with many addresses are few
    if not still:
        files.remove(known_folder(run, KNOWN))
    files.remove(_spent_folder(run))


def _spent_folder(run: RunFolder) -> str:
    """Where each bucket of a round notes how many bytes it received, where that is counted."""
    return run.path(".spent-fetch")


def _allowance(context: Context, pairs: str) -> Allowance | None:
    """What this command may still ask for; None where that is all there is."""
    run, config, spent = context.run, context.config, context.spent
    if not config.fetch.max_requests and not config.fetch.max_bytes:
        return None
    answers = partial(iter_batches, run.images, ["url", "status", "decided_by"], _tables_of(run.images))

    def answered() -> Iterator[pa.Array]:
        return (known_rows(batch, config).column("url") for batch in answers())

    def wanted() -> Iterator[pa.Array]:
        return (batch.column("url") for batch in _wanted_of(run, config, pairs))

    most = config.fetch.max_requests - spent["requests"] if config.fetch.max_requests else float("inf")
    return _with_bytes(context, allow(wanted, answered, max(0, most), rows_in(pairs)))


def _less(context: Context, allowance: Allowance | None, still: int) -> Allowance | None:
    """What is left of an allowance after a round, which is counted as spent, when so many addresses are still open."""
    if allowance is None:
        return None
    left = max(0, still - (allowance.open - allowance.asked))
    notes = [files.read(url) or b"0" for url in files.listing("*", _spent_folder(context.run))]
    context.spent["requests"] += allowance.asked - left
    context.spent["bytes"] += sum(map(int, notes))
    return _with_bytes(context, dataclasses.replace(allowance, asked=left, open=still))


def _with_bytes(context: Context, allowance: Allowance) -> Allowance:
    """The allowance with the bytes that are left for each address."""
    most = context.config.fetch.max_bytes
    if not most:
        return allowance
    return dataclasses.replace(allowance, bytes_each=(most - context.spent["bytes"]) / max(1, allowance.asked))


def _is_spent(allowance: Allowance | None) -> bool:
    return allowance is not None and (not allowance.asked or allowance.bytes_each <= 0)


def fetch(
    root: beam.Pipeline,
    pairs: str,
    run: RunFolder,
    config: RunConfig,
    asking: "Callable[[], _Fetching]",
) -> None:
    """The pairs of a table -> images in the store, asked for host by host; what the store knows already is not asked
    again."""
    stones = in_force(run, config)
    selected = root | "Read pairs" >> ReadTable(pairs, _columns(stones))
    answered = root | "Read images" >> ReadTable(run.images, ["url", "status", "decided_by"])
    wanted = selected | "Wanted" >> beam.Map(wanted_rows, stones)
    known = answered | "Known" >> beam.Map(known_rows, config)
    urls = (wanted, known) | "All URLs" >> beam.Flatten().with_output_types(pa.RecordBatch)
    entries = urls | "Fetch by host" >> FetchImages(asking, rows_in(pairs))
    entries | "All parts" >> WriteManifest(run.images, keep=every_file)


def wanted_rows(batch: pa.RecordBatch, stones: Tombstones) -> pa.RecordBatch:
    """Selected pairs, but for those that were taken out, as rows of FETCH_PLAN."""
    batch = without_removed(batch, stones)
    return pa.RecordBatch.from_arrays([batch.column("url"), pa.repeat(False, batch.num_rows)], schema=FETCH_PLAN)


def known_rows(batch: pa.RecordBatch, config: RunConfig) -> pa.RecordBatch:
    """Answers of the image store as rows of FETCH_PLAN: what need not be asked for.

    Left out, so that they are asked again, are URLs whose turn did not come, answers that hang on settings that have
    changed, and, if ``fetch.retry_failed``, the failures that may pass.
    """
    open_urls = retry_failed(batch) if config.fetch.retry_failed else []
    known = pc.and_(
        is_answered(batch, config.http, config.image),
        pc.invert(pc.is_in(batch.column("url"), value_set=pa.array(open_urls, pa.string()))),
    )
    urls = batch.column("url").filter(known)
    return pa.RecordBatch.from_arrays([urls, pa.repeat(True, len(urls))], schema=FETCH_PLAN)


class FetchImages(beam.PTransform):
    """URLs (FETCH_PLAN) -> manifest rows of the parts of the image store that hold what came of those that are not
    known. ``urls``: about how many there are."""

    def __init__(self, asking: "Callable[[], _Fetching]", urls: int) -> None:
        super().__init__()
        self.asking = asking
        self.buckets = min(max(LEAST_BUCKETS, -(-urls // URLS_A_BUCKET)), MOST_BUCKETS)

    def expand(self, urls: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Entry]:
        buckets = urls | "By host" >> Gather(by_host, self.buckets, FETCH_PLAN, ["url"])
        return buckets | "Fetch buckets" >> beam.ParDo(AskBuckets(self.asking))


@dataclasses.dataclass(frozen=True)
class _Order:
    """Addresses of bucket ``number`` that are held together, which lie from ``start`` of the process's file of plans
    on; ``behind`` more of the same host come later."""

    number: int
    start: int
    length: int
    behind: int = 0


class _Fetching(Asking[_Order, Bucket, Entry]):
    """Fetches what buckets of hosts want and the store does not know; gives the manifest rows of the parts written.

    ``seconds``: the time of a host in this round. What is to be asked lies in a file until its turn comes.
    """

    known = KNOWN

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        earlier_parts: int,
        name: str,
        until: float,
        allowance: Allowance | None,
        seconds: float | None = None,
    ) -> None:
        super().__init__(run, config.http, name, config.fetch.backlog_bytes)
        self.config, self.earlier_parts, self.until, self.allowance = config, earlier_parts, until, allowance
        self.seconds = config.fetch.round_seconds if seconds is None else seconds

    def __enter__(self) -> Self:
        self._plans = tempfile.TemporaryFile()
        self._removed = in_force(self.run, self.config).contents
        self._open_hosts: dict[int, set[str]] = defaultdict(set)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._plans.close()

    def cut(self, element: object) -> Iterator[Chain[_Order]]:
        """One group of FETCH_PLAN: an order for all hosts but the large ones, and a chain for each of these."""
        number, table = cast(tuple[int, pa.Table], element)
        known = pc.unique(table.filter(table.column("known")).column("url"))
        wanted = pc.unique(table.column("url"))
        urls = wanted.filter(pc.invert(pc.is_in(wanted, value_set=known)))
        hosts = hosts_of(urls)
        order, found = np.argsort(hosts, kind="stable"), np.unique(hosts, return_counts=True)[1]
        largest = found.max(initial=0)
        starts = np.cumsum(found) - found
        small = np.ones(len(urls), bool)
        for place in np.flatnonzero(found > LARGE_HOST):
            rows = order[starts[place] : starts[place] + found[place]]
            small[rows] = False
            of_host = urls.take(pa.array(rows))
            # By their hashes, so that neither a bad folder comes in a row nor what a budget does not allow comes first.
            of_host = of_host.take(pa.array(np.argsort(hash_strings(of_host), kind="stable")))
            yield Chain(deque(self._slices(number, of_host)), len(of_host), is_large=True)
        if small.any():
            yield Chain(deque([self._kept(number, urls.filter(pa.array(small)), 0)]), int(largest))

    def _slices(self, number: int, urls: pa.Array) -> Iterator[_Order]:
        for start in range(0, len(urls), LARGE_HOST):
            some = urls.slice(start, LARGE_HOST)
            yield self._kept(number, some, len(urls) - start - len(some))

    def _kept(self, number: int, urls: pa.Array, behind: int) -> _Order:
        """An order whose addresses are written down."""
        batch = pa.record_batch([urls], ["url"])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        start = self._plans.seek(0, os.SEEK_END)
        self._plans.write(sink.getvalue())
        self._plans.flush()
        return _Order(number, start, self._plans.tell() - start, behind)

    def _addresses(self, order: _Order) -> list[str]:
        with pa.ipc.open_stream(os.pread(self._plans.fileno(), order.length, order.start)) as reader:
            found: list[str] = reader.read_all().column("url").to_pylist()
        return found

    def begin(self, order: _Order, chain: Chain[_Order]) -> Bucket:
        """The bucket of an order."""
        urls = sorted(self._addresses(order), key=_host_first)
        chunks = (sorted(urls[start : start + URLS_A_PART]) for start in range(0, len(urls), URLS_A_PART))
        parts = {self._part(order.number, chunk): chunk for chunk in chunks}
        config = self.config
        self.recall(f"{order.number:05d}")
        return Bucket(
            self.visits, self.run.images, parts, config.http, config.image, config.fetch, self.beacon, self.until,
            self.allowance, seconds=self.seconds + chain.since - pace.CLOCK.now(), behind=order.behind, news=self.news,
            removed=self._removed,
        )  # fmt: skip

    def _part(self, number: int, urls: Sequence[str]) -> str:
        """The name of a part: by its contents, so that a run that was killed finds the parts it had finished, and by
        what the store held before, so that a later round for the same URLs gets a part of its own."""
        identity = "\n".join([str(self.earlier_parts), *urls])
        return f"{number:05d}-{key_of(hash64(identity))}"

    def results(self, order: _Order, bucket: Bucket | None, chain: Chain[_Order]) -> Iterator[Entry]:
        """The manifest rows of the bucket's parts; and of what is left of a chain whose host has no more time, or is
        given up, or is not to be asked for more."""
        assert bucket is not None
        for part, _ in bucket.parts(self.throttled):
            yield from entries_of_part(self.run.images, part)
        if hosts := bucket.open_hosts:
            self._open_hosts[order.number] |= hosts
            self.remember(f"{order.number:05d}", self._open_hosts[order.number])
            while chain.orders:
                urls = sorted(self._addresses(chain.orders.popleft()))
                yield from write_unasked(self.run.images, self._part(order.number, urls), urls, NOT_REACHED)
        if self.config.fetch.max_bytes and bucket.received:
            name = f"{order.number:05d}-{uuid.uuid4().hex}"
            with files.write_atomic(files.join(_spent_folder(self.run), name), "w") as stream:
                stream.write(str(bucket.received))


def _host_first(url: str) -> tuple[str, str]:
    """Sorts the URLs of a host together, so that few parts hold some of them."""
    return host_of(url), url
