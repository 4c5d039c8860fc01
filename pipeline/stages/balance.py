"""Draws the pairs: finds t and what else the balance goes by from aggregates a vector long, then draws.

In: matched/ and its counts. Out: selected/ and reserve/ (SELECTED), counts.parquet, balance/ (the plan),
rejects/balance/. The settings [balance] and ``seed`` decide. Most settings need nothing but the counts; a wanted total
needs two or three more passes over the matched pairs, the exact cap two.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.balance.capped import CANDIDATE_DRAWS, Cutoffs, Windows, candidates, cutoffs, windows
from pipeline.balance.config import BalanceConfig
from pipeline.balance.independent import priorities
from pipeline.balance.matches import Counts, count_rarest, rarest
from pipeline.balance.plan import read_plan, write_plan
from pipeline.balance.select import Cap, Plan, select
from pipeline.balance.tally import counts_table
from pipeline.balance.threshold import Edges, priority_histogram, resolve_t
from pipeline.config import RunConfig
from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import file_batches, read_manifest, rows_in
from pipeline.keeping.step import Context, Step, counted
from pipeline.match.matcher import Matcher
from pipeline.stages.match import automaton_of
from pipeline.tables.ledger import ledger
from pipeline.tables.outputs import REJECTED, parts_for, reject, write_rejects
from pipeline.tables.progress import reported
from pipeline.tables.schema import SELECTED
from pipeline.tables.sink import WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.tables.vectors import AddVectors, CountIds, HeldBatches, WriteVector, read_vector, write_vector
from webimagetext import files

__all__ = ["DrawPairs", "Drawn", "make_plan", "step"]
NAME = "draw pairs"
OWNED = "count owned pairs"
COLUMNS = ["pair_id", "query_ids"]
RESERVE = "reserve"
INSIDE_A_PART = 1_000_000  # rows of 20 bytes


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    return Step(
        name="balance",
        verb="curate",
        output=run.selected,
        owned=(run.reserve, run.balance_plan, run.rejects("balance")),
        beside=(run.counts,),
        settings={"balance": config.balance, "seed": config.seed},
        tables=(run.matched,),
        documents=lambda: (run.match_counts,),
        work=_work,
        result=lambda _: f"{counted(run.selected, 'selected')}, {counted(run.reserve, 'in reserve')}",
    )


def _work(context: Context) -> None:
    run, config = context.run, context.config
    plan = make_plan(run, config.balance, config.seed, context.engine)
    queries = len(read_vector(run.match_counts))
    build = partial(draw_pairs, run=run, plan=plan, queries=queries)
    context.engine.run(NAME, build, total=rows_in(run.matched), unit="pairs")
    matched, drawn, selected = map(
        read_vector, (run.match_counts, run.selected_counts("drawn_by"), run.selected_counts("query_ids"))
    )
    names = Matcher(automaton_of(context)).queries
    with files.write_atomic(run.counts) as stream:
        table = pa.Table.from_batches([counts_table(names, matched, drawn, selected)])
        pq.write_table(table, stream, write_page_checksum=True)


@dataclass(frozen=True)
class _CountOwned:
    """For each query, the rows of a batch of which it is the rarest query."""

    counts_url: str

    @cached_property
    def counts(self) -> Counts:
        return read_vector(self.counts_url)

    def __call__(self, batch: pa.RecordBatch) -> Counts:
        return count_rarest(batch.column("query_ids"), self.counts)


@dataclass(frozen=True, eq=False)
class _CountPriorities:
    """A histogram, between ``edges``, of the t from which on each row of a batch is kept."""

    counts_url: str
    seed: int
    edges: Edges

    @cached_property
    def counts(self) -> Counts:
        return read_vector(self.counts_url)

    def __call__(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        found = priorities(batch.column("pair_id"), batch.column("query_ids"), self.counts, self.seed)
        return priority_histogram(found, self.edges)


def make_plan(run: RunFolder, config: BalanceConfig, seed: int, engine: Engine) -> str:
    """Runs the passes that the settings need, writes the plan and returns its address."""
    counts = read_vector(run.match_counts)
    owned = None
    if config.mode == "capped":
        count = _CountOwned(run.match_counts)
        owned = _sum(run, engine, OWNED, count, len(counts))

    def histogram_at(edges: Edges) -> Counts:
        return _sum(run, engine, "count priorities", _CountPriorities(run.match_counts, seed, edges), len(edges) + 1)

    t = resolve_t(config, counts, histogram_at=histogram_at, owned=owned)
    limit, cap = t * (1 + config.reserve), None
    if owned is not None:
        limit = math.ceil(limit)
        cap = Cap(owned, *(_cutoffs(run, engine, owned, int(number), seed) for number in (t, limit)))
    return write_plan(run.plan, Plan(config.mode, counts, t, limit, seed, cap, config.wanted_total))


def _url_of(run: RunFolder, name: str) -> str:
    return files.join(run.balance_plan, f"{name.replace(' ', '_')}.npy")


def _sum(run: RunFolder, engine: Engine, name: str, count: _CountOwned | _CountPriorities, size: int) -> Counts:
    url = _url_of(run, name)

    def build(root: beam.Pipeline) -> None:
        reported(root | "Read matched" >> ReadTable(run.matched, COLUMNS), run, name) | WriteVector(count, size, url)

    engine.run(name, build, total=rows_in(run.matched), unit="pairs")
    return read_vector(url)


def _cutoffs(run: RunFolder, engine: Engine, owned: Counts, t: int, seed: int) -> Cutoffs:
    """The last draw that each query keeps at ``t``; a second search for those that the first window missed."""
    found, missed = _search(run, engine, owned, t, seed, 6.0, None)
    if not len(missed):
        return found
    only = np.zeros(len(owned), dtype=bool)
    only[missed] = True
    again, _ = _search(run, engine, owned, t, seed, math.inf, only)
    return Cutoffs(np.where(only, again.draw, found.draw), np.where(only, again.pair, found.pair))


def _search(
    run: RunFolder, engine: Engine, owned: Counts, t: int, seed: int, slack: float, only: npt.NDArray[np.bool_] | None
) -> tuple[Cutoffs, npt.NDArray[np.int64]]:
    name = f"find cutoffs of t = {t:,}"
    bounds, owned_url = windows(owned, t, slack), _url_of(run, OWNED)
    only_url = None if only is None else write_vector(only, files.join(run.balance_plan, "only.npy"))
    inside_url, below_url = files.join(run.balance_plan, "inside"), files.join(run.balance_plan, "below.npy")

    def build(root: beam.Pipeline) -> None:
        pairs = reported(root | "Read matched" >> ReadTable(run.matched, COLUMNS), run, name)
        work = _FindCutoffs(run.match_counts, owned_url, t, slack, seed, only_url)
        outputs = pairs | "Find" >> beam.ParDo(work).with_outputs(_FindCutoffs.INSIDE, main="below")
        outputs.below | "Sum below" >> AddVectors(len(owned), below_url)
        order, shards = ["query_id", "draw", "pair_id"], parts_for(_expected(owned, bounds), INSIDE_A_PART)
        inside = outputs[_FindCutoffs.INSIDE]
        inside | "Write inside" >> WriteTable(inside_url, CANDIDATE_DRAWS, _by_query, order, shards)

    engine.run(name, build, total=rows_in(run.matched), unit="pairs")
    return _of_all_parts(inside_url, read_vector(below_url), owned, t)


def _expected(owned: Counts, bounds: Windows) -> int:
    """About how many draws lie within their queries' windows."""
    return int(np.sum(owned * np.maximum(bounds.high - bounds.low, 0.0)))


def _of_all_parts(inside: str, below: Counts, owned: Counts, t: int) -> tuple[Cutoffs, npt.NDArray[np.int64]]:
    """What :func:`cutoffs` finds, from one part of the queries at a time."""
    found, missed = cutoffs([], below, owned, t)
    for entry in read_manifest(inside).to_pylist():
        more, _ = cutoffs(list(file_batches(inside, entry, rows=1 << 20)), below, owned, t)
        better = more.draw > found.draw
        found = Cutoffs(np.where(better, more.draw, found.draw), np.where(better, more.pair, found.pair))
        missed = np.flatnonzero(found.draw < 0)
    return found, missed


def _by_query(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    queries: npt.NDArray[np.uint64] = batch.column("query_id").to_numpy().astype(np.uint64)
    return queries


def draw_pairs(root: beam.Pipeline, run: RunFolder, plan: str, queries: int) -> None:
    """Matched pairs -> selected pairs, the reserve next in line, and how often each query was drawn and selected."""
    rows = rows_in(run.matched)
    pairs = root | "Read matched" >> ReadTable(run.matched)
    pairs = reported(pairs, run, NAME)
    drawn = pairs | "Draw" >> DrawPairs(plan)
    drawn.selected | "Write selected" >> WriteTable(run.selected, SELECTED, by_pair, ["pair_id"], parts_for(rows))
    drawn.reserve | "Write reserve" >> WriteTable(run.reserve, SELECTED, by_pair, ["pair_id"], parts_for(rows))
    for column in ("query_ids", "drawn_by"):
        count = CountIds(column, queries)
        drawn.selected | f"Count {column}" >> WriteVector(count, queries, run.selected_counts(column))
    write_rejects([drawn.rejected], run.rejects("balance"), rows)


class _FindCutoffs(HeldBatches):
    """The draws of a bundle below each query's window, and under the tag "inside" the rows within it."""

    INSIDE = "inside"

    def __init__(self, counts_url: str, owned_url: str, t: int, slack: float, seed: int, only_url: str | None) -> None:
        self.urls, self.t, self.slack, self.seed = (counts_url, owned_url, only_url), t, slack, seed

    def setup(self) -> None:
        counts, owned, only = self.urls
        self.counts, self.bounds = read_vector(counts), windows(read_vector(owned), self.t, self.slack)
        self.only = None if only is None else read_vector(only)

    def start_bundle(self) -> None:
        super().start_bundle()
        self.below: Counts | None = None

    def work(self, batch: pa.RecordBatch) -> Iterator[object]:
        owners = rarest(batch.column("query_ids"), self.counts)
        below, inside = candidates(batch.column("pair_id"), owners, self.bounds, self.seed, only=self.only)
        self.below = below if self.below is None else self.below + below
        if inside.num_rows:
            yield beam.pvalue.TaggedOutput(self.INSIDE, inside)

    def rest(self) -> Iterator[object]:
        if self.below is not None:
            yield self.below


class Drawn(NamedTuple):
    """The selected pairs, the reserve (SELECTED), and the ledger of the pairs that are in neither (REJECTS)."""

    selected: beam.PCollection
    reserve: beam.PCollection
    rejected: beam.PCollection


class DrawPairs(beam.PTransform):
    """Matched pairs -> what the balance makes of them by the plan at an address (:func:`make_plan`)."""

    def __init__(self, plan_url: str) -> None:
        super().__init__()
        self.plan_url = plan_url

    def expand(self, pairs: beam.PCollection[pa.RecordBatch]) -> Drawn:
        work = beam.ParDo(_DrawPairs(self.plan_url)).with_outputs(RESERVE, REJECTED, main="selected")
        outputs = pairs | "Draw each" >> work
        drawn = Drawn(outputs.selected, outputs[RESERVE], outputs[REJECTED])
        for output in drawn:
            output.element_type = pa.RecordBatch
        return drawn


class _DrawPairs(beam.DoFn):
    """Three outputs: the selected pairs, the reserve, and the ledger of the pairs that are in neither."""

    def __init__(self, plan_url: str) -> None:
        self.plan_url = plan_url

    def setup(self) -> None:
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
