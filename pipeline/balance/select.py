"""Which matched pairs are selected, and which are next in line.

In: a MATCHED batch and the plan (the counts over all batches, t and its companions). Out: two SELECTED batches, the
pairs that t keeps and the reserve that t * (1 + reserve) would also have kept. Both are nested: a higher t keeps all
that a lower one kept.

``priority`` orders pairs by the t from which on they are kept. In independent and none modes it is exact: a pair is
drawn when its priority is below t. In capped mode it is draw * owned pairs, the expected rank among the pairs of the
pair's own query: exact as an order within a query, while the selection itself goes by the exact cutoffs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.capped import Cutoffs, within
from pipeline.balance.independent import Draws, draws
from pipeline.balance.matches import Counts, rarest
from pipeline.tables.schema import MATCHED, SELECTED

__all__ = ["Cap", "Plan", "select"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cap:
    """What the exact cap needs beside the counts."""

    owned: Counts  # pairs of which each query is the rarest
    selected: Cutoffs  # of t
    reserve: Cutoffs  # of the higher limit


@dataclass(frozen=True)
class Plan:
    """All that decides on one pair, the same for every batch and worker."""

    mode: Literal["independent", "capped", "none"]
    counts: Counts  # matches of each query over all pairs
    t: float  # whole, but for a wanted total in independent mode; always whole in capped mode
    limit: float  # t with the reserve: t * (1 + reserve), in capped mode the least whole number at or above
    seed: int
    cap: Cap | None = None  # for the capped mode
    wanted_total: int | None = None  # pairs that are to be in the shards, where t was found for that

    @property
    def drawable(self) -> Counts:
        """The pairs that each query may draw: its matches, in capped mode those that it owns."""
        return self.counts if self.cap is None else self.cap.owned

    def target(self, drawn: Counts) -> Counts:
        """The pairs of its own draw that each query is to hold in the end; ``drawn`` are those that it drew.

        It is t, or all that it may draw. For a wanted total of the independent mode it is what the query drew: that it
        drew more or fewer than t by chance was counted when t was found. Without a balance no query lacks anything.
        """
        if self.mode == "none":
            return np.zeros_like(self.counts)
        if self.wanted_total is not None and self.mode == "independent":
            return drawn
        return np.minimum(self.drawable, int(self.t))


def select(batch: pa.RecordBatch, plan: Plan) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The selected and the reserve rows of a MATCHED batch, both with schema SELECTED, in the batch's order."""
    pairs, query_ids = batch.column("pair_id"), batch.column("query_ids")
    if plan.mode == "capped":
        decided, kept, spare = _capped(pairs, query_ids, plan)
    else:
        decided = draws(pairs, query_ids, plan.counts, plan.t, plan.seed, plan.limit if plan.mode != "none" else None)
        kept = decided.priority < plan.t
        spare = ~kept & (decided.priority < plan.limit)
        if plan.mode == "none":
            kept, spare = np.ones(len(kept), bool), np.zeros(len(kept), bool)
    added = [decided.drawn_by, pa.array(decided.probability), pa.array(decided.priority)]
    columns = [*batch.select(MATCHED.names).columns, *added]
    whole = pa.RecordBatch.from_arrays(columns, schema=SELECTED)
    return whole.filter(pa.array(kept)), whole.filter(pa.array(spare))


def _capped(pairs: pa.Array, query_ids: pa.ListArray, plan: Plan) -> tuple[Draws, Mask, Mask]:
    """The capped mode's decisions: kept, and spare for the reserve."""
    assert plan.cap is not None
    owners = rarest(query_ids, plan.counts)
    kept, drawn = within(pairs, owners, plan.cap.selected, plan.seed)
    spare, _ = within(pairs, owners, plan.cap.reserve, plan.seed)
    owned = np.maximum(plan.cap.owned[owners], 1)
    chosen = kept | spare
    offsets = np.concatenate([[0], np.cumsum(chosen)]).astype(np.int32)
    drawn_by = pa.ListArray.from_arrays(pa.array(offsets), pa.array(owners[chosen].astype(np.uint32)))
    probability = np.where(owners >= 0, np.minimum(1.0, plan.t / owned), 0.0)
    return Draws(drawn_by, probability, drawn * owned), kept, spare & ~kept
