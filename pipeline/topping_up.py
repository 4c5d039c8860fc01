"""Rounds of topping up: the pairs of the reserve that a round fetches, and in the end what is still missing and why.

In: joined/, the counts of the balance, reserve/. Out: the pairs of the next round, and shortfall.parquet. Only vectors of one
number a query, and the draws of queries that are short, are gathered.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.balance.matches import Counts
from pipeline.balance.refill import SHORT_DRAWS, last_draws, short_draws, taken, wanted
from pipeline.balance.shortfall import LOSSES, REJECTED_PAIRS, losses, rejected_pairs, shortfall_table, sum_losses
from pipeline.balancing import read_plan
from pipeline.hashing import mix
from pipeline.layout import RunFolder
from pipeline.manifest import mark_complete, read_table, rows_in
from pipeline.match.matcher import Matcher
from pipeline.run import Context
from pipeline.schema import SELECTED
from pipeline.tables.batches import combine
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.sink import WriteGroups, WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.transforms.outputs import parts_for
from pipeline.transforms.sums import CountIds, WriteVector, read_vector, write_vector
from webimagetext import files

__all__ = ["draw_from_reserve", "pairs_of", "write_shortfall"]

Draws = npt.NDArray[np.float64]


def pairs_of(run: RunFolder, number: int) -> str:
    """The pairs of a round: the selected ones, then those drawn from the reserve."""
    return run.packing(number, "pairs") if number else run.selected


def _drawn(run: RunFolder, rounds: int) -> Counts:
    """Pairs that each query drew, in all rounds."""
    extra = [read_vector(files.join(run.packing(number, "pairs"), "drawn_by.npy")) for number in range(1, rounds)]
    total: Counts = np.sum([read_vector(run.selected_counts("drawn_by")), *extra], axis=0)
    return total


def draw_from_reserve(context: Context, number: int) -> bool:
    """Writes the pairs of round ``number`` (from 1 on); False when no query is short or the reserve holds nothing for them."""
    run, engine, plan = context.run, context.engine, read_plan(context.run.plan)
    if plan.mode == "none" or rows_in(run.reserve) == 0:
        return False
    asked = wanted(plan.counts, _drawn(run, number), read_vector(run.held_counts(number - 1)), plan.t)
    folder = run.packing(number, "plan")
    before = _last(run, number - 1, len(asked))
    urls = (
        write_vector(asked, files.join(folder, "asked.npy")),
        write_vector(before, files.join(folder, "before.npy")),
    )
    engine.run(f"find reserve of round {number}", partial(_find, run=run, urls=urls, seed=plan.seed, folder=folder))
    found = read_table(folder, SHORT_DRAWS)
    if found.num_rows == 0:
        return False
    last = before.copy()
    queries = found.column("query_id").to_numpy()
    last[queries] = np.maximum(last[queries], found.column("draw").to_numpy())
    url = write_vector(last, files.join(folder, "last.npy"))
    pairs = run.packing(number, "pairs")
    build = partial(_take, run=run, urls=(urls[1], url), seed=plan.seed, pairs=pairs, queries=len(asked))
    engine.run(f"take reserve of round {number}", build)
    mark_complete(pairs, "")
    return True


def _last(run: RunFolder, number: int, queries: int) -> Draws:
    """The draws up to which each query had taken its reserve after a round; -1 where it had taken none."""
    if number == 0:
        return np.full(queries, -1.0)
    return read_vector(files.join(run.packing(number, "plan"), "last.npy"))


def _find(root: beam.Pipeline, run: RunFolder, urls: tuple[str, str], seed: int, folder: str) -> None:
    """Reserve -> the draw up to which each query that is short takes it."""
    reserve = root | "Read reserve" >> ReadTable(run.reserve, ["pair_id", "drawn_by"])
    draws = reserve | "Draws" >> beam.ParDo(_ShortDraws(urls, seed)).with_output_types(pa.RecordBatch)
    groups = draws | "By query" >> Gather(_by_query, parts_for(rows_in(run.reserve)), SHORT_DRAWS, SHORT_DRAWS.names)
    groups | "Last draws" >> beam.ParDo(_LastDraws(urls[0])) | "Write" >> WriteGroups(folder)


def _take(root: beam.Pipeline, run: RunFolder, urls: tuple[str, str], seed: int, pairs: str, queries: int) -> None:
    """Reserve -> the rows between what had been taken and what is to be."""
    rows = rows_in(run.reserve)
    chosen = root | "Read reserve" >> ReadTable(run.reserve) | "Take" >> beam.ParDo(_Take(urls, seed))
    chosen | "Write pairs" >> WriteTable(pairs, SELECTED, by_pair, ["pair_id"], parts_for(rows))
    url = files.join(pairs, "drawn_by.npy")
    chosen | "Count drawn" >> WriteVector(CountIds("drawn_by", queries), queries, url)


def _by_query(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("query_id").to_numpy().astype(np.uint64))


class _ShortDraws(beam.DoFn):
    def __init__(self, urls: tuple[str, str], seed: int) -> None:
        self.urls, self.seed = urls, seed

    def setup(self) -> None:
        self.asked, self.last = map(read_vector, self.urls)

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield short_draws(batch, self.asked, self.last, self.seed)


class _LastDraws(beam.DoFn):
    def __init__(self, url: str) -> None:
        self.url = url

    def setup(self) -> None:
        self.asked = read_vector(self.url)

    def process(self, group: tuple[int, pa.Table]) -> Iterator[tuple[int, pa.Table]]:
        part, table = group
        yield part, last_draws(table, self.asked)


class _Take(beam.DoFn):
    def __init__(self, urls: tuple[str, str], seed: int) -> None:
        self.urls, self.seed = urls, seed

    def setup(self) -> None:
        self.before, self.last = map(read_vector, self.urls)

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        now = taken(batch, self.last, self.seed) & ~taken(batch, self.before, self.seed)
        if now.any():
            yield batch.filter(pa.array(now))


def write_shortfall(context: Context, rounds: int, automaton: str) -> None:
    """Writes shortfall.parquet: of each query with matches, what it holds, what it lacks, and what became of the rest."""
    run, plan = context.run, read_plan(context.run.plan)
    last = write_vector(_last(run, rounds - 1, len(plan.counts)), run.path("packing", "last.npy"))
    left = run.path("packing", "reserve_left.npy")
    count = _CountLeft(last, plan.seed)
    context.engine.run("count losses", partial(_count_losses, run=run, rounds=rounds, count=count, left=left))
    held = [read_vector(run.held_counts(number)) for number in (0, rounds - 1)]
    lost = read_table(run.losses, LOSSES)
    t = 0 if plan.mode == "none" else plan.t  # without a balance no query lacks anything
    table = shortfall_table(
        Matcher(automaton).queries, plan.counts, _drawn(run, rounds), held[0], held[1], t, read_vector(left), lost
    )
    with files.write_atomic(run.shortfall) as stream:
        pq.write_table(table, stream)


def _count_losses(root: beam.Pipeline, run: RunFolder, rounds: int, count: "_CountLeft", left: str) -> None:
    """Drawn pairs and the ledger -> the rejected pairs of each query by cause; and what is left of each query's reserve."""
    tables = [pairs_of(run, number) for number in range(rounds)]
    parts = parts_for(sum(map(rows_in, tables)))
    pairs = root | "Read pairs" >> ReadTable(tables, ["pair_id", "drawn_by"])
    ledger = root | "Read rejects" >> ReadTable(run.rejects("package"), ["key", "reason"])
    rejects = ledger | "By pair id" >> beam.Map(rejected_pairs).with_output_types(pa.RecordBatch)
    sides = {"pairs": pairs, "rejects": rejects}
    met = sides | "By pair" >> Meet(dict.fromkeys(sides, by_pair), parts)
    found = met | "Losses" >> beam.ParDo(_Losses()).with_output_types(pa.RecordBatch)
    groups = found | "By query" >> Gather(_by_query, 1, LOSSES, LOSSES.names[:2])
    groups | "Add up" >> beam.Map(lambda group: (group[0], sum_losses(group[1]))) | "Write" >> WriteGroups(run.losses)
    reserve = root | "Read reserve" >> ReadTable(run.reserve, ["pair_id", "drawn_by"])
    reserve | "Count left" >> WriteVector(count, len(read_vector(run.match_counts)), left)


class _Losses(beam.DoFn):
    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[pa.RecordBatch]:
        _, sides = group
        rejected = combine(sides["rejects"], REJECTED_PAIRS)
        if rejected.num_rows:
            yield losses(pa.Table.from_batches(sides["pairs"]), rejected)


@dataclass(frozen=True)
class _CountLeft:
    """The reserve rows of each query's own draw, of a batch, that were not taken."""

    url: str
    seed: int

    @cached_property
    def last(self) -> Draws:
        return read_vector(self.url)

    def __call__(self, batch: pa.RecordBatch) -> Counts:
        draws = short_draws(batch, np.ones(len(self.last), np.int64), self.last, self.seed)
        counts: Counts = np.bincount(draws.column("query_id").to_numpy(), minlength=len(self.last)).astype(np.int64)
        return counts
