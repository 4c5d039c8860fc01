"""A user's mistake that only a worker can notice, such as a store that refuses a file, told as one by the driver.

In: what Beam raises and logs for a UserError of a worker: the error with a note, or its traceback as text. Out: the
UserError, and no traceback.
"""

import contextlib
import logging
import re
from collections.abc import Iterator

from webimagetext.errors import UserError

__all__ = ["told_as_mistakes"]

_LOGGERS = ("apache_beam.runners.common", "apache_beam.runners.portability.local_job_service")
_NAME = f"{UserError.__module__}.{UserError.__name__}"
# The last line of a traceback with what follows it: the problem, a note of Beam's, and the remedy, which is indented.
_TEXT = re.compile(
    rf"^{re.escape(_NAME)}: (?P<problem>.*?)(?: \[while running .*?\])?$\n?(?P<remedy>  \S.*)?", re.MULTILINE
)
_NOTE = re.compile(r" \[while running .*?\]$")


def _is_other(record: logging.LogRecord) -> bool:
    """Whether a log record tells of something else than a UserError."""
    if record.exc_info and isinstance(record.exc_info[1], UserError):
        return False
    return _NAME not in record.getMessage()


@contextlib.contextmanager
def told_as_mistakes() -> Iterator[None]:
    """Raises the UserError of a worker in the block as such, and keeps its traceback out of the log."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(_is_other)
    try:
        yield
    except UserError as error:
        raise UserError(_NOTE.sub("", error.problem), error.remedy) from None
    except RuntimeError as error:
        found = list(_TEXT.finditer(str(error)))
        if not found:
            raise
        raise UserError(found[-1]["problem"], (found[-1]["remedy"] or "").strip()) from None
    finally:
        for logger in loggers:
            logger.removeFilter(_is_other)
