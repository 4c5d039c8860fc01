"""What became of the queries: head and tail, those without a match, the cumulative curve, and what is missing of t and
why.

In: counts.parquet and shortfall.parquet of a run, as far as they are written, and what was asked of the balance. Out:
plain values for funnel.json, the report and the last lines of a run.
"""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.balance.config import BalanceConfig
from pipeline.balance.plan import read_t
from pipeline.balance.tally import cumulative_curve, head, summary, zero_matches
from pipeline.balance.threshold import needed_total, t_in_words, tail_share
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, read_made, rows_in, samples_in
from pipeline.keeping.vouched import read_vouched
from pipeline.reasons import CAUSES
from webimagetext.parquet import UNREADABLE, read_parquet
from webimagetext.settings import from_dict

__all__ = ["asked_facts", "asked_in_words", "query_facts", "read_single", "shortfall_facts"]

LISTED = 100  # names of queries without a match; all of them are in counts.parquet


def read_single(run: RunFolder, url: str, made_by: str) -> pa.Table | None:
    """A Parquet file beside the folders of a run, of the step whose marker lies in ``made_by``; None where there is
    none. Raises UserError where it is damaged."""
    root = run.root.rstrip("/")
    name = url.removeprefix(f"{root}/")
    content = read_vouched(root, made_by, name)
    try:
        return None if content is None else read_parquet(pa.BufferReader(content))
    except UNREADABLE as error:
        raise damaged(root, name, f"not a readable Parquet file: {error}") from None


def _table(run: RunFolder, url: str, made_by: str) -> pa.RecordBatch | None:
    table = read_single(run, url, made_by)
    batches = table.combine_chunks().to_batches() if table is not None else []
    return batches[0] if batches else None


def query_facts(run: RunFolder) -> dict[str, Any]:
    """Facts by name: t, asked, queries, head, without_match, curve and shortfall; fewer where a step has not run."""
    counts, t = _table(run, run.counts, run.selected), read_t(run)
    if counts is None or t is None:
        return {}
    absent = zero_matches(counts)
    facts: dict[str, Any] = {
        "t": t,
        "asked": asked_facts(run),
        "queries": summary(counts, t),
        "head": [vars(row) for row in head(counts)],
        "without_match": {"queries": len(absent), "first": absent.slice(0, LISTED).to_pylist()},
        "curve": cumulative_curve(np.asarray(counts.column("matched"))).tolist(),  # [queries, matches], rarest first
    }
    if (found := shortfall_facts(run, t)) is not None:
        facts["shortfall"] = found
    return facts


def asked_facts(run: RunFolder, packaged: bool = True) -> dict[str, Any] | None:
    """What a wanted total or share of the tail asked for, and what came; None where t was given.

    ``packaged``: with the pairs in the shards, where these are finished.
    """
    made = read_made(run.selected) or {}
    t, settings = read_t(run), made.get("settings", {}).get("balance")
    counts = _table(run, run.counts, run.selected)
    if t is None or settings is None or counts is None:
        return None
    balance = from_dict(BalanceConfig, settings, where=run.selected)
    facts: dict[str, Any] = {"t": t, "mode": balance.mode, "matched": rows_in(run.matched)}
    facts["selected"] = rows_in(run.selected)
    if balance.tail_share is not None:
        found = tail_share(np.asarray(counts.column("matched")), t)
        return {"setting": "balance.tail_share", "asked": balance.tail_share, **facts, "came": found}
    if balance.wanted_total is None:
        return None
    facts["to_select"] = needed_total(balance)
    if packaged and is_complete(run.shards):
        facts["came"] = samples_in(run.shards) + samples_in(run.holdout)
    return {"setting": "balance.wanted_total", "asked": balance.wanted_total, **facts}


def asked_in_words(facts: dict[str, Any]) -> str:
    """What was asked of the balance beside what came, a miss with its cause."""
    t = t_in_words(facts["t"])
    if facts["setting"] == "balance.tail_share":
        return (
            f"asked for a tail of {facts['asked']:.4g} of all matches (balance.tail_share): with t = {t} it holds "
            f"{facts['came']:.4g}"
        )
    asked, wanted, selected = facts["asked"], facts["to_select"], facts["selected"]
    said = f"asked for {asked:,} pairs (balance.wanted_total): t = {t} selected {selected:,}"
    if selected != wanted:
        said += f" of {wanted:,}"
        if facts["matched"] < wanted:
            said += f", which is all that match ({facts['matched']:,})"
        elif facts["mode"] == "capped":
            said += ", since t is a whole number of at least 1 in capped mode"
    if "came" in facts:
        miss = facts["came"] - asked
        beside = f", {abs(miss):,} {'more' if miss > 0 else 'fewer'} than asked for" if miss else ""
        said += f"; {facts['came']:,} are in the shards{beside}"
    return said


def shortfall_facts(run: RunFolder, t: float) -> dict[str, Any] | None:
    """How many head queries (that could draw more than ``t`` pairs) hold what they are to hold of their own draw,
    before topping up and after, and why the rest do not; None before packaging."""
    table = _table(run, run.shortfall, run.joined)
    if table is None:
        return None
    names = ("drawable", "target", "held_before", "held", "missing", "reserve_left")
    drawable, target, before, held, lacking, left = (np.asarray(table.column(name)) for name in names)
    in_head, short = drawable > t, lacking > 0
    lost: Counter[str] = Counter()
    for causes in table.column("lost").filter(pa.array(short)).to_pylist():
        for entry in causes:
            lost[entry["cause"]] += entry["pairs"]
    return {
        "head_queries": int(in_head.sum()),
        "head_holding_t_before_top_up": int((in_head & (before >= target)).sum()),
        "head_holding_t": int((in_head & (held >= target)).sum()),
        "short_queries": int(short.sum()),
        "missing_pairs": int(lacking.sum()),
        "reserve_spent": int((short & in_head & (left == 0)).sum()),
        "fewer_matches_than_t": int((short & ~in_head).sum()),
        "lost_of_short_queries": {cause: lost[cause] for cause in CAUSES if lost[cause]},
    }
