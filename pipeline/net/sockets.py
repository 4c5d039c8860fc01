"""How many connections this process may have: what the system allows it to open, less what it needs for files."""

from webimagetext.handles import left, raise_limit

__all__ = ["hosts_at_once", "most_sockets"]

FOR_FILES = 96  # tables, journals, libraries that are loaded late
SOCKETS_A_HOST = 3  # of a host that is visited: its connections, and now and then one to where it redirects


def _allowed() -> int:
    """Connections this process may yet open. The limit, which is low for the sake of old programs, is raised first."""
    raise_limit()
    return left() - FOR_FILES


def most_sockets(requests: int) -> int:
    """Connections that may be made or asked at once, for ``requests`` under way.

    A host that does not answer takes its time to say so, and must not keep the others from being asked: so there are
    more connections than requests.
    """
    return max(2, min(max(512, 4 * requests), _allowed() // 2))


def hosts_at_once(wanted: int) -> int:
    """How many hosts may be visited at once where ``wanted`` are asked for."""
    return max(1, min(wanted, _allowed() // SOCKETS_A_HOST))
