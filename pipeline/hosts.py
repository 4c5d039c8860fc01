"""What a host is: the one definition that pace, budgets and the division of work among workers go by.

A *host* is a name or a numeric address, whatever the scheme and port: one machine, as far as a visitor can tell, so
http, https and all ports share one bucket, one budget of pages and, in a process, one pace. An *origin* is scheme, host
and port: what a robots.txt speaks for.
"""

from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from yarl import URL

from pipeline.hashing import hash64

__all__ = ["by_host", "host_name", "host_of", "origin_of"]


def host_name(url: URL) -> str:
    """The host of a parsed URL: lower case, international names in their ASCII form, no final dot; "" where there is
    none."""
    return (url.raw_host or "").rstrip(".").lower()


def host_of(url: str) -> str:
    """:func:`host_name` of a URL's text; "" for what is no address at all, which fails later, with its reason."""
    try:
        name = urlsplit(url).hostname or ""
        return name.rstrip(".") if name.isascii() else host_name(URL(url))
    except ValueError:
        return ""


def origin_of(url: URL) -> str:
    """``https://host:port``, without a default port."""
    return str(url.origin())


def by_host(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by the host of their URL, so that everything that asks a host lies in that host's bucket."""
    return np.array([hash64(host_of(url)) for url in batch.column("url").to_pylist()], dtype=np.uint64)
