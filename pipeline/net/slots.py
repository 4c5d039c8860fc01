"""The requests under way at once: who waits for a place gets it by how much there is to ask of its host; and how long
there were none because every host's next turn was yet to come.

A host with many addresses takes longest, and would take longer still if each of its requests waited behind those of
all others. A worker that waits for its hosts is idle for their sake: more workers would not make it faster, and an
engine that adds machines by load should be told (pipeline/engines/throttling.py does).
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

__all__ = ["URGENCY", "Places", "Slots"]

# How many requests the host has for which a task works: the more, the sooner it gets a place.
URGENCY: ContextVar[int] = ContextVar("urgency", default=0)


class Places(asyncio.Semaphore):
    """A semaphore whose waiters go by URGENCY, and among equals by who came first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._free = number
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._came = 0

    def locked(self) -> bool:
        """Whether whoever came now would have to wait."""
        return self._free == 0

    async def acquire(self) -> Literal[True]:
        if self._free:
            self._free -= 1
            return True
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (-URGENCY.get(), self._came, place))
        self._came += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given the place at that moment
                Places.release(self)
            raise
        return True

    def release(self) -> None:
        """Gives the place to who is next."""
        while self._queue:
            _, _, place = heapq.heappop(self._queue)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Slots(Places):
    """At most ``requests`` requests at once, and none more while too many received bytes wait to be worked on.

    ``waited`` is told the seconds of each pause without any request, less the processor time that was spent in it: a
    pause in which pages are parsed or pictures decoded is no waiting. It is called in the thread that runs the event
    loop.
    """

    def __init__(
        self, requests: int, waited: Callable[[float], None] | None = None, backlog_bytes: float = float("inf")
    ) -> None:
        super().__init__(requests)
        self._waited = waited
        self._under_way = 0
        self._since = _clocks()
        self._limit = backlog_bytes
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()

    async def acquire(self) -> Literal[True]:
        await super().acquire()
        try:
            await self._room.wait()
        except BaseException:
            super().release()
            raise
        if self._under_way == 0 and self._waited is not None:
            wall, work = (now - then for now, then in zip(_clocks(), self._since, strict=True))
            self._waited(max(0.0, wall - work))
        self._under_way += 1
        return True

    def release(self) -> None:
        """Gives a place back."""
        super().release()
        self._under_way -= 1
        if self._under_way == 0:
            self._since = _clocks()

    def count(self, received: int) -> None:
        """Adds the bytes of a body that waits to be worked on, or takes them off again."""
        self._waiting += received
        if self._waiting < self._limit:
            self._room.set()
        else:
            self._room.clear()


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()
