"""Which of the open addresses one command asks for, where it may not ask for all.

In: the addresses that are wanted and those that are answered, and how many may be asked. Out: :class:`Allowance`. The
addresses are drawn by their hash, so that they are the same ones on any number of workers, a fair share of every host;
each command goes on with the next ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.hashing import hash64, hash_strings

__all__ = ["Allowance", "allow"]

ALL = 1 << 64
EXACT = 1 << 24  # addresses that are told apart: of more a share is, and the number is right to a thousandth or so

Urls = Callable[[], Iterable[pa.Array]]


@dataclass(frozen=True)
class Allowance:
    """Addresses whose hash is ``below`` are asked for: ``asked`` of those that are ``open``. ``bytes_each``: that a
    bucket may receive, for each of its addresses that are asked for."""

    below: int = ALL
    asked: int = 0
    open: int = 0
    bytes_each: float = float("inf")

    def allows(self, url: str) -> bool:
        """Whether the address may be asked for."""
        return self.below == ALL or hash64(url) < self.below


def allow(wanted: Urls, answered: Urls, most: float, rows: int, exact: int = EXACT) -> Allowance:
    """The allowance of ``most`` addresses among ``wanted`` that are not ``answered``; ``rows`` is about how many are
    wanted."""
    share = -(-rows // exact) if rows else 1
    known = _hashes(answered(), share)
    free = np.setdiff1d(_hashes(wanted(), share), known, assume_unique=True)
    number = len(free) * share
    if number <= most:
        return Allowance(ALL, number, number)
    place = int(most // share)
    return Allowance(int(free[place]), place * share, number)


def _hashes(urls: Iterable[pa.Array], share: int) -> npt.NDArray[np.uint64]:
    """The distinct hashes of the addresses, ascending: of one in ``share`` of them, by other digits than those that
    tell what is below."""
    found = [np.zeros(0, np.uint64)]
    for column in urls:
        hashes = hash_strings(column)
        found.append(np.unique(hashes[hashes % np.uint64(share) == 0]))
    return np.unique(np.concatenate(found))
