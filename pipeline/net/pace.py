"""How fast one host is asked: a turn at a time, never closer together than its delay, and no more once it is in
trouble.

In: the outcome of each request. Out: permission for the next. One :class:`HostPace` a host; what it knows outlives the
client that made it (see :class:`HostMemory`), so that a later round of a crawl in the same process keeps the pace.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from pipeline.net.config import HttpConfig

ANSWERED_WEIGHT = 0.25  # of a failure that the host told itself (5xx), beside one of a host that is silent or refuses

DAY_SECONDS = 86_400.0

__all__ = ["Clock", "HostGivenUpError", "HostMemory", "HostPace"]


class Clock:
    """The time by which hosts are asked; a test has one of its own, for no test should wait or depend on the machine's
    load."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Returns so many seconds later."""
        await asyncio.sleep(seconds)


CLOCK = Clock()


class HostGivenUpError(Exception):
    """The host is not asked again by this client; the message says why."""


@dataclass
class HostMemory:
    """What stays true of a host from one client to the next, in times of the monotonic clock."""

    last_start: float = float("-inf")
    not_before: float = float("-inf")  # while backing off
    delay: float = 0.0

    @classmethod
    def waiting(cls, seconds: float) -> "HostMemory":
        """Of a host that may be asked in so many seconds from now."""
        return cls(not_before=CLOCK.now() + seconds)

    def wait(self) -> float:
        """Seconds until the next request may start; zero or less when it may now."""
        return max(self.last_start + self.delay, self.not_before) - CLOCK.now()


@dataclass
class HostPace:
    """The pace of one host within one client."""

    config: HttpConfig
    memory: HostMemory
    failures: float = 0
    given_up: str = ""
    answers: int = 0  # to requests for what is wanted of it, policy files not counted
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # first come, first served
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.config.concurrency_per_host)
        self.memory.delay = max(self.memory.delay, self.config.delay)

    @property
    def is_idle(self) -> bool:
        """Whether nobody asks the host, nor has to wait before asking it."""
        return not self._slots.locked() and not self._turn.locked() and self.memory.wait() <= 0

    def ask_for_delay(self, seconds: float) -> None:
        """Takes over a Crawl-delay where it is the longer one; a host that asks for too long a one is given up."""
        if seconds > self.config.max_crawl_delay:
            self.given_up = f"its robots.txt asks for {seconds:g} s between requests"
        self.memory.delay = max(self.memory.delay, seconds)

    @contextlib.asynccontextmanager
    async def turn(self, everyone: asyncio.Semaphore) -> AsyncIterator[Callable[[], None]]:
        """Waits for the host's turn and for a place among the requests of all hosts; the block is one request.

        The block is to call what it is given at the moment the request is sent: the next turn's delay counts from
        there, however long the connection took. Raises HostGivenUpError.
        """
        async with self._slots:
            await self._turn.acquire()
            held = True

            def sent() -> None:
                nonlocal held
                self.memory.last_start = CLOCK.now()
                if held:
                    held = False
                    self._turn.release()

            try:
                await self._due()
                async with everyone:
                    if self.memory.delay == 0:
                        sent()
                    yield sent
            finally:
                if held:
                    self.memory.last_start = CLOCK.now()
                    self._turn.release()

    async def _due(self) -> None:
        while not self.given_up and (wait := self.memory.wait()) > 0:
            if wait > max(self.config.max_backoff, self.memory.delay) + 1:  # what it asked for an earlier client
                self.given_up = f"it asks to wait {wait:.0f} s"
            else:
                await CLOCK.sleep(wait)
        if self.given_up:
            raise HostGivenUpError(self.given_up)

    def succeeded(self) -> None:
        """The host answered as it should."""
        self.failures = 0

    def slow_down(self, retry_after: float | None = None, attempt: int = 0) -> None:
        """The host refused for now, failed, or was not reached: its next request waits.

        ``retry_after`` is what it asked for, in seconds; ``attempt`` counts the repeats of this request, for the
        back-off.
        """
        wait = retry_after if retry_after is not None else self.config.backoff * 2.0**attempt
        if retry_after is None:
            wait = min(wait, self.config.max_backoff)
        elif retry_after > self.config.max_backoff:
            self.given_up = f"it asks to wait {retry_after:.0f} s"
            wait = min(wait, DAY_SECONDS)
        self.memory.not_before = max(self.memory.not_before, CLOCK.now() + wait)

    def failed(self, why: str, *, answered: bool = False) -> None:
        """A URL was lost to this trouble, repeats and all: the host is given up after too many in a row.

        A host that has ``answered``, if only that it failed, is alive, and the trouble may be the URL's own: such a
        failure weighs less.
        """
        self.failures += ANSWERED_WEIGHT if answered else 1
        if self.failures >= self.config.host_failures:
            self.given_up = f"too many failures in a row, the last: {why}"
