"""The split by near pictures: against brute force over all pairs, on families, chains and equal hashes."""

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.holdout import LINKS, links, returned
from pipeline.dedup.near import band_keys
from pipeline.dedup.pictures import PICTURES


def _flip(generator: random.Random, value: int, bits: int) -> int:
    for bit in generator.sample(range(64), bits):
        value ^= 1 << bit
    return value


def _hashes(generator: random.Random) -> list[int]:
    """Families of an original and its variants, chains of near neighbours, many equal ones, and single pictures."""
    found = [generator.getrandbits(64) | 1 << 63 for _ in range(60)]
    for _ in range(25):
        original = generator.getrandbits(64)
        found += [original, *(_flip(generator, original, generator.randrange(4)) for _ in range(3))]
    link = generator.getrandbits(64)
    for _ in range(12):
        found.append(link)
        link = _flip(generator, link, 3)
    return found + [0] * 9 + [2**64 - 1] * 9


def _stays_by_brute_force(hashes: list[int], drawn: list[bool], distance: int) -> set[int]:
    """The drawn pictures with nothing undrawn within reach by steps of the distance from one drawn one to the next."""
    near = [[(a ^ b).bit_count() <= distance for b in hashes] for a in hashes]
    back = {i for i, held in enumerate(drawn) if held and any(near[i][j] for j in range(len(hashes)) if not drawn[j])}
    while True:
        more = {i for i, held in enumerate(drawn) if held and i not in back and any(near[i][j] for j in back)}
        if not more:
            return {i for i, held in enumerate(drawn) if held} - back
        back |= more


def _stays(hashes: list[int], drawn: list[bool], distance: int, parts: int, generator: random.Random) -> set[int]:
    """The same by the keys of bands, in groups of keys, with the rows in any order."""
    contents = [generator.getrandbits(64) for _ in hashes]
    keys = band_keys(np.array(hashes, np.uint64), distance)
    rows = [
        {"key": int(key), "content": contents[i], "phash": hashes[i], "pixels": 1, "earlier": drawn[i]}
        for i in range(len(hashes))
        for key in keys[i]
    ]
    generator.shuffle(rows)
    groups = [[row for row in rows if row["key"] % parts == part] for part in range(parts)]
    found = pa.Table.from_batches([links(pa.Table.from_pylist(group, PICTURES), distance) for group in groups], LINKS)
    back = set(returned(found).tolist())
    return {i for i, held in enumerate(drawn) if held and contents[i] not in back}


@pytest.mark.parametrize("distance", [0, 3, 4])
def test_what_stays_apart_is_near_to_nothing_else(distance: int) -> None:
    stayed = went = 0
    for seed in range(6):
        generator = random.Random(seed)
        hashes = _hashes(generator)
        whole = generator.random() < 0.5  # families drawn as a whole, but for their chains, or each picture by itself
        draws = {value: generator.random() < 0.4 for value in hashes}
        drawn = [draws[value] if whole else generator.random() < 0.4 for value in hashes]
        expected = _stays_by_brute_force(hashes, drawn, distance)
        for parts in (1, 3):
            assert _stays(hashes, drawn, distance, parts, generator) == expected
        stayed, went = stayed + len(expected), went + sum(drawn) - len(expected)
    assert stayed > 50 and went > 20


def test_nothing_drawn_and_nothing_at_all() -> None:
    generator = random.Random(1)
    assert _stays([1, 2, 3], [False] * 3, 4, 1, generator) == set()
    assert links(PICTURES.empty_table(), 4).num_rows == 0
    assert returned(LINKS.empty_table()).tolist() == []
