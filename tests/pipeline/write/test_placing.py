"""Placing is a function of ids and the seed alone, even, and never splits a picture over the hold-out."""

import numpy as np
import pyarrow as pa

from pipeline.write.placing import is_holdout, order, place, shard_count
from webimagetext.hashing import mix

PAIRS = mix(np.arange(100_000, dtype=np.uint64))


def test_shards_are_even_and_stable() -> None:
    numbers = place(PAIRS, 3, 10)
    counts = np.bincount(numbers, minlength=10)
    assert counts.min() > 9_500 and counts.max() < 10_500
    shuffled = np.random.default_rng(0).permutation(len(PAIRS))
    assert (place(PAIRS[shuffled], 3, 10) == numbers[shuffled]).all()
    assert (place(PAIRS, 4, 10) != numbers).mean() > 0.8
    assert place(PAIRS[:4], 0, 1000).tolist() == place(PAIRS[:4].copy(), 0, 1000).tolist()


def test_order_does_not_depend_on_the_input_order() -> None:
    shuffled = np.random.default_rng(1).permutation(PAIRS)
    assert (PAIRS[order(PAIRS, 5)] == shuffled[order(shuffled, 5)]).all()
    assert (PAIRS[order(PAIRS, 5)] != PAIRS[order(PAIRS, 6)]).mean() > 0.99
    # Within a shard the order is unrelated to what chose the shard.
    inside = PAIRS[place(PAIRS, 5, 10) == 3]
    ranks = np.argsort(order(inside, 5))
    assert abs(np.corrcoef(ranks, np.arange(len(inside)))[0, 1]) < 0.05


def test_shard_count() -> None:
    assert [shard_count(n, 10) for n in (0, 1, 10, 11, 100)] == [1, 1, 1, 2, 10]


def test_holdout_goes_by_content() -> None:
    contents = [f"{number % 5000:064x}" for number in range(20_000)]
    held = is_holdout(pa.array(contents), 0.1, 7).to_numpy(zero_copy_only=False)
    assert 0.08 < held.mean() < 0.12
    assert (held[:5000] == held[5000:10_000]).all()
    more = is_holdout(pa.chunked_array([contents[:100], contents[100:]]), 0.2, 7).to_numpy(zero_copy_only=False)
    assert more[held].all()  # a larger share holds the smaller one
    assert not is_holdout(pa.array(["a" * 64, None]), 0.0, 7).to_pylist()[0]
    assert is_holdout(pa.array([None], pa.string()), 0.999, 7).to_pylist() == [False]
