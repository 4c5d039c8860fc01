"""Topping up takes each short query's reserve in the order of its draws, and never the same pair twice."""

import numpy as np
import pyarrow as pa

from pipeline.balance.capped import Cutoffs
from pipeline.balance.refill import (
    SHORT_DRAWS,
    AtMost,
    last_draws,
    missing,
    present_draws,
    short_draws,
    survival,
    taken,
    within,
)
from pipeline.balance.select import Cap, Plan
from pipeline.hashing import draw, hash64
from pipeline.reasons import CAUSES, cause_of

QUERIES, SEED = 6, 4


def reserve(rows: int = 400) -> pa.RecordBatch:
    generator = np.random.default_rng(2)
    lists = [sorted(set(generator.integers(0, QUERIES, 2).tolist())) for _ in range(rows)]
    columns = {
        "pair_id": pa.array([hash64(str(row)) for row in range(rows)], pa.uint64()),
        "drawn_by": pa.array(lists, pa.list_(pa.uint32())),
    }
    return pa.RecordBatch.from_pydict(columns)


def data(rows: int = 400) -> pa.RecordBatch:
    """The rows of the reserve as matched pairs: each holds the queries that draw it."""
    batch = reserve(rows)
    return batch.append_column("query_ids", batch.column("drawn_by"))


def test_what_is_missing_and_what_survives() -> None:
    target, held = np.array([20, 20, 5, 20]), np.array([20, 14, 3, 30])
    assert missing(target, held).tolist() == [0, 6, 2, 0]
    assert survival(np.array([28, 20, 0, 30]), np.array([14, 14, 0, 30])).tolist() == [0.5, 0.7, 0.05, 1.0]


def test_each_short_query_takes_the_smallest_draws_that_are_left() -> None:
    batch = reserve()
    pairs, lists = batch.column("pair_id").to_numpy(), batch.column("drawn_by").to_pylist()
    last, sure = np.full(QUERIES, -1.0), np.ones(QUERIES)
    gone: set[int] = set()
    for lacking in (np.array([5, 0, 9, 0, 0, 1]), np.array([0, 3, 4, 0, 500, 0])):
        starts = range(0, batch.num_rows, 37)
        parts = [short_draws(batch.slice(start, 37), lacking > 0, last, SEED) for start in starts]
        table = pa.Table.from_batches(parts).sort_by([("query_id", "ascending"), ("draw", "ascending")])
        found = last_draws(table, lacking, sure)
        after = last.copy()
        after[found.column("query_id").to_numpy()] = found.column("draw").to_numpy()
        now = np.flatnonzero(taken(batch, after, SEED) & ~taken(batch, last, SEED)).tolist()
        expected = set()
        for query in np.flatnonzero(lacking).tolist():
            own = [row for row in range(len(lists)) if query in lists[row] and row not in gone]
            own.sort(key=lambda row: draw(pairs[row : row + 1], query, SEED)[0])
            expected |= set(own[: lacking[query]])
        assert set(now) == expected and not gone & expected
        gone |= expected
        last = np.maximum(last, after)
    assert all(row in gone for row in range(len(lists)) if 4 in lists[row])  # query 4 asked for more than there was


def test_pairs_that_are_there_count_in_full_and_others_by_what_survives() -> None:
    draws = [(1, 0.1, False), (1, 0.2, True), (1, 0.3, False), (1, 0.4, True), (1, 0.5, True), (4, 0.1, False)]
    table = pa.Table.from_pylist([dict(zip(SHORT_DRAWS.names, row, strict=True)) for row in draws], SHORT_DRAWS)
    lacking, share = np.array([0, 2, 0, 0, 3]), np.array([1.0, 0.5, 1.0, 1.0, 1.0])
    # 2 and a deviation of 1: 0.5 + 1 + 0.5 + 1; query 4 takes all there is.
    assert last_draws(table, lacking, share).column("draw").to_pylist() == [0.4, 0.1]
    assert last_draws(table, lacking - 1, np.ones(5)).column("draw").to_pylist() == [0.1, 0.1]


def test_the_reach_of_a_query_is_t_and_what_it_takes_beyond() -> None:
    batch, counts, t = data(), np.array([300, 200, 150, 100, 50, 10]), 20
    plan = Plan("independent", counts, t, 40, SEED)
    last = np.array([-1.0, 0.15, -1.0, 0.3, 0.0, -1.0])
    reached, offered = within(batch, plan, last), present_draws(batch, plan, np.arange(QUERIES) % 2 == 1, last)
    pairs, expected, beyond = batch.column("pair_id").to_numpy(), [], []
    for row, queries in enumerate(batch.column("query_ids").to_pylist()):
        drawn = {query: float(draw(pairs[row : row + 1], query, SEED)[0]) for query in queries}
        expected.append([query for query in queries if drawn[query] * counts[query] < t or drawn[query] <= last[query]])
        beyond += [
            (query, drawn[query], True)
            for query in queries
            if query % 2 == 1 and query not in expected[-1] and drawn[query] * counts[query] < 40
        ]
    assert reached.to_pylist() == expected
    assert [tuple(row.values()) for row in offered.to_pylist()] == beyond and beyond
    capped = Plan("capped", counts, t, 40, SEED)
    assert within(batch, capped, last).to_pylist() == batch.column("drawn_by").to_pylist()


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


def test_what_a_query_is_to_hold() -> None:
    """t, or all that it may draw: in capped mode that is what it owns. For a wanted total, what it drew."""
    counts, owned, drawn = np.array([100, 30, 5, 0]), np.array([60, 3, 5, 0]), np.array([17, 23, 5, 0])
    nothing = np.zeros(0)
    cap = Cap(owned, Cutoffs(nothing, nothing.astype(np.uint64)), Cutoffs(nothing, nothing.astype(np.uint64)))
    plans = {
        "t": (Plan("independent", counts, 20, 30, SEED), [20, 20, 5, 0]),
        "wanted": (Plan("independent", counts, 20.7, 30, SEED, wanted_total=40), [17, 23, 5, 0]),
        "capped": (Plan("capped", counts, 20, 30, SEED, cap), [20, 3, 5, 0]),
        "capped, wanted": (Plan("capped", counts, 20, 30, SEED, cap, 40), [20, 3, 5, 0]),
        "none": (Plan("none", counts, 20, 30, SEED), [0, 0, 0, 0]),
    }
    for name, (plan, target) in plans.items():
        assert plan.target(drawn).tolist() == target, name
    held = np.array([18, 1, 5, 0])
    assert missing(plans["capped"][0].target(drawn), held).sum() == 2 + 2
