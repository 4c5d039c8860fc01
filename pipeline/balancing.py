"""Finds what the balance goes by (t, and in capped mode each query's cutoff) from aggregates a vector long.

Between the counting of the matches and the drawing of the pairs. Most settings need nothing but the counts; a wanted total needs
one more pass over the matched pairs, the exact cap two.
"""

import math
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.capped import CANDIDATE_DRAWS, Cutoffs, cutoffs, windows
from pipeline.balance.config import BalanceConfig
from pipeline.balance.matches import Counts
from pipeline.balance.plan import write_plan
from pipeline.balance.select import Cap, Plan
from pipeline.balance.threshold import PRIORITY_EDGES, resolve_t
from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.tables.sink import WriteTable
from pipeline.tables.source import ReadTable
from pipeline.tables.vectors import SumVectors, WriteVector, read_vector, write_vector
from pipeline.transforms.balance import CountOwned, CountPriorities, FindCutoffs
from webimagetext import files

__all__ = ["make_plan"]

COLUMNS = ["pair_id", "query_ids"]


def make_plan(run: RunFolder, config: BalanceConfig, seed: int, engine: Engine) -> str:
    """Runs the passes that the settings need, writes the plan and returns its address."""
    counts = read_vector(run.match_counts)
    owned = histogram = None
    if config.mode == "capped":
        count = CountOwned(run.match_counts)
        owned = _sum(run, engine, "count owned pairs", count, len(counts))
    elif config.wanted_total is not None and config.mode == "independent":
        count_priorities = CountPriorities(run.match_counts, seed)
        histogram = _sum(run, engine, "count priorities", count_priorities, len(PRIORITY_EDGES) + 1)
    t = resolve_t(config, counts, histogram=histogram, owned=owned)
    limit = max(t, math.ceil(t * (1 + config.reserve)))
    cap = None
    if owned is not None:
        cap = Cap(owned, *(_cutoffs(run, engine, owned, number, seed) for number in (t, limit)))
    return write_plan(run.plan, Plan(config.mode, counts, t, limit, seed, cap))


def _sum(run: RunFolder, engine: Engine, name: str, count: CountOwned | CountPriorities, size: int) -> Counts:
    url = files.join(run.balance_plan, f"{name.replace(' ', '_')}.npy")

    def build(root: beam.Pipeline) -> None:
        root | "Read matched" >> ReadTable(run.matched, COLUMNS) | WriteVector(count, size, url)

    engine.run(name, build)
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
    inside_url, below_url = files.join(run.balance_plan, "inside"), files.join(run.balance_plan, "below.npy")

    def build(root: beam.Pipeline) -> None:
        pairs = root | "Read matched" >> ReadTable(run.matched, COLUMNS)
        work = FindCutoffs(run.match_counts, windows(owned, t, slack), seed, only)
        outputs = pairs | "Find" >> beam.ParDo(work).with_outputs(FindCutoffs.INSIDE, main="below")
        below = outputs.below | "Sum below" >> beam.CombineGlobally(SumVectors(partial(np.asarray), len(owned)))
        below | "Write below" >> beam.Map(write_vector, below_url)
        order = ["query_id", "draw", "pair_id"]
        outputs[FindCutoffs.INSIDE] | "Write inside" >> WriteTable(inside_url, CANDIDATE_DRAWS, _by_query, order)

    engine.run(f"find cutoffs of t = {t:,}", build)
    inside = read_table(inside_url, CANDIDATE_DRAWS)
    return cutoffs(inside.to_batches(), read_vector(below_url), owned, t)


def _by_query(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    queries: npt.NDArray[np.uint64] = batch.column("query_id").to_numpy().astype(np.uint64)
    return queries
