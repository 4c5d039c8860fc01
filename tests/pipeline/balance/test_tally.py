import numpy as np
import pyarrow as pa

from pipeline.balance.matches import count_matches
from pipeline.balance.select import Plan, select
from pipeline.balance.tally import counts_table, cumulative_curve, head, summary, zero_matches
from pipeline.tables.schema import COUNTS


def test_the_counts_table_and_what_the_report_shows_of_it(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    kept, _ = select(pool, Plan("independent", counts, 40, 40, 3))
    drawn, selected = (count_matches(kept.column(name), 300) for name in ("drawn_by", "query_ids"))
    table = counts_table(pa.array([f"query {i:03}" for i in range(300)]), counts, drawn, selected)
    assert table.schema == COUNTS
    rows = table.to_pylist()
    assert all(row["drawn"] <= row["selected"] <= row["matched"] for row in rows)
    assert zero_matches(table).to_pylist() == [row["query"] for row in rows if row["matched"] == 0]
    assert {f"query {i:03}" for i in range(290, 300)} <= set(zero_matches(table).to_pylist())
    first = head(table, 3)
    assert [entry.matched for entry in first] == sorted(counts, reverse=True)[:3]
    assert first[0].query == "query 000" and first[0].selected > first[0].drawn
    figures = summary(table, 40)
    assert figures["queries"] == sum(figures[f"queries_{part}"] for part in ("without_match", "in_tail", "in_head"))
    assert 30 < figures["head_drawn_mean"] < 50  # t on average, by chance
    assert figures["selected_most"] == max(row["selected"] for row in rows) > 40


def test_the_cumulative_curve_runs_from_nothing_to_everything() -> None:
    counts = np.array([5, 0, 100, 1])
    curve = cumulative_curve(counts)
    assert curve.tolist() == [[0, 0], [1, 0], [2, 1], [3, 6], [4, 106]]
    long = cumulative_curve(np.arange(100_000), 50)
    assert len(long) <= 51 and long[-1].tolist() == [100_000, np.arange(100_000).sum()]
    assert np.all(np.diff(long[:, 1]) >= 0)
