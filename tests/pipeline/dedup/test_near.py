"""Near duplicates: the bands miss no pair, and the choice equals that of comparing everything with everything."""

import io
import time

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.dedup import near
from pipeline.dedup.near import band_keys, distances, repeated_by, repeated_in_groups
from pipeline.dedup.pictures import NEAR, NEAR_EARLIER, SAME_EARLIER, keyed, settled, verdicts
from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, process


def flipped(hashes: np.ndarray, bits: int, generator: np.random.Generator) -> np.ndarray:
    """Each hash with ``bits`` different bits turned over."""
    result = hashes.copy()
    for row in range(len(result)):
        for bit in generator.choice(64, bits, replace=False):
            result[row] ^= np.uint64(1) << np.uint64(bit)
    return result


@pytest.mark.parametrize("distance", range(9))
def test_hashes_within_the_distance_share_a_key(distance: int) -> None:
    generator = np.random.default_rng(distance)
    hashes = generator.integers(0, 2**64, 500, dtype=np.uint64)
    keys = band_keys(hashes, distance)
    assert keys.shape == (500, (distance + 2) * (distance + 1) // 2)
    for bits in range(distance + 1):
        other = flipped(hashes, bits, generator)
        assert (distances(hashes, other) == bits).all()
        assert (band_keys(other, distance) == keys).any(axis=1).all()
    # Keys of different bands do not meet, or groups would mix.
    assert len(np.unique(keys)) > 0.8 * keys.size or distance > 5


@pytest.mark.parametrize("distance", [0, 3, 8])
def test_equal_to_comparing_all_pairs(distance: int) -> None:
    generator = np.random.default_rng(1)
    seeds = generator.integers(0, 2**64, 150, dtype=np.uint64)
    hashes = np.concatenate([seeds, *(flipped(seeds[:60], bits, generator) for bits in (0, 1, 3, 5, 8))])
    pixels = generator.integers(1, 20, len(hashes)) * 1000
    contents = generator.integers(0, 2**64, len(hashes), dtype=np.uint64)
    hashes[-5:], pixels[-5:], contents[-5:] = (
        hashes[:5],
        pixels[:5],
        contents[:5],
    )  # other captions of the same pictures
    best = sorted(range(len(hashes)), key=lambda row: (-pixels[row], contents[row]))
    rank = {row: place for place, row in enumerate(best)}
    expected = [
        any(
            rank[other] < rank[row] and contents[other] != contents[row]
            for other in np.flatnonzero(distances(hashes, hashes[row]) <= distance).tolist()
        )
        for row in range(len(hashes))
    ]
    found = judged(hashes, pixels, contents, distance)
    goes = [content in found for content in contents.tolist()]
    assert goes == expected and 0 < sum(expected) < len(expected)
    keeper = repeated_by(hashes, pixels, contents, distance)
    assert ((keeper >= 0) == goes).all()
    assert all(rank[int(keeper[row])] < rank[row] for row in np.flatnonzero(goes))
    order = generator.permutation(len(hashes))
    assert judged(hashes[order], pixels[order], contents[order], distance) == found


def first_near(hashes: np.ndarray, pixels: np.ndarray, contents: np.ndarray, distance: int) -> list[int]:
    """For each picture the best one that it repeats, by comparing each with each."""
    order = sorted(range(len(hashes)), key=lambda row: (-pixels[row], contents[row]))
    keeper = [-1] * len(hashes)
    best: list[int] = []  # of each hash
    for row in order:
        apart = distances(hashes[best], hashes[row]) if best else np.zeros(0)
        same = [other for other, bits in zip(best, apart, strict=True) if bits == 0]
        close = [
            other
            for other, bits in zip(best, apart, strict=True)
            if bits <= distance and contents[other] != contents[row]
        ]
        if not same:
            best.append(row)
            keeper[row] = close[0] if close else -1
        else:
            keeper[row] = same[0] if contents[same[0]] != contents[row] else keeper[same[0]]
    return keeper


@pytest.mark.parametrize(("distance", "bits"), [(0, 12), (1, 16), (3, 18), (4, 64), (8, 26)])
def test_large_groups_are_judged_as_by_comparing_each_with_each(
    distance: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so few bits that differ, pictures of a group meet again, and again, by the bits that are left."""
    monkeypatch.setattr(near, "_FEW", 1 << distance + 2)
    generator = np.random.default_rng(bits)
    where = generator.choice(64, bits, replace=False).astype(np.uint64)
    values = generator.integers(0, 2, (2500, bits)).astype(np.uint64)
    values[:, bits // 2 :] &= generator.integers(0, 2, (2500, 1)).astype(np.uint64)  # half of them alike in many bits
    hashes = np.bitwise_or.reduce(values << where, axis=1)
    hashes[-300:] = hashes[:300]
    pixels = generator.integers(1, 50, len(hashes))
    contents = generator.integers(0, 2**64, len(hashes), dtype=np.uint64)
    contents[-100:], pixels[-100:] = contents[200:300], pixels[200:300]
    expected = first_near(hashes, pixels, contents, distance)
    found = repeated_by(hashes, pixels, contents, distance).tolist()
    for row, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        # Rows of one picture are alike: which of them is named says the same.
        assert (theirs < 0) == (ours < 0) and (ours < 0 or contents[theirs] == contents[ours]), row
    assert 0 < sum(keeper >= 0 for keeper in found) < len(found)


def test_many_groups_are_judged_as_each_alone() -> None:
    generator = np.random.default_rng(5)
    groups = generator.integers(0, 40, 3000)
    hashes = generator.integers(0, 2**10, 3000).astype(np.uint64)
    pixels = generator.integers(1, 50, 3000)
    contents = generator.integers(0, 2**64, 3000, dtype=np.uint64)
    earlier = generator.random(3000) < 0.1
    found = repeated_in_groups(groups, hashes, pixels, contents, 2, earlier)
    for group in range(40):
        rows = np.flatnonzero(groups == group)
        alone = repeated_by(hashes[rows], pixels[rows], contents[rows], 2, earlier=earlier[rows])
        assert np.where(alone >= 0, rows[alone], -1).tolist() == found[rows].tolist()
    assert (found[earlier] == -1).all() and (found >= 0).any()


def test_a_hundred_thousand_pictures_cost_seconds() -> None:
    """With one key each, and all in one group that differs in 24 bits: compared each with each, they take minutes."""
    generator = np.random.default_rng(6)
    hashes = generator.integers(0, 2**64, 100_000, dtype=np.uint64)
    pixels, contents = np.ones(len(hashes), np.int64), np.arange(len(hashes), dtype=np.uint64)
    none = np.zeros(len(hashes), bool)
    began = time.process_time()
    assert (repeated_in_groups(contents, hashes, pixels, contents, 4, none) == -1).all()
    assert (repeated_by(hashes & np.uint64(0xFFFFFF), pixels, contents, 4) >= 0).any()
    assert time.process_time() - began < 20


def judged(hashes: np.ndarray, pixels: np.ndarray, contents: np.ndarray, distance: int) -> dict[int, int]:
    """The keeper of each picture that goes, by the path that the flow takes, over groups of some keys each."""
    batch = pictures(hashes, pixels, contents)
    table = pa.Table.from_batches([keyed(batch, distance, False, False)])
    part_of = table.column("key").to_numpy() % 7
    found = [verdicts(table.filter(pa.array(part_of == part)), distance) for part in range(7)]
    final = settled(pa.Table.from_batches(found))
    assert set(final.column("reason").to_pylist()) == {NEAR}
    return dict(zip(final.column("content").to_pylist(), final.column("keeper").to_pylist(), strict=True))


def pictures(hashes: np.ndarray, pixels: np.ndarray, contents: np.ndarray) -> pa.RecordBatch:
    columns = {
        "sha256": [f"{content:016x}{0:048x}" for content in contents.tolist()],
        "phash": pa.array(hashes),
        "original_width": pa.array(pixels.astype(np.int32)),
        "original_height": pa.array(np.ones(len(pixels), np.int32)),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_a_million_equal_hashes_cost_a_sort() -> None:
    count = 1_000_000  # comparing all pairs of them would take an hour
    contents = np.arange(count, dtype=np.uint64)
    keeper = repeated_by(np.zeros(count, np.uint64), np.ones(count, np.int64), contents, 4)
    assert keeper[0] == -1 and (keeper[1:] == 0).all()


def test_pictures_of_earlier_runs_win_and_stay() -> None:
    ours = pictures(
        np.array([0, 1, 0xFF00FF, 0xFFFF << 30], np.uint64), np.array([9, 9, 9, 9]), np.array([1, 2, 3, 4], np.uint64)
    )
    theirs = pictures(np.array([0, 0xFF00FE], np.uint64), np.array([1, 1]), np.array([1, 5], np.uint64))
    for distance, expected in (
        (None, {1: (SAME_EARLIER, 1)}),
        (4, {1: (SAME_EARLIER, 1), 2: (NEAR_EARLIER, 1), 3: (NEAR_EARLIER, 5)}),
    ):
        rows = [keyed(ours, distance, True, False), keyed(theirs, distance, True, True)]
        final = settled(pa.Table.from_batches([verdicts(pa.Table.from_batches(rows), distance)])).to_pylist()
        assert {row["content"]: (row["reason"], row["keeper"]) for row in final} == expected


def test_an_impossible_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="9 bits"):
        band_keys(np.zeros(1, dtype=np.uint64), 9)


def test_of_a_picture_and_its_smaller_copies_the_largest_stays() -> None:
    generator = np.random.default_rng(3)
    results = []
    for number in range(20):
        original = Image.fromarray(generator.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize(
            (800, 600), Image.Resampling.BICUBIC
        )
        for size, quality in (((800, 600), 90), ((400, 300), 75), ((300, 225), 90)):
            stream = io.BytesIO()
            original.resize(size).save(stream, "JPEG", quality=quality)
            result = process(stream.getvalue(), ImageConfig())
            assert isinstance(result, Processed)
            results.append((number, result))
    hashes = np.array([result.phash for _, result in results], dtype=np.uint64)
    pixels = np.array([result.original_width * result.original_height for _, result in results])
    contents = np.array([int(result.sha256[:16], 16) for _, result in results], dtype=np.uint64)
    goes = repeated_by(hashes, pixels, contents, 8) >= 0
    stay = [(number, result.original_width) for (number, result), gone in zip(results, goes, strict=True) if not gone]
    assert stay == [(number, 800) for number in range(20)]
