"""A worker process: Beam's own harness, with its chatter below errors left out.

Started by local_workers.py for a local run, with the file that says that it goes on, and by worker_pool.py for an
engine outside Python, with an address and a name; never by hand.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from typing import Any, TextIO, cast

import grpc

from webimagetext.endings import user_error_of_text

_POLL_SECONDS = 0.2
_HELD_SECONDS = 5 * _POLL_SECONDS


class _WithoutTheDrivers:
    """Standard error without what Beam prints and the driver tells: what a user can mend, and that the driver itself
    has gone or was interrupted, which breaks all that a worker is at."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._left_out = False

    def write(self, text: str) -> int:
        """Passes the text on, unless it is the driver's to tell, or the end of such a line."""
        told = "webimagetext.errors.UserError" in text or ("Traceback" in text and user_error_of_text(text) is not None)
        if not told and any(words in text for words in ("Traceback", "Logging client failed")):
            time.sleep(_HELD_SECONDS)  # in which this process ends, where the run has
        self._left_out = told or (self._left_out and text == "\n")
        return 0 if self._left_out else self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _end_with_engine(harness: Any) -> None:
    """Ends this process when the engine hangs up or is killed.

    The harness would first finish its work, for nobody: the engine gives the same work to another worker.
    """
    while harness._alive:
        time.sleep(_POLL_SECONDS)
    os._exit(0)


def _end_without(sign: str, parent: int) -> None:
    """Ends this process when the file ``sign`` has gone, since the run was interrupted, or the process that started it,
    which ends with the driver."""
    while os.path.exists(sign) and os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(0)


def _without_hang_ups(thread: threading.ExceptHookArgs) -> None:
    """Leaves out what Beam's threads say when the engine hangs up: a job has ended, or the driver has gone."""
    if not isinstance(thread.exc_value, grpc.RpcError):
        threading.__excepthook__(thread)


def main(args: list[str]) -> None:
    """Works until the engine is done. ``args``: a file that is there while there is work; or the address of the
    engine's control service and this worker's name.
    """
    threading.excepthook = _without_hang_ups
    if len(args) == 1:
        threading.Thread(target=_end_without, args=(args[0], os.getppid()), daemon=True).start()
        logging.disable(logging.WARNING)
        sys.stderr = cast(TextIO, _WithoutTheDrivers(sys.stderr))
        from apache_beam.runners.worker import sdk_worker_main

        sdk_worker_main.main([])
        return
    logging.disable(logging.ERROR)  # what fails here is told to the engine, which tells the driver
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    address, name = args
    harness = SdkHarness(address, worker_id=name)
    threading.Thread(target=_end_with_engine, args=(harness,), daemon=True).start()
    with contextlib.suppress(grpc.RpcError):
        harness.run()


if __name__ == "__main__":
    main(sys.argv[1:])
