"""Rounds of topping up: the pairs of the reserve that a round fetches, and in the end what is still missing and why.

In: joined/, the counts of the balance, reserve/. Out: the pairs of the next round, and shortfall.parquet. Only vectors
of one number a query, and the draws of queries that are short, are gathered.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.balance.matches import Counts, count_matches
from pipeline.balance.plan import read_plan
from pipeline.balance.refill import (
    SHORT_DRAWS,
    last_draws,
    missing,
    present_draws,
    short_draws,
    survival,
    taken,
    within,
)
from pipeline.balance.select import Plan
from pipeline.balance.shortfall import LOSSES, REJECTED_PAIRS, losses, rejected_pairs, shortfall_table, sum_losses
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import mark_complete, read_table, rows_in
from pipeline.keeping.step import Context
from pipeline.match.matcher import Matcher
from pipeline.tables.batches import combine
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.outputs import parts_for
from pipeline.tables.progress import reported
from pipeline.tables.schema import SELECTED
from pipeline.tables.sink import WriteGroups, WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.tables.vectors import CountIds, WriteVector, read_vector, write_vector
from webimagetext import files
from webimagetext.hashing import mix

__all__ = ["Reach", "draw_from_reserve", "last_draws_of", "pairs_of", "write_shortfall"]

LOSSES_NAME = "count losses"
LOSSES_A_PART = 1_000_000
CAUSES = 16  # about as many as a query's pairs are lost by
Draws = npt.NDArray[np.float64]

_REACHED = pa.schema([pa.field("pair_id", pa.uint64(), nullable=False), pa.field("drawn_by", pa.list_(pa.uint32()))])


def pairs_of(run: RunFolder, number: int) -> str:
    """The pairs of a round: the selected ones, then those drawn from the reserve."""
    return run.packing(number, "pairs") if number else run.selected


def last_draws_of(run: RunFolder, number: int) -> str | None:
    """Where the draws lie up to which each query takes after a round; None while none takes more than t."""
    return files.join(run.packing(number, "plan"), "last.npy") if number else None


def draw_from_reserve(context: Context, number: int) -> bool:
    """Writes the pairs of round ``number`` (from 1 on); False when no query is short or the reserve holds nothing for
    them."""
    run, engine, reach = context.run, context.engine, Reach(context.run.plan, last_draws_of(context.run, number - 1))
    plan = reach.plan
    if plan.mode == "none" or rows_in(run.reserve) == 0:
        return False
    drawn, first, held = (
        read_vector(url) for url in (run.selected_counts("drawn_by"), run.held_counts(0), run.held_counts(number - 1))
    )
    folder = run.packing(number, "plan")
    search = _Search(
        reach,
        write_vector(missing(plan.target(drawn), held), files.join(folder, "lacking.npy")),
        write_vector(survival(drawn, first), files.join(folder, "survival.npy")),
    )
    total, name = rows_in(run.reserve), f"find reserve of round {number}"
    engine.run(name, partial(_find, run=run, search=search, folder=folder, name=name), total=total, unit="pairs")
    found = read_table(folder, SHORT_DRAWS)
    if found.num_rows == 0:
        return False
    last = reach.last.copy()
    queries = found.column("query_id").to_numpy()
    last[queries] = np.maximum(last[queries], found.column("draw").to_numpy())
    further = Reach(run.plan, write_vector(last, files.join(folder, "last.npy")))
    pairs = run.packing(number, "pairs")
    name = f"take reserve of round {number}"
    build = partial(_take, run=run, before=reach, after=further, pairs=pairs, name=name)
    engine.run(name, build, total=total, unit="pairs")
    mark_complete(pairs, "")
    return True


@dataclass(frozen=True)
class Reach:
    """Which pairs each query's draws reach: those up to t and, in the independent mode, further ones where it takes
    more.

    Called with a batch it counts them, an entry a query. ``last_url`` is of :func:`last_draws_of`. Pickled as its
    addresses alone: the plan is too large to travel with a graph.
    """

    plan_url: str
    last_url: str | None

    @cached_property
    def plan(self) -> Plan:
        return read_plan(self.plan_url)

    @cached_property
    def last(self) -> Draws:
        return np.full(len(self.plan.counts), -1.0) if self.last_url is None else read_vector(self.last_url)

    def __reduce__(self) -> tuple[type["Reach"], tuple[str, str | None]]:
        return Reach, (self.plan_url, self.last_url)

    def queries(self, batch: pa.RecordBatch) -> pa.ListArray:
        """The queries that reach each row."""
        return within(batch, self.plan, self.last)

    def __call__(self, batch: pa.RecordBatch) -> Counts:
        return count_matches(self.queries(batch), len(self.plan.counts))


@dataclass(frozen=True)
class _Search:
    """What a round's search goes by; each vector is read once in a process."""

    reach: Reach  # before the round
    lacking_url: str
    survival_url: str

    @cached_property
    def lacking(self) -> Counts:
        return read_vector(self.lacking_url)

    @cached_property
    def survival(self) -> Draws:
        return read_vector(self.survival_url)

    def in_reserve(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What a batch of the reserve offers."""
        return short_draws(batch, self.lacking > 0, self.reach.last, self.reach.plan.seed)

    def in_data(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What a batch of the pairs that are there offers."""
        return present_draws(batch, self.reach.plan, self.lacking > 0, self.reach.last)

    def decide(self, group: tuple[int, pa.Table]) -> tuple[int, pa.Table]:
        """From all that is offered to some queries, up to where they take."""
        part, table = group
        return part, last_draws(table, self.lacking, self.survival)


def _find(root: beam.Pipeline, run: RunFolder, search: _Search, folder: str, name: str) -> None:
    """Reserve and the pairs that are there -> the draw up to which each query that is short takes."""
    batches = pa.RecordBatch
    reserve = root | "Read reserve" >> ReadTable(run.reserve, ["pair_id", "drawn_by"])
    draws = reported(reserve, run, name) | "Draws" >> beam.Map(search.in_reserve).with_output_types(batches)
    if search.reach.plan.mode == "independent":
        there = root | "Read joined" >> ReadTable(run.joined, ["pair_id", "query_ids"])
        draws = draws, there | "Present" >> beam.Map(search.in_data).with_output_types(batches)
    parts = parts_for(rows_in(run.reserve) + rows_in(run.joined))
    groups = draws | "By query" >> Gather(_by_query, parts, SHORT_DRAWS, SHORT_DRAWS.names)
    groups | "Last draws" >> beam.Map(search.decide) | "Write" >> WriteGroups(folder)


def _take(root: beam.Pipeline, run: RunFolder, before: Reach, after: Reach, pairs: str, name: str) -> None:
    """Reserve -> the rows between what had been taken and what is to be."""
    reserve = root | "Read reserve" >> ReadTable(run.reserve)
    chosen = reported(reserve, run, name) | "Take" >> beam.Map(_newly_taken, before, after).with_output_types(
        pa.RecordBatch
    )
    chosen | "Write pairs" >> WriteTable(pairs, SELECTED, by_pair, ["pair_id"], parts_for(rows_in(run.reserve)))


def _newly_taken(batch: pa.RecordBatch, before: Reach, after: Reach) -> pa.RecordBatch:
    seed = after.plan.seed
    return batch.filter(pa.array(taken(batch, after.last, seed) & ~taken(batch, before.last, seed)))


def _by_query(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("query_id").to_numpy().astype(np.uint64))


def write_shortfall(context: Context, rounds: int, automaton: str) -> None:
    """Writes shortfall.parquet: of each query with matches, what it holds, what it lacks, and what became of the
    rest."""
    run = context.run
    reach = Reach(run.plan, last_draws_of(run, rounds - 1))
    plan = reach.plan
    drawn, left = run.path("packing", "drawn.npy"), run.path("packing", "reserve_left.npy")
    total = sum(rows_in(table) for table in (*map(partial(pairs_of, run), range(rounds)), run.reserve))
    build = partial(_count_losses, run=run, rounds=rounds, reach=reach, drawn=drawn, left=left)
    context.engine.run(LOSSES_NAME, build, total=total, unit="pairs")
    before, held = (read_vector(run.held_counts(number)) for number in (0, rounds - 1))
    lost = read_table(run.losses, LOSSES)
    target = plan.target(read_vector(run.selected_counts("drawn_by")))
    names = Matcher(automaton).queries
    vectors = (plan.counts, plan.drawable, target, read_vector(drawn), before, held)
    table = shortfall_table(names, *vectors, read_vector(left), lost)
    with files.write_atomic(run.shortfall) as stream:
        pq.write_table(table, stream, write_page_checksum=True)


def _count_losses(root: beam.Pipeline, run: RunFolder, rounds: int, reach: Reach, drawn: str, left: str) -> None:
    """Pairs of all rounds and the ledger -> the pairs that each query reached, the rejected ones of them by cause, and
    what is left of its reserve."""
    queries = len(reach.plan.counts)
    tables = [pairs_of(run, number) for number in range(rounds)]
    parts = parts_for(sum(map(rows_in, tables)))
    read = root | "Read pairs" >> ReadTable(tables, ["pair_id", "query_ids", "drawn_by"])
    pairs = reported(read, run, LOSSES_NAME, "Report pairs") | "Reached by" >> beam.Map(
        _reached, reach
    ).with_output_types(pa.RecordBatch)
    pairs | "Count drawn" >> WriteVector(CountIds("drawn_by", queries), queries, drawn)
    ledger = root | "Read rejects" >> ReadTable(run.rejects("package"), ["key", "reason", "stage"])
    rejects = ledger | "By pair id" >> beam.Map(rejected_pairs).with_output_types(pa.RecordBatch)
    sides = {"pairs": pairs, "rejects": rejects}
    met = sides | "By pair" >> Meet(
        dict.fromkeys(sides, by_pair), parts, {"pairs": _REACHED, "rejects": REJECTED_PAIRS}
    )
    found = met | "Losses" >> beam.ParDo(_Losses()).with_output_types(pa.RecordBatch)
    most = min(sum(map(rows_in, tables)), CAUSES * queries)
    groups = found | "By query" >> Gather(_by_query, parts_for(most, LOSSES_A_PART), LOSSES, LOSSES.names[:2])
    groups | "Add up" >> beam.Map(lambda group: (group[0], sum_losses(group[1]))) | "Write" >> WriteGroups(run.losses)
    reserve = root | "Read reserve" >> ReadTable(run.reserve, ["pair_id", "drawn_by"])
    reported(reserve, run, LOSSES_NAME, "Report reserve") | "Count left" >> WriteVector(
        _CountLeft(reach), queries, left
    )


def _reached(batch: pa.RecordBatch, reach: Reach) -> pa.RecordBatch:
    """The ids of a batch's pairs, and the queries that reach them as ``drawn_by``."""
    return pa.RecordBatch.from_arrays([batch.column("pair_id"), reach.queries(batch)], schema=_REACHED)


class _Losses(beam.DoFn):
    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[pa.RecordBatch]:
        _, sides = group
        rejected = combine(sides["rejects"], REJECTED_PAIRS)
        if rejected.num_rows:
            yield losses(combine(sides["pairs"], _REACHED), rejected)


@dataclass(frozen=True)
class _CountLeft:
    """The reserve rows of each query's own draw, of a batch, that were not taken."""

    reach: Reach

    def __call__(self, batch: pa.RecordBatch) -> Counts:
        queries = len(self.reach.plan.counts)
        draws = short_draws(batch, np.ones(queries, bool), self.reach.last, self.reach.plan.seed)
        counts: Counts = np.bincount(draws.column("query_id").to_numpy(), minlength=queries).astype(np.int64)
        return counts
