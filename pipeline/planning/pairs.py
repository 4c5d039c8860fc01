"""How many pairs are expected after each stage, and how many pictures of each host are asked for.

In: a :class:`Sample`. Out: :class:`Expected`. The real rules judge the sample and the real matcher looks for the
queries; the balance is reckoned by the matches that all inputs would give. Each figure is reckoned again without a
tenth of the places at a time, and what that moves it by is how far it can be trusted (the jackknife of Quenouille and
Tukey). A query's matches are counted without the pair that is judged by them: a pair that was looked at is more likely
of a frequent query, which would be counted too high.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.config import BalanceConfig
from pipeline.balance.independent import chances
from pipeline.balance.matches import Matches, flat_matches, rarest
from pipeline.balance.threshold import needed_total, t_for_tail_share
from pipeline.config import RunConfig
from pipeline.hosts import host_of
from pipeline.match.matcher import Matcher
from pipeline.planning.figure import Figure, figure_of
from pipeline.planning.sample import GROUPS, Floats, Sample
from pipeline.tables.ledger import apply_rules
from pipeline.text.repeated import first_pairs, frequent
from pipeline.text.rules import read_rules, sites_of

__all__ = ["Expected", "expect"]

NORMAL_95 = 1.96  # standard deviations
DRAWN, RESERVED, ASKED = 3, 4, 5  # places among the totals
BATCH_ROWS = 8192


@dataclass(frozen=True)
class Expected:
    """Pairs after each stage, and the addresses of pictures that are asked for: in all, and of each host that was seen
    often enough to say (``hosts``). ``seen`` is how many hosts the sample has; none of the others has more addresses
    than ``unseen``."""

    candidates: Figure
    passed: Figure
    matched: Figure
    balanced: Figure
    reserve: Figure
    asked: Figure
    t: float
    looked_at: int
    share: float
    hosts: dict[str, Figure] = field(default_factory=dict)
    seen: int = 0
    unseen: float = 0.0


OFTEN = 5  # rows of a host from which on its addresses are told


class _Balance:
    """The balance of the matched rows of a sample under given weights."""

    def __init__(self, sample: Sample, matches: pa.ListArray, queries: int, config: BalanceConfig) -> None:
        self.sample, self.lists, self.config, self.queries = sample, matches, config, queries
        self.flat: Matches = flat_matches(matches)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(self.flat.rows, minlength=len(matches)))])
        self._entries = pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), pa.array(np.arange(len(self.flat.queries)), pa.uint32())
        )

    def chances(self, weights: Floats) -> tuple[Callable[[float], Floats], Floats]:
        """The chance of each row by t, and the matches of each query in all inputs."""
        rows, queries = self.flat.rows, self.flat.queries
        counts: Floats = np.bincount(queries, weights[rows], self.queries).astype(float)
        if self.config.mode == "capped":
            owners = rarest(self.lists, np.rint(counts).astype(np.int64))
            owned = np.bincount(owners, weights, self.queries)
            own = np.maximum(owned[owners] - weights + 1, 1.0)
            return lambda t: np.minimum(1.0, t / own), counts
        if self.config.mode == "none":
            return lambda t: np.ones(len(weights)), counts
        others = np.maximum(counts[queries] - weights[rows] + 1, 1.0)
        return lambda t: chances(self._entries, others, t), counts

    def t(self, weights: Floats) -> float:
        """The t that the settings ask for."""
        chance, counts = self.chances(weights)
        config = self.config
        if config.tail_share is not None and counts.any():
            return float(t_for_tail_share(np.rint(counts).astype(np.int64), config.tail_share))
        if config.wanted_total is None or not counts.any():
            return float(config.t)
        low, high, wanted = 0.0, float(counts.max()) + 1, needed_total(config)
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if float((weights * chance(middle)).sum()) < wanted else (low, middle)
        return high


def expect(sample: Sample, config: RunConfig, automaton: str) -> Expected:
    """Runs rules and matching on the sample and reckons what all inputs give. ``automaton``: the compiled query
    list."""
    judged = _passed(sample, config)
    matcher = Matcher(automaton)
    found = matcher.match(judged.candidates.column("caption").combine_chunks())
    hit = np.diff(np.asarray(found.offsets)) > 0
    matched = judged.only(hit)
    lists = found.filter(pa.array(hit))
    balance = _Balance(matched, lists, len(matcher), config.balance)
    answered = sample.pictures / max(1, pc.count_distinct(sample.candidates.column("url")).as_py())
    hosts = _Hosts(matched, min(1.0, answered))

    def figures(without: int | None) -> dict[str, Floats]:
        weights = matched.weights(without)
        chance, _ = balance.chances(weights)
        t = balance.t(weights)
        kept = weights * chance(t)
        spare = weights * chance(t * (1 + config.balance.reserve)) if config.balance.mode != "none" else kept
        asked = hosts.addresses(kept, weights)
        every = (sample, judged)
        totals = [float(each.weights(without).sum()) for each in every]
        totals += [weights.sum(), kept.sum(), spare.sum() - kept.sum(), asked.sum()]
        by_chance = config.balance.mode == "independent" and config.balance.wanted_total is None
        drawn = math.sqrt(float((kept * (1 - chance(t))).sum())) if by_chance else 0.0
        return {"totals": np.array(totals), "hosts": asked, "t": np.array([t]), "drawn": np.array([drawn])}

    whole = figures(None)
    parts = [figures(group) for group in range(GROUPS)] if not sample.is_whole else []
    totals = [figure_of(whole["totals"][n], [part["totals"][n] for part in parts], sample.share) for n in range(6)]
    for place in (DRAWN, RESERVED, ASKED):
        totals[place] = totals[place].widened(NORMAL_95 * float(whole["drawn"][0]))
    told, unseen = hosts.told(whole["hosts"], [part["hosts"] for part in parts], matched)
    names = ("candidates", "passed", "matched", "balanced", "reserve", "asked")
    return Expected(
        **dict(zip(names, totals, strict=True)),
        t=float(whole["t"][0]),
        looked_at=sample.candidates.num_rows,
        share=sample.share,
        hosts=told,
        seen=len(hosts.names),
        unseen=unseen,
    )


def _passed(sample: Sample, config: RunConfig) -> Sample:
    """The rows that pass the text rules; of a caption that repeats so many stay as the sample has its share of."""
    repeated = None
    if config.text.max_repeats and sample.candidates.num_rows:
        # Of one that was seen once there may be more, which nobody can tell.
        most = max(1, round(config.text.max_repeats * sample.share))
        repeated = frequent((first_pairs(batch, most) for batch in sample.candidates.to_batches()), most)
    sites = sites_of(sample.candidates.to_batches(), config.text, config.queries)
    rules = read_rules(config.text, config.queries, repeated, sites)
    numbered = sample.candidates.append_column("_row", pa.array(np.arange(sample.candidates.num_rows)))
    kept = np.zeros(sample.candidates.num_rows, bool)
    for batch in numbered.to_batches(BATCH_ROWS):
        passed, _ = apply_rules(batch, rules, "match")
        kept[passed.column("_row").to_numpy()] = True
    return sample.only(kept)


class _Hosts:
    """The hosts of a sample's pictures; an address counts once, however many pairs want it. ``answered``: the share of
    addresses that archives answer for."""

    def __init__(self, sample: Sample, answered: float) -> None:
        urls = sample.candidates.column("url").combine_chunks().dictionary_encode()
        urls = urls.chunk(0) if isinstance(urls, pa.ChunkedArray) else urls
        self._url_of_row = urls.indices.to_numpy().astype(np.int64)
        self._urls = len(urls.dictionary)
        names = [host_of(url) for url in urls.dictionary.to_pylist()]
        self.names, self._host_of_url = (
            np.unique(np.array(names), return_inverse=True) if names else (np.zeros(0, str), np.zeros(0, np.int64))
        )
        self._asked = np.array([url not in sample.held for url in urls.dictionary.to_pylist()], float)
        if answered and not sample.is_whole:  # a picture may lie elsewhere in its archive
            self._asked[:] = 1 - answered

    def addresses(self, kept: Floats, weights: Floats) -> Floats:
        """How many addresses of each host are asked for, of rows that are each kept so many times."""
        missed = np.ones(self._urls)
        chance = np.divide(kept, weights, out=np.zeros_like(kept), where=weights > 0)
        np.multiply.at(missed, self._url_of_row, 1 - chance)
        each = np.zeros(self._urls)
        np.maximum.at(each, self._url_of_row, weights)
        return np.bincount(self._host_of_url, each * (1 - missed) * self._asked, len(self.names)).astype(float)

    def told(self, asked: Floats, parts: list[Floats], sample: Sample) -> tuple[dict[str, Figure], float]:
        """The hosts whose addresses can be told, the most first, and what any other host has at most."""
        rows = np.bincount(self._host_of_url, minlength=len(self.names))
        if sample.is_whole:
            often, unseen = np.ones(len(self.names), bool), 0.0
        else:
            often = rows >= OFTEN
            unseen = (OFTEN - 1 + NORMAL_95 * math.sqrt(OFTEN) + 2) / max(sample.share, 1e-12)
        found = {}
        for host in sorted(np.flatnonzero(often & (asked > 0)).tolist(), key=lambda host: (-asked[host], host)):
            least = 0.0 if sample.is_whole else NORMAL_95 * asked[host] / math.sqrt(rows[host])
            found[str(self.names[host])] = figure_of(asked[host], [part[host] for part in parts], sample.share, least)
        return found, unseen
