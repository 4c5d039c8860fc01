"""The requests under way at once, and how long there were none because every host's next turn was yet to come.

A worker that waits for its hosts is idle for their sake: more workers would not make it faster, and an engine that adds
machines by load should be told (pipeline/engines/throttling.py does).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

__all__ = ["Slots"]


class Slots(asyncio.Semaphore):
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
