"""Fetching the images of buckets of hosts, politely, into parts of the image store.

In: image URLs whose hosts no other process asks. Out: for each part a tar of stored pictures and a row for each URL,
success or reason. The hosts of all buckets of this process are visited at once (net/visits.py), each at its own pace
and in mixed order, so that a bad folder of its addresses does not come in a row; pictures are decoded in threads while
others arrive. A run that is killed takes up where it stopped. Nothing here knows how to be polite: that is
PoliteClient.
"""

import asyncio
import functools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.fetch.budget import Allowance
from pipeline.fetch.config import FetchConfig
from pipeline.fetch.part import drop_journal, facts_of, finish_part, open_spool, read_part
from pipeline.fetch.spool import Spool
from pipeline.hashing import hash64
from pipeline.hosts import host_of
from pipeline.image.config import PICTURE_TYPES, ImageConfig
from pipeline.image.process import Processed, Rejected, process
from pipeline.net.client import Answer, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.slots import Slots
from pipeline.net.sniff import is_picture
from pipeline.net.visits import Visit, Visits, in_lanes, visits
from pipeline.reasons import NOT_REACHED
from webimagetext.cores import own_cores

__all__ = ["Bucket", "fetch_bucket"]

# JPEG first: where a server can choose, it is the cheapest to decode.
_ACCEPT = "image/jpeg, image/png;q=0.9, image/webp;q=0.9, image/gif;q=0.9, image/avif;q=0.8, image/*;q=0.5, */*;q=0.1"


class Advances(Protocol):
    """What shows progress: Progress and Beacon both do."""

    def advance(self, amount: float = 1, note: str | None = None) -> None: ...


@functools.cache
def _decoders(threads: int) -> ThreadPoolExecutor:
    """The threads of this process that decode pictures; for 0 one for each core that it has to itself."""
    return ThreadPoolExecutor(threads or own_cores(), "decode")


def fetch_bucket(
    urls: Sequence[str],
    folder: str,
    part: str,
    http: HttpConfig,
    image: ImageConfig,
    progress: Advances | None = None,
    fetch: FetchConfig | None = None,
    waited: Callable[[float], None] = lambda seconds: None,
) -> pa.RecordBatch:
    """Fetches ``urls`` into ``folder/part.tar`` and ``folder/part.parquet``; returns the rows (schema IMAGES), one a
    URL, in order.

    A finished part is read back and nothing is asked. ``progress`` is told of each URL, ``waited`` of the seconds spent
    waiting for the hosts' turns. A URL given twice counts once.
    Raises UserError when a public host would be asked without a contact, or the part was made for other URLs.
    """
    fetch = fetch or FetchConfig()
    with visits(http, fetch.backlog_bytes) as shared:
        bucket = Bucket(shared, folder, {part: list(dict.fromkeys(urls))}, http, image, fetch, progress)
        try:
            [(_, rows)] = bucket.parts(waited)
        finally:
            bucket.stop()
    return rows


class _Part:
    """A part of the store: ``rows`` once it is finished, till then its journal and the number of ``left`` URLs."""

    def __init__(self, folder: str, name: str, urls: Sequence[str]) -> None:
        self.folder, self.name, self.urls = folder, name, urls
        self.rows = read_part(folder, name, urls)
        self.spool: Spool | None = None
        self.left = 0
        self.ended = threading.Event()

    def open(self, image: ImageConfig, patience: float) -> list[str]:
        """Opens the journal; returns the URLs that it does not know.

        An engine may give a bucket to a second worker while the first, which it takes for lost, is still at it. Two at
        a time would ask everything twice, and too fast.
        """
        if self.rows is not None:
            drop_journal(self.folder, self.name)
            self.ended.set()
            return []
        self.spool = open_spool(self.folder, self.name, image, patience)
        self.rows = read_part(self.folder, self.name, self.urls)
        if self.rows is not None:  # the other worker has finished it
            self.spool.delete()
            self.ended.set()
            return []
        left = [url for url in self.urls if url not in self.spool]
        self.left = len(left)
        if not left:
            self.ended.set()
        return left

    def count_off(self) -> None:
        """One more of the URLs has an answer, or gets none in this round."""
        self.left -= 1
        if not self.left:
            self.ended.set()

    def finish(self) -> pa.RecordBatch:
        """The part's rows, which are written first where they are not yet."""
        if self.rows is None:
            assert self.spool is not None
            self.rows = finish_part(self.folder, self.name, self.urls, self.spool, NOT_REACHED)
        return self.rows

    def close(self) -> None:
        """Closes the journal, which stays where the part is not finished."""
        if self.spool is not None:
            self.spool.close()
            self.spool = None


class Bucket:
    """The fetch of one bucket's URLs into ``parts`` of the store (their URLs by name), begun when it is made.

    ``until``: seconds of the epoch, from which on nobody is asked any more. ``allowance``: which addresses may be asked
    for, and how much they may bring. ``seconds``: the time of each host, by default that of a round; ``behind``: how
    many more of a host's addresses come in a later bucket; ``news`` is set when the bucket is over; ``removed`` are the
    SHA-256 of pictures that were taken out, and are not stored.
    """

    def __init__(
        self,
        shared: Visits,
        folder: str,
        parts: Mapping[str, Sequence[str]],
        http: HttpConfig,
        image: ImageConfig,
        fetch: FetchConfig,
        progress: Advances | None = None,
        until: float = float("inf"),
        allowance: Allowance | None = None,
        *,
        seconds: float | None = None,
        behind: int = 0,
        news: threading.Event | None = None,
        removed: frozenset[str] = frozenset(),
    ) -> None:
        self._shared, self._http, self._image = shared, http, image
        self._seconds = fetch.round_seconds if seconds is None else seconds
        self._behind, self._news, self._removed = behind, news or threading.Event(), removed
        self._progress = progress
        self._threads = _decoders(image.threads)
        self._error: BaseException | None = None
        self._parts: list[_Part] = []
        self._visits: list[Visit] = []
        self.received = 0  # bytes of pictures
        allowance = allowance or Allowance()
        hosts: dict[str, list[tuple[str, _Part]]] = defaultdict(list)
        try:
            for name, urls in parts.items():
                part = _Part(folder, name, urls)
                self._parts.append(part)
                left = part.open(image, fetch.round_seconds)
                self._advance(len(urls) - len(left))
                for url in left:
                    if allowance.allows(url):
                        hosts[host_of(url)].append((url, part))
                    else:
                        part.count_off()
        except BaseException:
            self.stop()
            raise
        self._purse = sum(map(len, hosts.values())) * allowance.bytes_each if hosts else 0
        self._visits = [self._visit(urls, until) for urls in hosts.values()]
        shared.begin(self._visits)

    @property
    def size(self) -> int:
        """How many URLs are held."""
        return sum(len(part.urls) for part in self._parts)

    @property
    def is_over(self) -> bool:
        """Whether nobody has to be waited for any more."""
        return all(part.ended.is_set() for part in self._parts)

    def parts(self, waited: Callable[[float], None] = lambda seconds: None) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Name and rows of each part, as soon as it and those before it are finished. ``waited`` is told the seconds
        spent waiting for the hosts' turns; raises what ended a visit."""
        for part in self._parts:
            self._shared.wait_for(part.ended, waited)
            if self._error is not None:
                raise self._error
            yield part.name, part.finish()

    @property
    def open_hosts(self) -> set[str]:
        """The hosts of URLs that got no answer, of parts that are finished."""
        rows = [part.rows for part in self._parts if part.rows is not None]
        unasked = [batch.column("url").filter(pc.equal(batch.column("status"), NOT_REACHED)) for batch in rows]
        return {host_of(url) for urls in unasked for url in urls.to_pylist()}

    def stop(self) -> None:
        """Ends what is under way and closes the journals; to be called at the end, whatever that was."""
        self._shared.stop(self._visits)
        for part in self._parts:
            part.close()

    def _advance(self, number: int) -> None:
        if self._progress is not None and number:
            self._progress.advance(number)

    def _visit(self, urls: list[tuple[str, _Part]], until: float) -> Visit:
        """The visit to one host: as many lanes as it may be asked in at a time, each taking the next URL."""
        waiting = deque(sorted(urls, key=lambda entry: hash64(entry[0])))

        async def work(client: PoliteClient, slots: Slots, goes_on: Callable[[], bool]) -> None:
            lanes = self._http.of_host(host_of(urls[0][0])).concurrency_per_host
            await in_lanes(lambda: lane(client, slots, goes_on), min(lanes, len(urls)))

        async def lane(client: PoliteClient, slots: Slots, goes_on: Callable[[], bool]) -> None:
            while waiting and self.received < self._purse and goes_on():
                url, part = waiting.popleft()
                under_way[url] = part
                await self._ask(client, slots, url, part)
                del under_way[url]
                part.count_off()
                self._advance(1)

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self._error = self._error or error
                for part in self._parts:
                    part.ended.set()  # whoever waits is to hear of it
            for part in (*under_way.values(), *(part for _, part in waiting)):
                part.count_off()
            if self.is_over:
                self._news.set()

        under_way: dict[str, _Part] = {}
        return Visit(len(urls) + self._behind, work, ended, self._seconds, until)

    async def _ask(self, client: PoliteClient, slots: Slots, url: str, part: _Part) -> None:
        answer = await client.get(url, accept=_ACCEPT, types=PICTURE_TYPES, shows=is_picture)
        if answer.reason == "host_given_up" and client.has_answered(answer.final_url):
            return  # the host was well before, and may be in a later round: the URL stays open
        self.received += len(answer.body)
        slots.count(len(answer.body))
        try:
            await self._store(url, answer, part)
        finally:
            slots.count(-len(answer.body))

    async def _store(self, url: str, answer: Answer, part: _Part) -> None:
        seen = {
            "http_status": answer.status or None,
            "consent": answer.consent or None,
            "consent_evidence": answer.consent_evidence or None,
        }
        result: Processed | Rejected = Rejected(answer.reason, answer.detail)
        if not answer.reason:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._threads, process, answer.body, self._image)
            if not isinstance(result, Rejected) and result.sha256 in self._removed:
                result = Rejected("removed")
        facts = facts_of(url, result, self._http, self._image, **seen)
        assert part.spool is not None
        part.spool.add(facts, b"" if isinstance(result, Rejected) else result.data)
