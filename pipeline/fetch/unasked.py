"""Which of the addresses that are wanted nobody has asked for yet: the open work of fetching.

In: the rows of the image store, and the tables of pairs that want them. Out: how many addresses of each host are open.
Memory is in proportion to the addresses that are open, not to the store.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.fetch.decided import is_answered
from pipeline.hashing import hash_strings
from pipeline.hosts import host_of
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig
from pipeline.reasons import NOT_REACHED

__all__ = ["open_addresses"]


def open_addresses(
    answers: Callable[[], Iterable[pa.RecordBatch]],
    wanted: Callable[[], Iterable[pa.RecordBatch]],
    http: HttpConfig,
    image: ImageConfig,
) -> Counter[str]:
    """The distinct addresses of ``wanted`` (column url) whose turn never came, by host, the most first.

    ``answers`` gives the rows of the store (url, status, decided_by); it is called twice.
    """
    passed_over = [
        hash_strings(batch.column("url").filter(pc.equal(batch.column("status"), NOT_REACHED))) for batch in answers()
    ]
    keys = np.unique(np.concatenate(passed_over)) if passed_over else np.zeros(0, np.uint64)
    if not len(keys):
        return Counter()
    done = np.zeros(len(keys), bool)
    for batch in answers():
        done[_places(keys, hash_strings(batch.column("url").filter(is_answered(batch, http, image))))[0]] = True
    found: Counter[str] = Counter()
    for batch in wanted():
        places, rows = _places(keys, hash_strings(batch.column("url")))
        first = np.unique(np.where(done[places], -1, places), return_index=True)
        still = first[1][first[0] >= 0]
        found.update(map(host_of, batch.column("url").take(pa.array(rows[still])).to_pylist()))
        done[places] = True  # an address that several pairs want counts once
    return Counter(dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))))


def _places(
    keys: npt.NDArray[np.uint64], hashes: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the hashes that are among the sorted ``keys`` lie there, and which of ``hashes`` they are."""
    places = np.searchsorted(keys, hashes).clip(0, len(keys) - 1)
    rows = np.flatnonzero(keys[places] == hashes)
    return places[rows], rows
