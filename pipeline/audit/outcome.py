"""What a verb tells at its end: how many are left, what most was lost to and which setting would change that, and a t
that fits.

In: a run folder after a verb's steps, and the configuration. Out: lines for people, and the exit status: NOTHING_LEFT
where not one pair is left, so that nobody takes an empty result for a good one, and UNACCOUNTED where rows went without
a reason. Work that is still open, and what was asked of the balance beside what came, stand last.
"""

import functools
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.audit.funnel import Step
from pipeline.audit.queries import asked_facts, asked_in_words
from pipeline.balance.config import BalanceConfig
from pipeline.balance.independent import chances
from pipeline.balance.matches import Counts, count_rarest
from pipeline.balance.threshold import capped_total, t_for_tail_share, tail_share
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, rows_in
from pipeline.reasons import in_words, setting_of
from pipeline.tables.vectors import read_vector

__all__ = ["NOTHING_LEFT", "UNACCOUNTED", "expected_pairs", "open_work", "outcome", "proposed_t"]

NOTHING_LEFT, UNACCOUNTED = 3, 4  # exit statuses
TOLD = 3  # reasons
PUBLISHED_TAIL = 0.06  # share of all matches in queries with at most t, of the published re-creation
SMALL = 2_000_000  # matched pairs up to which a t is proposed: above, the default is meant
# The steps whose open work each verb tells of.
OPEN_TOLD = {
    "run": ("crawl", "fetch", "join"),
    "extract": ("crawl",),
    "fetch": ("fetch",),
    "package": ("fetch", "join"),
}
OPEN_IN_WORDS = {
    "crawl": "pages",
    "fetch": "image addresses",
    "join": "image addresses of pairs from the reserve",
}
# The steps of the funnel that each verb tells of.
STEPS = {
    "extract": ("crawl", "images", "extract"),
    "curate": ("match", "balance"),
    "fetch": ("fetch",),
    "package": ("join", "package"),
}


def outcome(run: RunFolder, verb: str, config: RunConfig, counted: Sequence[Step]) -> int:
    """Prints what came out of ``verb``, as the funnel ``counted`` it; returns the exit status."""
    names = STEPS.get(verb, [name for names in STEPS.values() for name in names if name != "fetch"])
    steps = [step for step in counted if step.name in names]
    if not steps or verb == "report":
        return 0
    left = steps[-1].rows_out
    told = [step for step in counted if step.name in OPEN_TOLD.get(verb, ())]
    lines = _losses(steps, config)
    if verb in ("run", "curate"):
        lines += _about_t(run, config.balance)
    if verb != "extract" and verb != "fetch" and (asked := asked_facts(run, packaged=verb != "curate")):
        lines.append(asked_in_words(asked))
    lines += open_work(told, config)
    for line in lines:
        print(line, file=sys.stderr)
    if not left:
        print(f"nothing is left: 0 {steps[-1].title}; docs/results.md says what to look at", file=sys.stderr)
    lost = [step for step in steps if step.unaccounted]
    for step in lost:
        print(
            f"error: {step.name}: {step.unaccounted:,} of {step.rows_in:,} {step.unit} went without a reason: this is "
            "a defect of the program, and the result is not to be trusted. Please report it",
            file=sys.stderr,
        )
    return UNACCOUNTED if lost else 0 if left else NOTHING_LEFT


def _losses(steps: list[Step], config: RunConfig) -> list[str]:
    """The reasons that most was lost to; what is counted (pages, images, pairs) stands with each, so kinds never add
    up."""
    lost = [(count, reason, step) for step in steps for reason, count in step.rejects.items()]
    lines = []
    for count, reason, step in sorted(lost, key=lambda entry: (-entry[0], entry[1]))[:TOLD]:
        name, unit = _in_force(setting_of(reason, step.name), config), step.unit
        said = f" ({name} = {_value(config, name)})" if name else ""
        lines.append(f"    {in_words(reason)}: {count:,} {unit if count != 1 else unit.removesuffix('s')}{said}")
    return ["most was lost to:", *lines] if lines else []


def open_work(steps: Iterable[Step], config: RunConfig) -> list[str]:
    """What is still to be asked for, where anything is: nobody is to take such a run for a finished one."""
    lines = []
    for step in steps:
        if step.open:
            hosts = ", ".join(f"{host}: {count:,}" for host, count in step.open_at.items())
            budgets = config.extract.budgets if step.name == "crawl" else config.fetch.budgets
            why = "".join(f"; {budget}" for budget in budgets)
            lines.append(
                f"not finished: {step.open:,} {OPEN_IN_WORDS[step.name]} are open, nobody has asked for them (most of "
                f"{hosts}{why}). The same command goes on with them"
            )
    return lines


def _in_force(name: str, config: RunConfig) -> str:
    """The setting that decided: where t was found for another one, that one."""
    found_for = [other for other in ("tail_share", "wanted_total") if getattr(config.balance, other) is not None]
    return f"balance.{found_for[0]}" if name == "balance.t" and found_for else name


def _value(config: RunConfig, name: str) -> object:
    value: object = functools.reduce(getattr, name.split("."), config)
    return list(value) if isinstance(value, tuple) else value


def _about_t(run: RunFolder, balance: BalanceConfig) -> list[str]:
    """A t that would balance, where the one that is set keeps every pair."""
    pairs = rows_in(run.matched)
    if balance.mode == "none" or balance.tail_share or balance.wanted_total or not 0 < pairs <= SMALL:
        return []
    counts, lists = read_vector(run.match_counts), partial(_query_lists, run)
    capped = balance.mode == "capped"
    limited = sum((count_rarest(queries, counts) for queries in lists()), np.zeros_like(counts)) if capped else counts
    t = proposed_t(counts, limited, balance.t)
    if t is None:
        return []
    kept = round(capped_total(limited, t) if capped else expected_pairs(lists(), counts, t))
    if kept >= pairs:
        return []
    limit = "owns more pairs" if capped else "has more matches"
    return [
        f"t = {balance.t:,} balanced nothing: no query {limit}. With --balance.t {t} about {kept:,} of {pairs:,} "
        f"matched pairs would stay, and queries with at most {t} matches hold {tail_share(counts, t):.0%} of all "
        "matches"
    ]


def _query_lists(run: RunFolder) -> Iterator[pa.ListArray]:
    return (batch.column("query_ids") for batch in iter_batches(run.matched, ["query_ids"]))


def proposed_t(counts: Counts, limited: Counts, t: int) -> int | None:
    """The t of the published tail share where ``t`` limits no query; None where ``t`` balances, or none would.

    ``counts`` are the matches of each query, ``limited`` what t is a limit of: the matches, or in capped mode the pairs
    it owns.
    """
    most = int(limited.max(initial=0))
    if t < most or most < 2:
        return None
    found = t_for_tail_share(counts, PUBLISHED_TAIL)
    return found if found < most else None


def expected_pairs(lists: Iterable[pa.ListArray], counts: Counts, t: int) -> float:
    """How many pairs the independent draws keep on average, of the lists of their queries."""
    return sum(float(chances(queries, counts, t).sum()) for queries in lists)
