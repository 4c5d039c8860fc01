"""Topping up takes each short query's reserve in the order of its draws, and never the same pair twice."""

import numpy as np
import pyarrow as pa

from pipeline.balance.refill import AtMost, last_draws, missing, short_draws, taken, wanted
from pipeline.balance.shortfall import CAUSES, cause_of
from pipeline.hashing import draw, hash64

QUERIES, SEED = 6, 4


def reserve(rows: int = 400) -> pa.RecordBatch:
    generator = np.random.default_rng(2)
    lists = [sorted(set(generator.integers(0, QUERIES, 2).tolist())) for _ in range(rows)]
    columns = {
        "pair_id": pa.array([hash64(str(row)) for row in range(rows)], pa.uint64()),
        "drawn_by": pa.array(lists, pa.list_(pa.uint32())),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_what_is_missing_and_what_is_asked_for() -> None:
    matched, held = np.array([100, 100, 5, 100]), np.array([20, 14, 3, 30])
    assert missing(matched, held, 20).tolist() == [0, 6, 2, 0]
    asked = wanted(matched, np.array([28, 20, 5, 30]), held, 20)
    assert asked[0] == asked[3] == 0
    assert 6 / 0.7 < asked[1] < 2 * 6 / 0.7  # with 30 % lost, more than is missing
    assert wanted(np.array([100]), np.array([20]), np.array([0]), 20)[0] <= 20 * 20 + 100  # all lost: bounded


def test_each_short_query_takes_the_smallest_draws_that_are_left() -> None:
    batch = reserve()
    pairs, lists = batch.column("pair_id").to_numpy(), batch.column("drawn_by").to_pylist()
    last = np.full(QUERIES, -1.0)
    gone: set[int] = set()
    for asked in (np.array([5, 0, 9, 0, 0, 1]), np.array([0, 3, 4, 0, 500, 0])):
        parts = [short_draws(batch.slice(start, 37), asked, last, SEED) for start in range(0, batch.num_rows, 37)]
        table = pa.Table.from_batches(parts).sort_by([("query_id", "ascending"), ("draw", "ascending")])
        found = last_draws(table, asked)
        after = last.copy()
        after[found.column("query_id").to_numpy()] = found.column("draw").to_numpy()
        now = np.flatnonzero(taken(batch, after, SEED) & ~taken(batch, last, SEED)).tolist()
        expected = set()
        for query in np.flatnonzero(asked).tolist():
            own = [row for row in range(len(lists)) if query in lists[row] and row not in gone]
            own.sort(key=lambda row: draw(pairs[row : row + 1], query, SEED)[0])
            expected |= set(own[: asked[query]])
        assert set(now) == expected and not gone & expected
        gone |= expected
        last = np.maximum(last, after)
    assert all(row in gone for row in range(len(lists)) if 4 in lists[row])  # query 4 asked for more than there was


def test_at_most_t_of_a_query_stay_those_with_the_smallest_draws() -> None:
    owners = [3] * 5 + [1] * 2
    columns = {
        "pair_id": pa.array(range(7), pa.uint64()),
        "drawn_by": pa.array([[owner] for owner in owners], pa.list_(pa.uint32())),
        "priority": [5.0, 1.0, 9.0, 1.0, 3.0, 8.0, 7.0],
    }
    reasons, _ = AtMost(3)(pa.table(columns))
    assert reasons.to_pylist() == ["over_t", None, "over_t", None, None, None, None]


def test_every_reason_has_a_cause() -> None:
    found = {reason: cause_of(reason) for reason in ("http_404", "refused_by_robots_txt", "low_clip", "near_duplicate")}
    assert list(found.values()) == ["dead links", "refused", "scores", "duplicates"]
    assert {cause_of(reason) for reason in ("small_image", "in_evaluation_set", "not_reached", "decode_error")} < set(
        CAUSES
    )
