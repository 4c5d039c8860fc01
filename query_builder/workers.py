"""Runs tasks in this process or in several, and gives the results as they come.

In: a function, tasks that can be pickled, a number of workers. Out: each task with its result, in the order of
completion; what a task does must not depend on the others, so the outcome is the same for any number of workers. A
worker ends itself when the main process has died, so that a killed run leaves nothing behind that computes. Ctrl-C
reaches the main process alone, which ends them.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Self, TypeVar

from webimagetext.errors import UserError

__all__ = ["Workers"]

T = TypeVar("T")
R = TypeVar("R")
PARENT_CHECK_SECONDS = 0.5


def _end_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that start in the block never get SIGINT, which a terminal sends to all: from their first instruction
    on.

    A handler of their own would come too late for what Python and the worker import. In this process Ctrl-C counts at
    the end of the block, for a worker that is half started would complain. Threads of libraries take the signal for it,
    so that blocking it isn't enough here.
    """
    resource_tracker.ensure_running()  # the first worker starts it, and that lets the signal in again
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


class Workers:
    """A pool of ``count`` processes, started when first needed; with one, the work is done here. A context manager."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            if kind is not None:
                for process in list((self._pool._processes or {}).values()):
                    with contextlib.suppress(OSError):
                        process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Applies ``function`` to every task. Raises the first error of a task, and UserError if a worker was
        killed."""
        tasks = list(tasks)
        if self.count == 1 or len(tasks) <= 1:
            for task in tasks:
                yield task, function(task)
            return
        waiting = iter(tasks)
        running: dict[Future[R], T] = {}
        with _telling_of_a_death():
            while True:
                # Only a few at a time, so that an error or Ctrl-C ends the work soon.
                for task in itertools.islice(waiting, self.count + 1 - len(running)):
                    running[self._submit(function, task)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()

    def begin(self, function: Callable[[T], R], task: T) -> Callable[[], R]:
        """Begins one task beside whatever else the pool does; the call that it gives waits for the result.

        With one worker the work is done at that call. The call raises as :meth:`map` does.
        """
        if self.count == 1:
            return partial(function, task)
        future = self._submit(function, task)

        def result() -> R:
            with _telling_of_a_death():
                return future.result()

        return result

    def _submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, context, _end_with_parent, (os.getpid(),))
        with _deaf_to_ctrl_c():  # a process starts with its first task
            return self._pool.submit(function, task)


@contextlib.contextmanager
def _telling_of_a_death() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps because memory ran out",
            "run the same command again: finished shards are kept; --workers 1 needs least memory",
        ) from None
