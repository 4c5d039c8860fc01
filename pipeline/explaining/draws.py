"""A pair's draws in the balance: which of its queries draws it, by the plan that the balance stored.

In: a pair's id, its queries and the plan. Out: :class:`Drawn` for each query, and the least t that would draw the pair.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from pipeline.balance.capped import within
from pipeline.balance.matches import rarest
from pipeline.balance.select import Plan
from pipeline.explaining.story import Drawn
from pipeline.hashing import draw

__all__ = ["drawn_queries", "least_t"]


def drawn_queries(pair: int, ids: Sequence[int], plan: Plan | None, names: Sequence[str]) -> Iterator[Drawn]:
    """The queries of a pair in order; without a plan their names alone."""
    if plan is None:
        yield from (Drawn(f"query {number}", 0, 0) for number in ids)
        return
    owner = None if plan.cap is None else int(rarest(pa.array([ids], pa.list_(pa.uint32())), plan.counts)[0])
    for number in ids:
        name, matches, of = names[number], int(plan.counts[number]), int(plan.drawable[number])
        if plan.mode == "none" or (owner is not None and number != owner):
            yield Drawn(name, matches, of)  # draws nothing, or not this pair
            continue
        value = float(draw(np.array([pair], np.uint64), np.array([number]), plan.seed)[0])
        yield Drawn(name, matches, of, value, value * of, _is_drawn(pair, number, value * of, plan))


def _is_drawn(pair: int, number: int, rank: float, plan: Plan) -> bool:
    if plan.cap is None:
        return bool(rank < plan.t)
    kept, _ = within(pa.array([pair], pa.uint64()), np.array([number]), plan.cap.selected, plan.seed)
    return bool(kept[0])


def least_t(drawn: Sequence[Drawn]) -> int | None:
    """The least whole t at which one of the queries draws the pair; in capped mode about."""
    ranks = [each.rank for each in drawn if each.rank is not None]
    return int(min(ranks)) + 1 if ranks else None
