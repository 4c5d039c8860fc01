"""What became of the queries: head and tail, those without a match, the cumulative curve, and what is missing of t and
why.

In: counts.parquet and shortfall.parquet of a run, as far as they are written. Out: plain values for funnel.json and the
report.
"""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.balance.plan import read_t
from pipeline.balance.tally import cumulative_curve, head, summary, zero_matches
from pipeline.keeping.folder import RunFolder
from pipeline.reasons import CAUSES
from webimagetext import files
from webimagetext.parquet import read_parquet

__all__ = ["query_facts", "shortfall_facts"]

LISTED = 100  # names of queries without a match; all of them are in counts.parquet


def _table(url: str) -> pa.RecordBatch | None:
    if not files.exists(url):
        return None
    with files.open_input(url) as stream:
        batches = read_parquet(stream).combine_chunks().to_batches()
    return batches[0] if batches else None


def query_facts(run: RunFolder) -> dict[str, Any]:
    """Facts by name: t, queries, head, without_match, curve and shortfall; fewer where a step has not run."""
    counts, t = _table(run.counts), read_t(run)
    if counts is None or t is None:
        return {}
    absent = zero_matches(counts)
    facts: dict[str, Any] = {
        "t": t,
        "queries": summary(counts, t),
        "head": [vars(row) for row in head(counts)],
        "without_match": {"queries": len(absent), "first": absent.slice(0, LISTED).to_pylist()},
        "curve": cumulative_curve(np.asarray(counts.column("matched"))).tolist(),  # [queries, matches], rarest first
    }
    if (found := shortfall_facts(run, t)) is not None:
        facts["shortfall"] = found
    return facts


def shortfall_facts(run: RunFolder, t: int) -> dict[str, Any] | None:
    """How many head queries (more than ``t`` matches) hold t of their own draw, before topping up and after, and why
    the rest do not; None before packaging."""
    table = _table(run.shortfall)
    if table is None:
        return None
    matched, before, held, lacking, left = (
        np.asarray(table.column(name)) for name in ("matched", "held_before", "held", "missing", "reserve_left")
    )
    in_head, short = matched > t, lacking > 0
    lost: Counter[str] = Counter()
    for causes in table.column("lost").filter(pa.array(short)).to_pylist():
        for entry in causes:
            lost[entry["cause"]] += entry["pairs"]
    return {
        "head_queries": int(in_head.sum()),
        "head_holding_t_before_top_up": int((in_head & (before >= t)).sum()),
        "head_holding_t": int((in_head & (held >= t)).sum()),
        "short_queries": int(short.sum()),
        "missing_pairs": int(lacking.sum()),
        "reserve_spent": int((short & in_head & (left == 0)).sum()),
        "fewer_matches_than_t": int((short & ~in_head).sum()),
        "lost_of_short_queries": {cause: lost[cause] for cause in CAUSES if lost[cause]},
    }
