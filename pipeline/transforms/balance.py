"""Matched pairs to selected ones and the reserve, by a plan that was made from small aggregates (see balancing.py)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.capped import Windows, candidates
from pipeline.balance.independent import priorities
from pipeline.balance.matches import Counts, count_rarest, rarest
from pipeline.balance.select import Plan, select
from pipeline.balance.threshold import priority_histogram
from pipeline.tables.ledger import ledger
from pipeline.tables.outputs import reject
from pipeline.tables.vectors import read_vector

__all__ = ["RESERVE", "CountOwned", "CountPriorities", "DrawPairs", "FindCutoffs"]

RESERVE = "reserve"


@dataclass(frozen=True)
class CountOwned:
    """For each query, the rows of a batch of which it is the rarest query."""

    counts_url: str

    @cached_property
    def counts(self) -> Counts:
        return read_vector(self.counts_url)

    def __call__(self, batch: pa.RecordBatch) -> Counts:
        return count_rarest(batch.column("query_ids"), self.counts)


@dataclass(frozen=True)
class CountPriorities:
    """A histogram of the t from which on each row of a batch is kept."""

    counts_url: str
    seed: int

    @cached_property
    def counts(self) -> Counts:
        return read_vector(self.counts_url)

    def __call__(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        return priority_histogram(
            priorities(batch.column("pair_id"), batch.column("query_ids"), self.counts, self.seed)
        )


class FindCutoffs(beam.DoFn):
    """The draws of a batch below each query's window, and under the tag "inside" the rows within it."""

    INSIDE = "inside"

    def __init__(self, counts_url: str, bounds: Windows, seed: int, only: npt.NDArray[np.bool_] | None) -> None:
        self.counts_url, self.bounds, self.seed, self.only = counts_url, bounds, seed, only

    def setup(self) -> None:
        self.counts = read_vector(self.counts_url)

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        owners = rarest(batch.column("query_ids"), self.counts)
        below, inside = candidates(batch.column("pair_id"), owners, self.bounds, self.seed, only=self.only)
        yield below
        if inside.num_rows:
            yield beam.pvalue.TaggedOutput(self.INSIDE, inside)


class DrawPairs(beam.DoFn):
    """Three outputs: the selected pairs, the reserve, and the ledger of the pairs that are in neither."""

    def __init__(self, plan_url: str) -> None:
        self.plan_url = plan_url

    def setup(self) -> None:
        from pipeline.balance.plan import read_plan

        self.plan: Plan = read_plan(self.plan_url)

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        selected, reserve = select(batch, self.plan)
        if selected.num_rows:
            yield selected
        if reserve.num_rows:
            yield beam.pvalue.TaggedOutput(RESERVE, reserve)
        if selected.num_rows + reserve.num_rows < batch.num_rows:
            taken = np.concatenate([selected.column("pair_id").to_numpy(), reserve.column("pair_id").to_numpy()])
            rest = batch.filter(pa.array(~np.isin(batch.column("pair_id").to_numpy(), taken)))
            yield from reject([ledger(rest, pa.repeat("not_drawn", rest.num_rows), "balance")])
