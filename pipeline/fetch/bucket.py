"""Fetching the images of one bucket of hosts, politely, into a part of the image store.

In: image URLs whose hosts no other worker asks. Out: a tar of stored pictures and a row for each URL, success or
reason. Hosts are interleaved, those with most URLs begin first, and each keeps its own pace; pictures are decoded in
threads while others arrive. A run that is killed takes up where it stopped. Nothing here knows how to be polite: that
is PoliteClient.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

import pyarrow as pa

from pipeline.fetch.config import FetchConfig
from pipeline.fetch.part import facts_of, finish_part, open_spool, read_part
from pipeline.fetch.spool import Spool
from pipeline.hosts import host_of
from pipeline.image.config import PICTURE_TYPES, ImageConfig
from pipeline.image.process import Processed, Rejected, process
from pipeline.net.client import Answer, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.sites import process_memory
from pipeline.net.slots import Slots
from pipeline.reasons import NOT_REACHED

__all__ = ["fetch_bucket"]

# JPEG first: where a server can choose, it is the cheapest to decode.
_ACCEPT = "image/jpeg, image/png;q=0.9, image/webp;q=0.9, image/gif;q=0.9, image/avif;q=0.8, image/*;q=0.5, */*;q=0.1"


class Advances(Protocol):
    """What shows progress: Progress and Beacon both do."""

    def advance(self, amount: float = 1, note: str | None = None) -> None: ...


class _Slots(Slots):
    """The requests under way at once. None is added while too many received bytes wait for a decoder."""

    def __init__(self, requests: int, backlog_bytes: int, waited: Callable[[float], None] | None) -> None:
        super().__init__(requests, waited)
        self._limit = backlog_bytes
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()

    async def acquire(self) -> Literal[True]:
        await super().acquire()
        try:
            await self._room.wait()
        except BaseException:
            self.release()
            raise
        return True

    def count(self, received: int) -> None:
        """Adds the bytes of a body that waits, or takes them off again."""
        self._waiting += received
        if self._waiting < self._limit:
            self._room.set()
        else:
            self._room.clear()


def fetch_bucket(
    urls: Sequence[str],
    folder: str,
    part: str,
    http: HttpConfig,
    image: ImageConfig,
    progress: Advances | None = None,
    fetch: FetchConfig | None = None,
    waited: Callable[[float], None] | None = None,
) -> pa.RecordBatch:
    """Fetches ``urls`` into ``folder/part.tar`` and ``folder/part.parquet``; returns the rows (schema IMAGES), one a
    URL, in order.

    A finished part is read back and nothing is asked. ``progress`` is told of each URL, ``waited`` of the seconds spent
    waiting for the hosts' turns. A URL given twice counts once.
    Raises UserError when a public host would be asked without a contact, or the part was made for other URLs.
    """
    urls = list(dict.fromkeys(urls))
    fetch = fetch or FetchConfig()
    if (finished := _finished(folder, part, urls, progress)) is not None:
        return finished
    # An engine may give a bucket to a second worker while the first, which it takes for lost, is still at it. Two at a
    # time would ask everything twice, and too fast.
    with open_spool(folder, part, image, fetch.round_seconds) as spool:
        if (finished := _finished(folder, part, urls, progress)) is not None:
            spool.delete()
            return finished
        left = [url for url in urls if url not in spool]
        if progress is not None:
            progress.advance(len(urls) - len(left))
        bucket = _Bucket(http, image, fetch, spool, progress, waited)
        if left:
            asyncio.run(bucket.run(left))
        return finish_part(folder, part, urls, spool, NOT_REACHED)


def _finished(folder: str, part: str, urls: Sequence[str], progress: Advances | None) -> pa.RecordBatch | None:
    """The rows of a part that is finished already."""
    rows = read_part(folder, part, urls)
    if rows is not None and progress is not None:
        progress.advance(len(urls))
    return rows


class _Bucket:
    """One run through the URLs of a bucket."""

    def __init__(
        self,
        http: HttpConfig,
        image: ImageConfig,
        fetch: FetchConfig,
        spool: Spool,
        progress: Advances | None,
        waited: Callable[[float], None] | None,
    ) -> None:
        self._http, self._image, self._fetch = http, image, fetch
        self._spool = spool
        self._progress = progress
        self._slots = _Slots(http.concurrency, fetch.backlog_bytes, waited)
        self._threads = ThreadPoolExecutor(image.threads, "decode")

    async def run(self, urls: Sequence[str]) -> None:
        """Works through ``urls`` until all have a result or the round's time is over."""
        hosts = iter(_by_host(urls))
        async with PoliteClient(self._http, memory=process_memory(self._http), slots=self._slots) as client:
            visits = [asyncio.create_task(self._visit(client, hosts)) for _ in range(self._fetch.hosts)]
            try:
                done, _ = await asyncio.wait(
                    visits, timeout=self._fetch.round_seconds, return_when=asyncio.FIRST_EXCEPTION
                )
                for visit in done:
                    visit.result()  # raises what the visit raised
            finally:
                for visit in visits:
                    visit.cancel()
                await asyncio.gather(*visits, return_exceptions=True)
                self._threads.shutdown()

    async def _visit(self, client: PoliteClient, hosts: Iterator[list[str]]) -> None:
        """Asks for all of one host's URLs, as many at a time as it may be asked, then for those of the next."""
        for urls in hosts:
            waiting = iter(urls)
            number = min(self._http.concurrency_per_host, len(urls))
            lanes = [asyncio.create_task(self._ask(client, waiting)) for _ in range(number)]
            try:
                await asyncio.gather(*lanes)
            finally:
                for lane in lanes:
                    lane.cancel()

    async def _ask(self, client: PoliteClient, urls: Iterator[str]) -> None:
        for url in urls:
            answer = await client.get(url, accept=_ACCEPT, types=PICTURE_TYPES)
            self._slots.count(len(answer.body))
            try:
                await self._store(url, answer)
            finally:
                self._slots.count(-len(answer.body))
            if self._progress is not None:
                self._progress.advance(1)

    async def _store(self, url: str, answer: Answer) -> None:
        seen = {
            "http_status": answer.status or None,
            "consent": answer.consent or None,
            "consent_evidence": answer.consent_evidence or None,
        }
        result: Processed | Rejected = Rejected(answer.reason, answer.detail)
        if not answer.reason:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._threads, process, answer.body, self._image)
        facts = facts_of(url, result, self._http, self._image, **seen)
        self._spool.add(facts, b"" if isinstance(result, Rejected) else result.data)


def _by_host(urls: Sequence[str]) -> list[list[str]]:
    """URLs by host, the hosts with most URLs first: they take longest, so that they must not begin last."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for url in urls:
        hosts[host_of(url)].append(url)
    return sorted(hosts.values(), key=len, reverse=True)
