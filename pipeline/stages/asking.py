"""Buckets of hosts that a process asks, all at once: most of the time of each is its hosts' and not this machine's.

In: elements, each of which begins a bucket. Out: what comes of each, in the order in which they were begun. When the
buckets hold more than so many addresses, the oldest are waited for before another begins, which bounds the memory.
"""

import contextlib
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterator
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
from pipeline.net.config import HttpConfig
from pipeline.net.known import recall, remember
from pipeline.net.visits import visits
from webimagetext import files

__all__ = ["AskBuckets", "Asking", "known_folder"]


def known_folder(run: RunFolder, name: str) -> str:
    """Where a stage keeps what it knows of hosts from round to round; it goes when the stage is done."""
    return run.path(f".hosts-{name}")


class Begun(Protocol):
    """A bucket at work: fetch/bucket.py and read/crawl.py have one."""

    @property
    def size(self) -> int: ...

    def stop(self) -> None: ...


B = TypeVar("B", bound=Begun)
T = TypeVar("T")


class Asking(Generic[B, T]):
    """The buckets that one process has begun; a context manager. ``open_urls``: the addresses that they may hold;
    ``known``: the name of the folder for what is known of hosts (:func:`known_folder`)."""

    open_urls = 400_000  # about 200 MB
    known: str

    def __init__(self, run: RunFolder, http: HttpConfig, name: str, backlog_bytes: float = float("inf")) -> None:
        self.run, self.http, self.name, self.backlog_bytes = run, http, name, backlog_bytes

    @abstractmethod
    def begin(self, element: object) -> B | None:
        """The element's bucket, begun; None where there is nothing to ask."""

    @abstractmethod
    def results(self, element: object, bucket: B | None) -> Iterator[T]:
        """What came of an element, once it is there."""

    def __enter__(self) -> Self:
        self._begun: deque[tuple[object, B | None]] = deque()
        self.throttled: Callable[[float], None] = lambda seconds: None
        self.beacon = Beacon(self.run, self.name)
        self._shared = contextlib.ExitStack()
        self.visits = self._shared.enter_context(visits(self.http, self.backlog_bytes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._begun:
            self._end(self._begun.popleft()[1])
        self._shared.close()

    def take(self, element: object) -> Iterator[T]:
        """Begins an element; gives what came of those for which it had to wait."""
        self._begun.append((element, self.begin(element)))
        yield from self.rest(self.open_urls)

    def rest(self, most: int = -1) -> Iterator[T]:
        """Waits for the oldest buckets until the others hold at most ``most`` addresses; by default for all."""
        while self._begun and sum(bucket.size for _, bucket in self._begun if bucket is not None) > most:
            element, bucket = self._begun[0]
            yield from self.results(element, bucket)
            self._begun.popleft()
            self._end(bucket)
            self.beacon.flush()

    def recall(self, bucket: str) -> None:
        """Takes up what an earlier round has learnt of the hosts of a bucket, by its name."""
        self.visits.with_memory(partial(recall, self._known(bucket)))

    def remember(self, bucket: str, hosts: Collection[str]) -> None:
        """Keeps what is known of a bucket's hosts for the next round, whichever process that is in."""
        self.visits.with_memory(lambda memory: remember(self._known(bucket), memory, hosts))

    def _known(self, bucket: str) -> str:
        return files.join(known_folder(self.run, self.known), bucket)

    @staticmethod
    def _end(bucket: B | None) -> None:
        if bucket is not None:
            bucket.stop()


class AskBuckets(beam.DoFn):
    """Elements in; what :class:`Asking` makes of them out."""

    def __init__(self, asking: Callable[[], Asking[Any, Any]]) -> None:
        self.asking = asking

    def start_bundle(self) -> None:
        """Begins with no bucket."""
        self.now = self.asking().__enter__()
        self.now.throttled = Throttled()

    def process(self, element: object) -> Iterator[object]:
        with self._ended_by_error():
            yield from self.now.take(element)

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
