import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.balance.config import BalanceConfig
from pipeline.balance.independent import priorities
from pipeline.balance.matches import Counts, count_matches, count_rarest
from pipeline.balance.threshold import (
    PRIORITY_EDGES,
    Edges,
    capped_total,
    needed_total,
    priority_histogram,
    resolve_t,
    t_for_capped_total,
    t_for_tail_share,
    t_for_total,
    t_in_words,
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
    histogram_at = counter(np.zeros(0))
    assert resolve_t(BalanceConfig(t=77, **wanted), none, histogram_at=histogram_at, owned=none) == 77


def counter(values: np.ndarray, passes: list[int] | None = None) -> Callable[[Edges], Counts]:
    """Counts priorities between edges in two batches, as a run does; ``passes`` notes the edges of each pass."""

    def histogram_at(edges: Edges) -> Counts:
        if passes is not None:
            passes.append(len(edges))
        half = len(values) // 3
        return priority_histogram(values[:half], edges) + priority_histogram(values[half:], edges)

    return histogram_at


def test_the_histogram_says_what_a_t_keeps(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    order = priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 1)
    histogram = counter(order)(PRIORITY_EDGES)
    for t in (2.0**-3, 2.0**7, 0.0):
        assert total_at(histogram, t) == (order < t).sum()
    assert histogram.sum() == len(order)


@pytest.mark.parametrize("wanted", [1, 2, 17, 150, 299, 300, 1000, 1500, 3000, 3998])
def test_a_t_keeps_exactly_the_pairs_that_are_wanted(pool: pa.RecordBatch, wanted: int) -> None:
    """Even where fewer pairs are wanted than there are queries, which a whole t could not do."""
    counts = count_matches(pool.column("query_ids"), 300)
    order = priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 1)
    passes: list[int] = []
    t = t_for_total(counter(order, passes), wanted)
    assert (order < t).sum() == wanted
    assert t <= counts.max() and len(passes) <= 3
    if wanted < 100:
        assert t < 1


def test_of_pairs_with_one_priority_the_nearest_total_is_taken() -> None:
    order = np.array([0.5] * 3 + [7.25] * 10 + [9.0])
    for wanted, kept in ((1, 0), (2, 3), (3, 3), (7, 3), (9, 13), (13, 13)):
        assert (order < t_for_total(counter(order), wanted)).sum() == kept
    assert t_for_total(counter(order), 14) == t_for_total(counter(order), 99) == math.inf


def test_a_total_nobody_can_reach_keeps_all(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    order = priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 1)
    t = resolve_t(BalanceConfig(wanted_total=50_000), counts, histogram_at=counter(order))
    assert (order < t).sum() == 3999 and t == counts.max()  # one pair of the pool holds no query
    owned = count_rarest(pool.column("query_ids"), counts)
    t = resolve_t(BalanceConfig(mode="capped", wanted_total=50_000), counts, owned=owned)
    assert capped_total(owned, int(t)) == owned.sum() == 3999


def test_a_t_in_words() -> None:
    assert [t_in_words(t) for t in (20_000, 3.0, 0.0123456789, 1234.56789)] == ["20,000", "3", "0.0123457", "1,234.57"]


def test_t_for_a_capped_total(pool: pa.RecordBatch) -> None:
    owned = count_rarest(pool.column("query_ids"), count_matches(pool.column("query_ids"), 300))
    t = t_for_capped_total(owned, 2500)
    assert capped_total(owned, t) <= 2500 < capped_total(owned, t + 1)


def test_the_settings_decide_which(pool: pa.RecordBatch) -> None:
    counts = count_matches(pool.column("query_ids"), 300)
    owned = count_rarest(pool.column("query_ids"), counts)
    order = priorities(pool.column("pair_id"), pool.column("query_ids"), counts, 0)
    assert resolve_t(BalanceConfig(t=77), counts) == 77
    assert resolve_t(BalanceConfig(tail_share=0.1), counts) == t_for_tail_share(counts, 0.1)
    wanted = BalanceConfig(wanted_total=1000, expected_loss=0.2)
    assert needed_total(wanted) == 1250 and needed_total(BalanceConfig(wanted_total=1000, expected_loss=0.3)) == 1429
    assert (order < resolve_t(wanted, counts, histogram_at=counter(order))).sum() == 1250
    capped = BalanceConfig(mode="capped", wanted_total=1000)
    assert resolve_t(capped, counts, owned=owned) == t_for_capped_total(owned, 1000)
    with pytest.raises(ValueError, match="needs the priorities"):
        resolve_t(wanted, counts)


@pytest.mark.parametrize(
    "values",
    [
        {"t": 0},
        {"tail_share": 0.1, "wanted_total": 5},
        {"tail_share": 1.5},
        {"wanted_total": 0},
        {"expected_loss": 1.0},
        {"reserve": -1.0},
        {"wanted_total": 5, "mode": "none"},
        {"tail_share": 0.5, "mode": "none"},
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        BalanceConfig(**values)
