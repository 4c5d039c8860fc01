from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.balance.config import BalanceConfig
from pipeline.balance.independent import priorities
from pipeline.balance.matches import count_matches, count_rarest
from pipeline.balance.threshold import (
    capped_total,
    needed_total,
    priority_histogram,
    resolve_t,
    t_for_capped_total,
    t_for_tail_share,
    t_for_total,
    tail_share,
    total_at,
)
from webimagetext.errors import UserError


def test_tail_share_and_back() -> None:
    counts = np.array([0, 1, 2, 3, 4, 90])
    assert tail_share(counts, 3) == pytest.approx(0.06)
    assert t_for_tail_share(counts, 0.06) == 3
    assert t_for_tail_share(counts, 0.061) == 4
    assert t_for_tail_share(counts, 1.0) == 90
    assert tail_share(np.zeros(3, np.int64), 5) == 0
    with pytest.raises(ValueError, match="no pair matches"):
        t_for_tail_share(np.zeros(3, np.int64), 0.5)


@pytest.mark.parametrize("wanted", [{"tail_share": 0.1}, {"wanted_total": 5}, {"wanted_total": 5, "mode": "capped"}])
def test_without_a_match_the_t_that_is_set_stays(wanted: dict[str, Any]) -> None:
    none = np.zeros(3, np.int64)
    histogram = priority_histogram(np.zeros(0))
    assert resolve_t(BalanceConfig(t=77, **wanted), none, histogram=histogram, owned=none) == 77


def test_t_for_a_total_from_the_histogram(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    order = priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 1)
    histogram = priority_histogram(order[:1000]) + priority_histogram(order[1000:])
    for wanted in (500, 1500, 3000):
        t = t_for_total(histogram, wanted)
        assert (order < t).sum() < 1.02 * wanted
        assert (order < t + 1).sum() > 0.98 * wanted
        assert total_at(histogram, 2.0**7) == (order < 2.0**7).sum()
        # With whole numbers as edges the answer is exact: one more would be too many.
        edges = np.arange(max(1, t - 30), t + 30.0)
        exact = t_for_total(priority_histogram(order, edges), wanted, edges)
        assert (order < exact).sum() <= wanted < (order < exact + 1).sum()


def test_a_total_nobody_can_reach_is_an_error(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    histogram = priority_histogram(priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 1))
    with pytest.raises(UserError, match=r"5,000 pairs but 4,000 match"):
        t_for_total(histogram, 5000)
    with pytest.raises(UserError, match="asks for"):
        t_for_capped_total(np.array([3, 4]), 7)


def test_t_for_a_capped_total(pool: pa.RecordBatch) -> None:
    owned = count_rarest(pool.column("query_ids"), count_matches(pool.column("query_ids"), 300))
    t = t_for_capped_total(owned, 2500)
    assert capped_total(owned, t) <= 2500 < capped_total(owned, t + 1)


def test_the_settings_decide_which(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    owned = count_rarest(pool.column("query_ids"), counts)
    histogram = priority_histogram(priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 0))
    assert resolve_t(BalanceConfig(t=77), counts) == 77
    assert resolve_t(BalanceConfig(tail_share=0.1), counts) == t_for_tail_share(counts, 0.1)
    wanted = BalanceConfig(wanted_total=1000, expected_loss=0.2)
    assert needed_total(wanted) == 1250
    assert resolve_t(wanted, counts, histogram=histogram) == t_for_total(histogram, 1250)
    capped = BalanceConfig(mode="capped", wanted_total=1000)
    assert resolve_t(capped, counts, owned=owned) == t_for_capped_total(owned, 1000)


@pytest.mark.parametrize(
    "values",
    [
        {"t": 0},
        {"tail_share": 0.1, "wanted_total": 5},
        {"tail_share": 1.5},
        {"wanted_total": 0},
        {"expected_loss": 1.0},
        {"reserve": -1.0},
    ],
)
def test_impossible_settings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        BalanceConfig(**values)  # type: ignore[arg-type]
