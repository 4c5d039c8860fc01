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

from webimagetext.compiled import compiled
from webimagetext.hashing import mix

__all__ = ["band_keys", "distances", "repeated_by", "repeated_in_groups"]

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_DISTANCE = 8  # bits; beyond it the keys are too short to be a help, and different pictures begin to agree
_FEW = 1024  # hashes that are compared each with each; at least 2 ** (MAX_DISTANCE + 2)


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
    return repeated_in_groups(np.zeros(len(hashes), np.int64), hashes, pixels, contents, distance, earlier)


def repeated_in_groups(
    groups: Int64 | UInt64, hashes: UInt64, pixels: Int64, contents: UInt64, distance: int, earlier: Mask
) -> Int64:
    """The same for the pictures of many groups at once, whose rows may lie in any order."""
    order = np.lexsort((contents, -pixels, ~earlier, groups))
    groups, hashes, contents = groups[order], hashes[order], contents[order]
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])) if len(order) else np.zeros(0, np.int64)
    edges = np.append(starts, len(order))
    keeper = np.full(len(order), -1, dtype=np.int64)
    _judge(edges, hashes, contents, distance, _FEW, keeper)
    large = np.flatnonzero(np.diff(edges) > _FEW)
    for start, stop in zip(edges[large].tolist(), edges[large + 1].tolist(), strict=True):
        found = _repeated(hashes[start:stop], contents[start:stop], distance)
        keeper[start:stop] = np.where(found >= 0, found + start, -1)
    keeper[earlier[order]] = -1
    result = np.full(len(order), -1, dtype=np.int64)
    result[order] = np.where(keeper >= 0, order[keeper], -1)
    return result


def _repeated(hashes: UInt64, contents: UInt64, distance: int) -> Int64:
    """For each picture of a large group, in order of rank, the best one that it repeats, whether it may go or not."""
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    best = np.sort(first)  # the best picture of each hash, by rank
    keeper = np.full(len(hashes), -1, dtype=np.int64)
    same = first[which.reshape(-1)]
    repeats = contents[same] != contents
    keeper[repeats] = same[repeats]
    nearest = _better(hashes[best], contents[best], distance)
    found = nearest >= 0
    keeper[best[found]] = best[nearest[found]]
    keeper[~repeats] = keeper[same[~repeats]]  # other rows of the same picture
    return keeper


def _better(ranked: UInt64, identities: UInt64, distance: int) -> Int64:
    """For each of different hashes, in order of rank, the first earlier one within the distance and of another
    picture; -1 where none is."""
    result = np.full(len(ranked), len(ranked), dtype=np.int64)
    if distance:
        _search(np.arange(len(ranked)), ranked, identities, distance, result)
    result[result == len(ranked)] = -1
    return result


def _search(rows: Int64, ranked: UInt64, identities: UInt64, distance: int, result: Int64) -> None:
    """Looks among ``rows``, ascending. Many of them meet again, by bands of the bits in which they differ: a band that
    they share tells them no more apart, so that a large group of different hashes doesn't cost its square."""
    if len(rows) <= _FEW:
        _compare(np.array([0, len(rows)]), rows, ranked, identities, distance, result)
        return
    hashes = ranked[rows]
    varying = int(np.bitwise_or.reduce(hashes ^ hashes[0]))
    bits = [bit for bit in range(64) if varying >> bit & 1]  # 11 at least, as more than _FEW differ
    masks = [sum(1 << bit for bit in bits[block :: distance + 2]) for block in range(distance + 2)]
    for one, other in itertools.combinations(masks, 2):
        key = hashes & np.uint64(one | other)
        order = np.argsort(key, kind="stable")
        sharing, key = rows[order], key[order]
        edges = np.append(np.flatnonzero(np.append(True, key[1:] != key[:-1])), len(key))
        many = np.diff(edges) > _FEW
        for start, stop in zip(edges[:-1][many].tolist(), edges[1:][many].tolist(), strict=True):
            _search(sharing[start:stop], ranked, identities, distance, result)
        few = np.repeat(~many, np.diff(edges))
        edges = np.append(0, np.cumsum(np.diff(edges)[~many]))
        _compare(edges, sharing[few], ranked, identities, distance, result)


@compiled
def _bits(word: np.uint64) -> np.uint64:
    """The number of bits that are set, by adding them up side by side."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled
def _judge(edges: Int64, hashes: UInt64, contents: UInt64, distance: int, most: int, keeper: Int64) -> None:
    """For each picture of the groups of at most ``most`` rows, in order of rank, the best one that it repeats."""
    best = np.empty(most, np.int64)  # of each hash
    for group in range(len(edges) - 1):
        start, stop = edges[group], edges[group + 1]
        if stop - start > most:
            continue
        count = 0
        for row in range(start, stop):
            same, near = -1, -1
            for place in range(count):
                other = best[place]
                if hashes[row] == hashes[other]:
                    same = other
                    break
                apart = _bits(hashes[row] ^ hashes[other])
                if near < 0 and apart <= np.uint64(distance) and contents[row] != contents[other]:
                    near = other
            if same < 0:
                best[count] = row
                count += 1
                keeper[row] = near
            elif contents[row] != contents[same]:
                keeper[row] = same
            else:
                keeper[row] = keeper[same]


@compiled
def _compare(edges: Int64, rows: Int64, ranked: UInt64, identities: UInt64, distance: int, result: Int64) -> None:
    """Within each group of rows, ascending: puts the first that is near to a later one into its result, if it is less
    than what is there."""
    for group in range(len(edges) - 1):
        for place in range(edges[group], edges[group + 1]):
            row = rows[place]
            for before in range(edges[group], place):
                other = rows[before]
                if other >= result[row]:
                    break
                apart = _bits(ranked[row] ^ ranked[other])
                if apart <= np.uint64(distance) and identities[row] != identities[other]:
                    result[row] = other
                    break
