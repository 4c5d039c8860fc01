import numpy as np
import pyarrow as pa
import pytest

from pipeline.balance.capped import CANDIDATE_DRAWS, candidates, cutoffs, windows
from pipeline.balance.independent import draws, priorities
from pipeline.balance.matches import Counts, count_matches, count_rarest, rarest
from pipeline.balance.select import Cap, Plan, select
from pipeline.tables.schema import SELECTED
from tests.oracles.balancing import reference_capped, reference_independent
from trainer.data.order import SourceOrder

QUERIES = 300
T, LIMIT, SEED = 40, 60, 3


def batches(pool: pa.RecordBatch, size: int = 333) -> list[pa.RecordBatch]:
    return [pool.slice(start, size) for start in range(0, pool.num_rows, size)]


def counts_of(pool: pa.RecordBatch) -> Counts:
    return sum(
        (count_matches(part.column("query_ids"), QUERIES) for part in batches(pool)), np.zeros(QUERIES, np.int64)
    )


def as_pairs(pool: pa.RecordBatch) -> list[tuple[int, list[int]]]:
    return list(zip(pool.column("pair_id").to_pylist(), pool.column("query_ids").to_pylist(), strict=True))


def capped_plan(pool: pa.RecordBatch, t: int = T, limit: int = LIMIT, slack: float = 6.0) -> Plan:
    counts = counts_of(pool)
    owned = sum((count_rarest(part.column("query_ids"), counts) for part in batches(pool)), np.zeros(QUERIES, np.int64))

    def search(limit: int, slack: float) -> tuple[object, np.ndarray]:
        below, found = np.zeros(QUERIES, np.int64), []
        for part in batches(pool):
            owners = rarest(part.column("query_ids"), counts)
            more, rows = candidates(part.column("pair_id"), owners, windows(owned, limit, slack), SEED)
            below += more
            found.append(rows)
        return cutoffs(found, below, owned, limit)

    found = []
    for size in (t, limit):
        limits, missed = search(size, slack)
        if len(missed):
            limits, missed = search(size, np.inf)
        assert not len(missed)
        found.append(limits)
    return Plan("capped", counts, t, limit, SEED, Cap(owned, found[0], found[1]))


def run(pool: pa.RecordBatch, plan: Plan) -> tuple[pa.Table, pa.Table]:
    parts = [select(part, plan) for part in batches(pool)]
    return pa.Table.from_batches([kept for kept, _ in parts]), pa.Table.from_batches([spare for _, spare in parts])


def test_independent_equals_the_reference_and_names_who_drew(pool: pa.RecordBatch) -> None:
    kept, spare = run(pool, Plan("independent", counts_of(pool), T, LIMIT, SEED))
    expected = reference_independent(as_pairs(pool), T, SEED)
    assert kept.schema == SELECTED
    assert dict(zip(kept["pair_id"].to_pylist(), kept["drawn_by"].to_pylist(), strict=True)) == expected
    beyond = reference_independent(as_pairs(pool), LIMIT, SEED)
    assert dict(zip(spare["pair_id"].to_pylist(), spare["drawn_by"].to_pylist(), strict=True)) == {
        pair: drawn_by for pair, drawn_by in beyond.items() if pair not in expected
    }
    assert np.all(np.asarray(kept["priority"]) < T)
    assert np.all((np.asarray(spare["priority"]) >= T) & (np.asarray(spare["priority"]) < LIMIT))


def test_the_probability_is_what_the_draws_come_to(pool: pa.RecordBatch) -> None:
    counts = counts_of(pool)
    pairs, lists = pool.column("pair_id"), pool.column("query_ids")
    expected = []
    for _, queries in as_pairs(pool):
        missed = 1.0
        for query in queries:
            missed *= 1.0 - min(1.0, T / counts[query])
        expected.append(1.0 - missed)
    decided = draws(pairs, lists, counts, T, SEED)
    np.testing.assert_allclose(decided.probability, expected)
    kept = np.mean([draws(pairs, lists, counts, T, seed).priority < T for seed in range(400)], axis=0)
    deviations = (kept - decided.probability) / np.sqrt(0.25 / 400)
    assert np.abs(deviations).max() < 5
    assert abs(np.mean(kept) - np.mean(decided.probability)) < 0.002


def test_a_query_with_at_most_t_matches_keeps_them_all(pool: pa.RecordBatch) -> None:
    counts = counts_of(pool)
    kept, _ = run(pool, Plan("independent", counts, T, T, SEED))
    held = count_matches(kept["query_ids"].combine_chunks(), QUERIES)
    assert np.array_equal(held[counts <= T], counts[counts <= T])
    assert (counts > T).sum() > 20


def test_a_higher_t_keeps_all_that_a_lower_one_kept(pool: pa.RecordBatch) -> None:
    before: set[int] = set()
    for t in (5, 20, 21, 80, 4000):
        kept, _ = run(pool, Plan("independent", counts_of(pool), t, t, SEED))
        now = set(kept["pair_id"].to_pylist())
        assert before <= now
        before = now
    assert len(before) == pool.num_rows - 1  # all but the pair without a query


def test_another_seed_draws_other_pairs(pool: pa.RecordBatch) -> None:
    first, second = (
        set(run(pool, Plan("independent", counts_of(pool), T, T, seed))[0]["pair_id"].to_pylist()) for seed in (1, 2)
    )
    assert first != second


def test_the_batches_do_not_matter(pool: pa.RecordBatch) -> None:
    plan = Plan("independent", counts_of(pool), T, LIMIT, SEED)
    whole = pa.Table.from_batches([select(pool, plan)[0]])
    assert whole.equals(run(pool, plan)[0].combine_chunks())


@pytest.mark.parametrize("slack", [6.0, 0.5])  # half a deviation misses many windows and takes the second search
def test_capped_equals_the_reference(pool: pa.RecordBatch, slack: float) -> None:
    plan = capped_plan(pool, slack=slack)
    kept, spare = run(pool, plan)
    expected = reference_capped(as_pairs(pool), T, SEED)
    assert {
        pair: drawn[0] for pair, drawn in zip(kept["pair_id"].to_pylist(), kept["drawn_by"].to_pylist(), strict=True)
    } == (expected)
    beyond = reference_capped(as_pairs(pool), LIMIT, SEED)
    assert set(spare["pair_id"].to_pylist()) == set(beyond) - set(expected)
    drawn = count_matches(kept["drawn_by"].combine_chunks(), QUERIES)
    assert drawn.max() == T
    assert plan.cap is not None
    assert np.array_equal(drawn, np.minimum(plan.cap.owned, T))


def test_capped_windows_are_narrow() -> None:
    owned = np.array([1_000_000, 15_000, 20_000, 20_001])
    limits = windows(owned, 20_000)
    assert limits.high[1] < 0 and limits.high[2] < 0
    assert 0.018 < limits.low[0] < 0.02 < limits.high[0] < 0.022
    assert limits.low[3] < 20_000 / 20_001 <= limits.high[3]


def test_ties_of_draws_are_broken_by_the_pair() -> None:
    rows = [[0, 0.5, 9], [0, 0.5, 4], [0, 0.25, 7], [0, 0.75, 1]]
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(CANDIDATE_DRAWS)]
    found = pa.RecordBatch.from_arrays(columns, schema=CANDIDATE_DRAWS)
    limits, missed = cutoffs([found], np.array([0]), np.array([4]), 2)
    assert (limits.draw[0], limits.pair[0], len(missed)) == (0.5, 4, 0)


def test_none_keeps_everything_with_its_probability(pool: pa.RecordBatch) -> None:
    kept, spare = run(pool, Plan("none", counts_of(pool), T, LIMIT, SEED))
    assert kept.num_rows == pool.num_rows and spare.num_rows == 0
    drawn = [bool(queries) for queries in kept["drawn_by"].to_pylist()]
    assert drawn == (np.asarray(kept["priority"]) < T).tolist()
    assert np.asarray(kept["priority"])[17] == np.inf


def test_the_stored_probabilities_let_a_loader_balance(pool: pa.RecordBatch) -> None:
    kept, _ = run(pool, Plan("none", counts_of(pool), T, LIMIT, SEED))
    probability = np.asarray(kept["probability"])
    order = SourceOrder([kept.num_rows], 11, 1, probabilities=[probability.astype(np.float32)])
    epochs = 40
    _, rows, _ = order.take(0, sum(order.epoch_length(epoch) for epoch in range(epochs)))
    lists = kept["query_ids"].combine_chunks()
    seen = count_matches(lists.take(pa.array(rows)), QUERIES) / epochs
    expected = np.array([probability[[query in ids for ids in lists.to_pylist()]].sum() for query in range(QUERIES)])
    assert (np.abs(seen - expected) <= 5 * np.sqrt(expected / epochs) + 1e-9).all()
    # A query with at most t matches is seen whole in every epoch, and the head is thinned to about what the balance
    # keeps.
    matched = counts_of(pool)
    assert np.array_equal(seen[matched <= T], matched[matched <= T])
    balanced, _ = run(pool, Plan("independent", matched, T, LIMIT, SEED))
    chosen = count_matches(balanced["query_ids"].combine_chunks(), QUERIES)
    assert abs(seen[:10].sum() / chosen[:10].sum() - 1) < 0.05 and seen[0] < 0.85 * matched[0]


def test_priorities_are_those_of_the_draws(pool: pa.RecordBatch) -> None:
    counts = counts_of(pool)
    pairs, lists = pool.column("pair_id"), pool.column("query_ids")
    assert np.array_equal(priorities(pairs, lists, counts, SEED), draws(pairs, lists, counts, T, SEED).priority)


def test_a_foreign_query_list_is_noticed(pool: pa.RecordBatch) -> None:
    with pytest.raises(ValueError, match="another query list"):
        count_matches(pool.column("query_ids"), 100)


def test_empty_batches(pool: pa.RecordBatch) -> None:
    empty = pool.slice(0, 0)
    for plan in (Plan("independent", counts_of(pool), T, LIMIT, SEED), capped_plan(pool)):
        kept, spare = select(empty, plan)
        assert kept.num_rows == spare.num_rows == 0
        assert kept.schema == spare.schema == SELECTED
