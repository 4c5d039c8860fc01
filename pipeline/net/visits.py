"""All the hosts that a process asks, visited at once: one event loop, in a thread of its own, with one polite client.

In: visits, each to one host, from any thread and at any time; so the buckets of hosts that an engine hands to a worker
one after another, or to several of its threads, are worked on together, and none waits for a slow host of another. Out:
nothing; a visit's own work keeps what it finds. The host with most to ask begins first, since it takes longest. As many
are open as asked for and as the process may have sockets. A host whose time is over goes on while another has time
left or is yet to come: it would only wait for that one.
"""

import asyncio
import contextlib
import heapq
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from pipeline.net.client import PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.sites import Memory, process_memory
from pipeline.net.slots import URGENCY, Slots
from pipeline.net.sockets import hosts_at_once

__all__ = ["Visit", "Visits", "in_lanes", "visits"]

WAIT_SECONDS = 1.0  # between two looks at how long the hosts were waited for


@dataclass(frozen=True, eq=False)
class Visit:
    """What is to be asked of one host. ``requests``: how many at least; ``seconds``: its time, which is over when the
    other visits' is too; ``until``: the moment (of the epoch) at which even what is under way is left; ``is_spare``: it
    may ask only while others have to be waited for, and none waits for a place among the hosts.

    ``work`` gets the client, the count of requests and bytes, and what tells whether it may ask for anything more.
    ``ended`` is called in every case, in the thread of the loop, with the error that ended the work or None.
    """

    requests: int
    work: Callable[[PoliteClient, Slots, Callable[[], bool]], Awaitable[None]]
    ended: Callable[[BaseException | None], None]
    seconds: float = float("inf")
    until: float = float("inf")
    is_spare: bool = False


class Visits:
    """The visits of this process under one configuration. ``backlog_bytes``: of received bodies that may wait to be
    worked on."""

    def __init__(self, http: HttpConfig, backlog_bytes: float = float("inf"), memory: Memory | None = None) -> None:
        self._http, self._backlog = http, backlog_bytes
        self._memory = memory or process_memory(http)
        self._most = hosts_at_once(http.concurrent_hosts)
        self._waiting: list[tuple[int, int, Visit]] = []  # a heap: the most requests first, then the first to come
        self._open: dict[Visit, asyncio.Task[None]] = {}
        self._ends: list[tuple[float, int, Visit]] = []  # a heap: the open visit whose time ends last, first
        self._count = 0
        self._expected = 0
        self._queued = 0  # of those that wait, spare ones left out
        self._waited = 0.0
        self._loop = asyncio.new_event_loop()
        self._client: PoliteClient
        self._slots: Slots
        self._over = asyncio.Event()
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="visits", daemon=True)
        self._thread.start()
        ready.result()

    def begin(self, new: Iterable[Visit]) -> None:
        """Takes on visits; returns at once."""
        self._loop.call_soon_threadsafe(self._take, list(new))

    @contextlib.contextmanager
    def expecting(self) -> Iterator[Callable[[], None]]:
        """A block in which more visits are to come, so that no host's time is over; what it is given ends that
        sooner."""
        left = [1]

        def no_more() -> None:
            while left:
                self._loop.call_soon_threadsafe(self._expect, -left.pop())

        self._loop.call_soon_threadsafe(self._expect, 1)
        try:
            yield no_more
        finally:
            no_more()

    def stop(self, those: Iterable[Visit]) -> None:
        """Gives visits up; returns when none of them is under way any more."""
        if not self._over.is_set():
            asyncio.run_coroutine_threadsafe(self._stop(set(those)), self._loop).result()

    def with_memory(self, act: Callable[[Memory], None]) -> None:
        """Lets ``act`` read or add to what is known of hosts, while no request does."""

        async def in_loop() -> None:
            act(self._memory)

        asyncio.run_coroutine_threadsafe(in_loop(), self._loop).result()

    def take_waited(self) -> float:
        """The seconds, since last asked, in which no request was under way because every host's turn was yet to
        come."""
        waited, self._waited = self._waited, 0.0
        return waited

    def wait_for(self, event: threading.Event, waited: Callable[[float], None]) -> None:
        """Returns when ``event`` is set; meanwhile ``waited`` is told what :meth:`take_waited` gives."""
        while not event.wait(WAIT_SECONDS):
            waited(self.take_waited())
        waited(self.take_waited())

    def close(self) -> None:
        """Ends what is under way, and the loop."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _serve(self, ready: "Future[None]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: "Future[None]") -> None:
        try:
            self._slots = Slots(self._http.concurrency, self._wait, self._backlog)
            self._client = PoliteClient(self._http, memory=self._memory, slots=self._slots)
            await self._client.__aenter__()
        except BaseException as error:
            ready.set_exception(error)
            raise
        ready.set_result(None)
        try:
            await self._over.wait()
        finally:
            await self._stop({*self._open, *(visit for _, _, visit in self._waiting)})
            await self._client.__aexit__(None, None, None)

    def _wait(self, seconds: float) -> None:
        self._waited += seconds

    def _expect(self, more: int) -> None:
        self._expected += more

    def _take(self, new: list[Visit]) -> None:
        for visit in new:
            self._queued += not visit.is_spare
            heapq.heappush(self._waiting, (-visit.requests, self._count, visit))
            self._count += 1
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._open) < self._most:
            visit = heapq.heappop(self._waiting)[2]
            self._queued -= not visit.is_spare
            # Its time begins here and not in its task, which may come after that of a visit that looks for others.
            self._count += 1
            heapq.heappush(self._ends, (-self._loop.time() - visit.seconds, self._count, visit))
            self._open[visit] = self._loop.create_task(self._visit(visit))

    async def _stop(self, those: set[Visit]) -> None:
        self._waiting = [entry for entry in self._waiting if entry[2] not in those]
        heapq.heapify(self._waiting)
        self._queued = sum(not visit.is_spare for _, _, visit in self._waiting)
        tasks = [task for visit, task in self._open.items() if visit in those]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _goes_on(self) -> bool:
        """Whether any visit has time left, or is to come."""
        while self._ends and self._ends[0][2] not in self._open:
            heapq.heappop(self._ends)
        to_come = self._expected > 0 or self._queued > 0
        return to_come or (bool(self._ends) and -self._ends[0][0] > self._loop.time())

    def _has_spare_time(self) -> bool:
        return self._queued == 0 and self._goes_on()

    async def _visit(self, visit: Visit) -> None:
        URGENCY.set(visit.requests)  # of this task and those that it begins
        seconds = visit.until - time.time()
        limit = asyncio.timeout(None if seconds == float("inf") else seconds)
        error: BaseException | None = None
        try:
            if seconds > 0:
                async with limit:
                    goes_on = self._has_spare_time if visit.is_spare else self._goes_on
                    await visit.work(self._client, self._slots, goes_on)
        except Exception as raised:
            error = None if isinstance(raised, TimeoutError) and limit.expired() else raised
        except BaseException as raised:
            error = raised
            raise
        finally:
            del self._open[visit]
            visit.ended(error)
            self._fill()


async def in_lanes(lane: Callable[[], Coroutine[None, None, None]], number: int) -> None:
    """Runs so many of a lane at once to their end; raises the first error of one, after the others were cancelled."""
    lanes = [asyncio.create_task(lane()) for _ in range(number)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


_lock = threading.Lock()
_shared: dict[tuple[HttpConfig, float], tuple[Visits, int]] = {}


@contextlib.contextmanager
def visits(http: HttpConfig, backlog_bytes: float = float("inf"), memory: Memory | None = None) -> Iterator[Visits]:
    """The visits of this process under these settings, shared by all that are in such a block at the same time; with a
    ``memory`` of one's own, one's own."""
    if memory is not None:
        own = Visits(http, backlog_bytes, memory)
        try:
            yield own
        finally:
            own.close()
        return
    key = (http, backlog_bytes)
    with _lock:
        shared, users = _shared.get(key) or (Visits(*key), 0)
        _shared[key] = (shared, users + 1)
    try:
        yield shared
    finally:
        with _lock:
            users = _shared[key][1] - 1
            _shared[key] = (shared, users)
            if not users:
                del _shared[key]
        if not users:
            shared.close()
