"""Buckets of hosts that a process asks, all at once: most of the time of each is its hosts' and not this machine's.

In: elements, each of which is cut into orders: buckets that may be begun. Out: what comes of each, as it comes. The
host that takes longest begins first. While the buckets hold more than so many addresses no other one is begun, which
bounds the memory; a large host is no one's neighbour, and its addresses are a chain of buckets, of which one at a time
is held.
"""

import contextlib
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.engines.throttling import Throttled
from pipeline.engines.watching import Beacon
from pipeline.keeping.folder import RunFolder
from pipeline.net import pace
from pipeline.net.config import HttpConfig
from pipeline.net.known import recall, remember
from pipeline.net.visits import visits
from webimagetext import files

__all__ = ["AskBuckets", "Asking", "Chain", "known_folder"]


def known_folder(run: RunFolder, name: str) -> str:
    """Where a stage keeps what it knows of hosts from round to round; it goes when the stage is done."""
    return run.path(f".hosts-{name}")


class Begun(Protocol):
    """A bucket at work: fetch/bucket.py and read/crawl.py have one."""

    @property
    def size(self) -> int: ...

    @property
    def is_over(self) -> bool: ...

    def stop(self) -> None: ...


R = TypeVar("R")  # an order
B = TypeVar("B", bound=Begun)
T = TypeVar("T")


@dataclass
class Chain(Generic[R]):
    """Orders, each of which begins a bucket, one after the other. ``most``: the addresses of its host with most;
    ``is_large``: they are all of one host, which takes longer than others."""

    orders: deque[R]
    most: int
    is_large: bool = False
    since: float = 0.0  # by the clock of the pace


class Asking(Generic[R, B, T]):
    """What one process asks; a context manager. ``open_urls``: the addresses that its buckets hold at most, and again
    those of large hosts; ``known``: the name of the folder for what is known of hosts (:func:`known_folder`)."""

    open_urls = 400_000  # about 200 MB
    known: str

    def __init__(self, run: RunFolder, http: HttpConfig, name: str, backlog_bytes: float = float("inf")) -> None:
        self.run, self.http, self.name, self.backlog_bytes = run, http, name, backlog_bytes

    @abstractmethod
    def cut(self, element: object) -> Iterable[Chain[R]]:
        """The orders of an element."""

    @abstractmethod
    def begin(self, order: R, chain: Chain[R]) -> B | None:
        """The order's bucket, begun; None where there is nothing to ask."""

    @abstractmethod
    def results(self, order: R, bucket: B | None, chain: Chain[R]) -> Iterator[T]:
        """What came of an order, once it is there. May take from the chain what is not to be begun."""

    def __enter__(self) -> Self:
        self._taken: list[Chain[R]] = []
        self._begun: list[tuple[Chain[R], R, B]] = []
        self.news = threading.Event()  # a bucket is over
        self.throttled: Callable[[float], None] = lambda seconds: None
        self.beacon = Beacon(self.run, self.name)
        self._shared = contextlib.ExitStack()
        self.visits = self._shared.enter_context(visits(self.http, self.backlog_bytes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._begun:
            self._begun.pop()[2].stop()
        self._shared.close()

    def take(self, element: object) -> None:
        """Takes an element on; nothing is asked yet, since what takes longest is to begin first."""
        self._taken.extend(self.cut(element))

    def rest(self) -> Iterator[T]:
        """Asks for all that was taken on; gives what comes of it as it comes."""
        waiting = sorted(self._taken, key=lambda chain: -chain.most)
        self._taken = []
        queues = [deque(chain for chain in waiting if chain.is_large is large) for large in (True, False)]
        with self.visits.expecting() as no_more:
            while any(queues) or self._begun:
                for queue, large in zip(queues, (True, False), strict=True):
                    while queue and self._held(large=large) < self.open_urls:
                        yield from self._begin(queue.popleft())
                if not any(queues):
                    no_more()
                yield from self._next_results()

    def _next_results(self) -> Iterator[T]:
        """What comes of the buckets that are over, of which there is one soon."""
        self.news.clear()
        over = [entry for entry in self._begun if entry[2].is_over]
        if not over and self._begun:
            self.visits.wait_for(self.news, self.throttled)
        for entry in over:
            chain, order, bucket = entry
            yield from self.results(order, bucket, chain)
            self._begun.remove(entry)
            bucket.stop()
            self.beacon.flush()
            yield from self._begin(chain)

    def _held(self, *, large: bool) -> int:
        return sum(bucket.size for chain, _, bucket in self._begun if chain.is_large is large)

    def _begin(self, chain: Chain[R]) -> Iterator[T]:
        """Begins the next bucket of a chain, if there is one."""
        while chain.orders:
            order = chain.orders.popleft()
            chain.since = chain.since or pace.CLOCK.now()
            bucket = self.begin(order, chain)
            if bucket is not None:
                self._begun.append((chain, order, bucket))
                return
            yield from self.results(order, None, chain)

    def recall(self, bucket: str) -> None:
        """Takes up what an earlier round has learnt of the hosts of a bucket, by its name."""
        self.visits.with_memory(partial(recall, self._known(bucket)))

    def remember(self, bucket: str, hosts: Collection[str]) -> None:
        """Keeps what is known of a bucket's hosts for the next round, whichever process that is in."""
        self.visits.with_memory(lambda memory: remember(self._known(bucket), memory, hosts))

    def _known(self, bucket: str) -> str:
        return files.join(known_folder(self.run, self.known), bucket)


class AskBuckets(beam.DoFn):
    """Elements in; what :class:`Asking` makes of them out, when all of a bundle are there."""

    def __init__(self, asking: Callable[[], Asking[Any, Any, Any]]) -> None:
        self.asking = asking

    def start_bundle(self) -> None:
        """Begins with no bucket."""
        self.now = self.asking().__enter__()
        self.now.throttled = Throttled()

    def process(self, element: object) -> None:
        with self._ended_by_error():
            self.now.take(element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        with self._ended_by_error():
            for result in self.now.rest():
                yield _windowed(result)
        self.now.__exit__(None, None, None)

    @contextlib.contextmanager
    def _ended_by_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.now.__exit__(None, None, None)
            raise


def _windowed(result: object) -> object:
    """A result as the end of a bundle is to give it."""
    if isinstance(result, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(result.tag, _windowed(result.value))
    return WindowedValue(result, MIN_TIMESTAMP, (GlobalWindow(),))
