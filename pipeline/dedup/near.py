"""Near duplicates: pictures whose perceptual hashes differ in a few bits, found by joins on bands instead of comparing
all pairs.

In: 64-bit hashes, sizes and contents. Out: for each picture the better one that it repeats, or none. The hash is cut
into ``distance + 2`` blocks; two hashes within the distance agree in at least two blocks (the pigeonhole principle), so
that a join on every choice of two blocks misses no pair. That is 15 keys of about 21 bits for a distance of 4, and 45
of about 13 bits for 8.

Which one is kept: a picture goes when a better one lies within the distance; better is one of an earlier run, then more
pixels, then the smaller content hash. The choice needs no chains and no order, so that the verdicts of all bands can
simply be united.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from webimagetext.hashing import mix

__all__ = ["band_keys", "distances", "repeated_by"]

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_DISTANCE = 8  # bits; beyond it the keys are too short to be a help, and different pictures begin to agree
_CHUNK = 1 << 22  # comparisons at once


def distances(first: UInt64, second: UInt64) -> npt.NDArray[np.uint8]:
    """The number of bits in which hashes differ; broadcasts."""
    counts: npt.NDArray[np.uint8] = np.bitwise_count(first ^ second)
    return counts


def band_keys(hashes: UInt64, distance: int) -> UInt64:
    """Keys of shape (hashes, bands): hashes within ``distance`` bits (0 to 8) share at least one.

    The band's number is part of a key, so that keys of all bands can go through one shuffle.
    """
    return np.stack(list(_bands(hashes, distance)), axis=1)


def _bands(hashes: UInt64, distance: int) -> Iterator[UInt64]:
    """The keys of one band after the other."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"a distance of {distance} bits is not between 0 and {MAX_DISTANCE}")
    edges = np.linspace(0, 64, distance + 3).round().astype(int)
    masks = [((1 << (end - start)) - 1) << start for start, end in itertools.pairwise(edges.tolist())]
    for band, (one, other) in enumerate(itertools.combinations(masks, 2)):
        yield mix((hashes & np.uint64(one | other)) ^ mix(np.array([band], dtype=np.uint64)))


def repeated_by(
    hashes: UInt64, pixels: Int64, contents: UInt64, distance: int, *, earlier: Mask | None = None
) -> Int64:
    """For each picture of one group, the index of the best one that it repeats; -1 where it stays.

    ``pixels`` are the sizes as received; ``contents`` are hashes of the pictures' bytes, and one picture does not
    repeat itself; those of an ``earlier`` run always stay. Of equal hashes only the best is compared with others: what
    is near to any of them is near to it. So a group of a million equal hashes costs one sort.
    """
    earlier = np.zeros(len(hashes), dtype=bool) if earlier is None else earlier
    order = np.lexsort((contents, -pixels, ~earlier))
    _, first, which = np.unique(hashes[order], return_index=True, return_inverse=True)
    best = np.sort(first)  # the best picture of each hash, by rank
    keeper = np.full(len(hashes), -1, dtype=np.int64)  # all by rank, until the end
    same = first[which.reshape(-1)]
    repeats = contents[order][same] != contents[order]
    keeper[repeats] = same[repeats]
    nearest = _better(hashes[order][best], contents[order][best], distance)
    found = nearest >= 0
    keeper[best[found]] = best[nearest[found]]
    keeper[~repeats] = keeper[same[~repeats]]  # other rows of the same picture
    keeper[earlier[order]] = -1
    result = np.full(len(hashes), -1, dtype=np.int64)
    result[order] = np.where(keeper >= 0, order[keeper], -1)
    return result


def _better(ranked: UInt64, identities: UInt64, distance: int) -> Int64:
    """For each hash, in order of rank, the first earlier one within the distance and of another picture; -1 where none
    is."""
    result = np.full(len(ranked), -1, dtype=np.int64)
    step = max(1, _CHUNK // max(1, len(ranked)))
    for start in range(0, len(ranked), step):
        stop = min(len(ranked), start + step)
        near = distances(ranked[start:stop, None], ranked[None, :stop]) <= distance
        near &= identities[start:stop, None] != identities[None, :stop]
        near &= np.arange(stop)[None, :] < np.arange(start, stop)[:, None]
        first = near.argmax(axis=1)
        found = near[np.arange(stop - start), first]
        result[start:stop][found] = first[found]
    return result
