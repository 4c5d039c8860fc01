"""Near duplicates: the bands miss no pair, and the choice equals that of comparing everything with everything."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.dedup.near import band_keys, distances, repeated_by
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
