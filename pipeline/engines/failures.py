"""What only a worker can notice and a user can mend, such as a store that refuses a file or a full disk, told by the
driver.

In: what Beam raises and logs for an error of a worker: the error with a note, or its traceback as text. Out: the
UserError, and no traceback; a defect of ours keeps it.
"""

import contextlib
import logging
import re
from collections import deque
from collections.abc import Iterator

from webimagetext.endings import user_error, user_error_of_text
from webimagetext.errors import UserError
from webimagetext.stores import StoreFailedError

__all__ = ["told_as_mistakes"]

_LOGGERS = (
    "apache_beam.runners.common",
    "apache_beam.runners.portability.fn_api_runner.worker_handlers",
    "apache_beam.runners.portability.local_job_service",
    "apache_beam.runners.worker.data_plane",
    "apache_beam.runners.worker.sdk_worker",
)
MOST_RECORDS = 100
_NAMES = "|".join(re.escape(f"{kind.__module__}.{kind.__name__}") for kind in (UserError, StoreFailedError))
# The last line of a traceback with what follows it: the problem, a note of Beam's, and the remedy, which is indented.
_TEXT = re.compile(rf"^(?:{_NAMES}): (?P<problem>.*?)(?: \[while running .*?\])?$\n?(?P<remedy>  \S.*)?", re.MULTILINE)
_NOTE = re.compile(r" \[while running .*?\]$")


class _Held(logging.Filter):
    """Keeps the errors that Beam logs, until it is known whether somebody has to read them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=MOST_RECORDS)

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes an error, and lets the rest pass."""
        if record.levelno < logging.ERROR:
            return True
        self.records.append(record)
        return False


def _user_error(error: Exception) -> UserError | None:
    """What a user is told of an error of a graph; None for a defect of ours."""
    if isinstance(error, UserError):
        error.problem = _NOTE.sub("", error.problem)
    elif isinstance(error, RuntimeError):
        if found := list(_TEXT.finditer(str(error))):
            return UserError(found[-1]["problem"], (found[-1]["remedy"] or "").strip())
        return user_error_of_text(str(error))
    return user_error(error)


def _interrupt(error: BaseException) -> KeyboardInterrupt | None:
    """Ctrl-C or SIGTERM, of which Beam makes another error when it comes within a function of ours."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt):
        found = found.__cause__ or found.__context__
    return found


@contextlib.contextmanager
def told_as_mistakes() -> Iterator[None]:
    """Raises what a user can mend as a UserError, and an interrupt as what it is, and keeps their tracebacks out of the
    log."""
    loggers, held = [logging.getLogger(name) for name in _LOGGERS], _Held()
    for logger in loggers:
        logger.addFilter(held)
    told: BaseException | None = None
    try:
        yield
    except Exception as error:
        told = _interrupt(error) or _user_error(error)
        if told is None or told is error:
            raise
        raise told from None
    finally:
        for logger in loggers:
            logger.removeFilter(held)
        for record in held.records if told is None else ():
            logging.getLogger(record.name).handle(record)
