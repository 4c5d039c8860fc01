"""What an engine outside Python says of its jobs: a line here and there for the user, the rest kept for when a job
fails.

In: what Beam logs of a job server's output and of a job's messages, among them Java's stack traces of some fifty lines.
Out: the lines that the job server marks as said to the user, on standard error; and, on demand, all of it in a file.
"""

import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Iterator

from webimagetext import local

__all__ = ["SAID", "Console", "console"]

SAID = "webimagetext: "  # as .ci/spark/java has it
MOST_LINES = 20_000
_SERVER = "SparkJarJobServer"  # Beam names the logger of a server's output after its class
_MESSAGES = "apache_beam.runners.portability.portable_runner"


class Console(logging.Filter):
    """Takes what is logged, until it is known whether somebody has to read it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=MOST_LINES)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps a record, and lets none pass but warnings that are no errors."""
        text = record.getMessage()
        if record.name == _SERVER and text.startswith(SAID):
            print(f"    {text.removeprefix(SAID)}", file=sys.stderr)
            return False
        self.lines.append(text)
        return record.name != _SERVER and record.levelno == logging.WARNING

    def write(self, name: str) -> str:
        """Writes all of it into a file of this machine for the job ``name``; returns the path, empty where nothing was
        said."""
        if not self.lines:
            return ""
        path = os.path.join(local.folder(), f"{name.replace(' ', '-')}-{os.getpid()}.log")
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(f"{line}\n" for line in self.lines)
        return path


@contextlib.contextmanager
def console() -> Iterator[Console]:
    """Takes what engines say while the block runs."""
    heard = Console()
    loggers = [logging.getLogger(name) for name in (_SERVER, _MESSAGES)]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addFilter(heard)
    loggers[0].setLevel(logging.INFO)
    try:
        yield heard
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeFilter(heard)
            logger.setLevel(level)
