"""How many connections this process may have: what the system allows it to open, less what it needs for files."""

import os
import resource

__all__ = ["hosts_at_once", "most_sockets"]

ENOUGH = 65_536  # open files; beyond them more would change nothing
FOR_FILES = 96  # tables, journals, libraries that are loaded late
SOCKETS_A_HOST = 3  # of a host that is visited: its connections, and now and then one to where it redirects


def _allowed() -> int:
    """Files this process may yet open. The soft limit, which is low for the sake of old programs, is raised as far as
    the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 64
    return (ENOUGH if soft == resource.RLIM_INFINITY else soft) - used - FOR_FILES


def most_sockets(requests: int) -> int:
    """Connections that may be made or asked at once, for ``requests`` under way.

    A host that does not answer takes its time to say so, and must not keep the others from being asked: so there are
    more connections than requests.
    """
    return max(2, min(max(512, 4 * requests), _allowed() // 2))


def hosts_at_once(wanted: int) -> int:
    """How many hosts may be visited at once where ``wanted`` are asked for."""
    return max(1, min(wanted, _allowed() // SOCKETS_A_HOST))
