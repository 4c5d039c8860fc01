"""Open files, sockets among them: how many a process may have.

In: the system's limits. Out: numbers to plan with. A file that can't be opened for that reason is
nobody's fault but this machine's: whoever catches the errors of a picture, a shard or a server asks first.
"""

import errno
import os
import resource

__all__ = ["SPARE", "left", "raise_limit"]

MOST = 65_536
SPARE = 8  # with fewer left, an error may well come from that, whatever it says
USED = 64  # where the system doesn't tell


def raise_limit() -> None:
    """Lets this process, and those that it starts, open as many files as it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def left() -> int:
    """How many more files this process may open now."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MOST
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError as error:
        used = limit if error.errno in (errno.EMFILE, errno.ENFILE) else USED  # to look takes a file too
    return max(0, limit - used)
