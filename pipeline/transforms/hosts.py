"""The key of politeness: everything that asks a host lies in that host's bucket, whatever the scheme and port."""

from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.hashing import hash64

__all__ = ["by_host"]


def by_host(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by the host name of their URL, of which http and https and all ports share one pace."""
    return np.array([hash64(_host(url)) for url in batch.column("url").to_pylist()], dtype=np.uint64)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # not an address at all: it fails later, with its reason
        return ""
