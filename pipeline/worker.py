"""A worker process of a local run: Beam's own harness, with its chatter below errors left out.

Started by runners.py as ``python -m pipeline.worker``; never by hand.
"""

import logging
import sys
from typing import TextIO, cast


class _WithoutMistakes:
    """Standard error without the tracebacks that Beam prints for a user's mistake: the driver words it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Passes the text on, unless it tells of a UserError."""
        return 0 if "webimagetext.errors.UserError" in text else self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.stderr = cast(TextIO, _WithoutMistakes(sys.stderr))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
