"""What a host is: the one definition that pace, budgets and the division of work among workers go by.

A *host* is a name or a numeric address, whatever the scheme and port: one machine, as far as a visitor can tell, so
http, https and all ports share one bucket, one budget of pages and, in a process, one pace. An *origin* is scheme, host
and port: what a robots.txt speaks for.
"""

from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from yarl import URL

from pipeline.hashing import hash64

__all__ = ["by_host", "host_name", "host_of", "hosts_of", "origin_of"]


# Addresses whose host can be told for a whole column at once.
_PLAIN = "^[a-z]+://(?P<host>[a-z0-9-]+(?:[.][a-z0-9-]+)*)(?::[0-9]+)?(?:[/?#]|$)"


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


def hosts_of(urls: pa.Array) -> npt.NDArray[np.uint64]:
    """The hash of :func:`host_of` of every address of a column without nulls."""
    plain = pc.struct_field(pc.extract_regex(urls, _PLAIN), "host")
    if plain.null_count:
        others = urls.filter(pc.is_null(plain)).to_pylist()
        plain = pc.replace_with_mask(plain, pc.is_null(plain), pa.array(list(map(host_of, others)), plain.type))
    told = plain.dictionary_encode()
    hashes = np.array([hash64(name) for name in told.dictionary.to_pylist()], np.uint64)
    found: npt.NDArray[np.uint64] = hashes[told.indices.to_numpy()]
    return found
