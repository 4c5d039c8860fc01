"""Judges the captions and finds the queries that each holds.

In: candidates/, frequent_captions/, site_languages/, earlier runs' shards, the query list. Out: matched/ (MATCHED) with
the number of matches of each query, automaton/ (the compiled list), rejects/match/. The settings [text] and
``matching``, the number of the normal form, the contents of the query list and of every file that [text] names, and the
code of rules of one's own decide.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from pipeline.config import RunConfig
from pipeline.dedup.earlier import EARLIER_PAIRS, EarlierPair, by_address, earlier_pairs
from pipeline.keeping.folder import RunFolder, shards_of
from pipeline.keeping.manifest import (
    read_table,
    rows_in,
    samples_in,
)
from pipeline.keeping.step import Context, Step, counted
from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher
from pipeline.stages.own import apply_own
from pipeline.tables.batches import combine
from pipeline.tables.gather import Meet
from pipeline.tables.ledger import Rule, apply_rules, ledger
from pipeline.tables.outputs import Outputs, parts_for, reject, split_outputs, write_rejects
from pipeline.tables.progress import reported
from pipeline.tables.schema import CANDIDATES, FREQUENT_CAPTIONS, MATCHED, SITE_LANGUAGES
from pipeline.tables.sink import WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.tables.vectors import CountIds, WriteVector
from pipeline.text.config import TextConfig
from pipeline.text.rules import read_rules
from query_builder.normalize import NORMAL_FORM

__all__ = ["MatchPairs", "automaton_of", "step"]
NAME = "match queries"
BATCH_ROWS = 8192


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    return Step(
        name="filter texts and match queries",
        verb="curate",
        output=run.matched,
        owned=(run.automaton, run.rejects("match")),
        settings={
            "text": config.text,
            "matching": config.matching,
            "steps": config.steps,
            "normal_form": NORMAL_FORM,
        },
        tables=(run.candidates, run.frequent_captions, *_sites(run, config), *shards_of(config.earlier_runs)),
        documents=lambda: (config.queries,),
        work=_work,
        result=lambda _: counted(run.matched, "pairs hold a query"),
    )


def _sites(run: RunFolder, config: RunConfig) -> tuple[str, ...]:
    """The folder of what sites are in, where captions are judged by their language."""
    return () if config.text.detector == "off" else (run.site_languages,)


def automaton_of(context: Context) -> str:
    """The compiled query list of the run, made when it is not there."""
    return build_automaton(context.config.queries, context.run.automaton, context.config.matching)


def _work(context: Context) -> None:
    run, automaton = context.run, automaton_of(context)
    build = partial(match, run=run, config=context.config, automaton=automaton, queries=len(Matcher(automaton)))
    context.engine.run(NAME, build, total=rows_in(run.candidates), unit="pairs")


def match(root: beam.Pipeline, run: RunFolder, config: RunConfig, automaton: str, queries: int) -> None:
    """Candidates -> pairs that pass the text rules and hold a query, and the number of matches of each query."""
    rows = rows_in(run.candidates)
    pairs = root | "Read candidates" >> ReadTable(run.candidates)
    rejects = []
    if earlier := shards_of(config.earlier_runs):
        pairs, known = _without_earlier(root, pairs, earlier, parts_for(rows + sum(map(samples_in, earlier))))
        rejects.append(known)
    pairs, own = apply_own(pairs, "steps.candidates", config.steps.candidates, "match", CANDIDATES)
    rejects += own
    pairs = reported(pairs, run, NAME)
    folders = (run.frequent_captions, *_sites(run, config))
    matched, lost = pairs | "Match pairs" >> MatchPairs(config.text, config.queries, automaton, *folders)
    matched, own = apply_own(matched, "steps.matched", config.steps.matched, "match", MATCHED)
    rejects += own
    matched | "Write matched" >> WriteTable(run.matched, MATCHED, by_pair, ["pair_id"], parts_for(rows))
    matched | "Count matches" >> WriteVector(CountIds("query_ids", queries), queries, run.match_counts)
    write_rejects([*rejects, lost], run.rejects("match"), rows)


def _without_earlier(
    root: beam.Pipeline, pairs: beam.PCollection, earlier: Sequence[str], parts: int
) -> tuple[beam.PCollection, beam.PCollection]:
    """Candidates that are not in the shards of earlier runs, and the ledger of those that are."""
    known = root | "Read earlier" >> ReadTable(earlier, ["url", "key"])
    known |= "Earlier pairs" >> beam.Map(earlier_pairs).with_output_types(pa.RecordBatch)
    sides = {"pairs": pairs, "earlier": known}
    met = sides | "By address" >> Meet(
        dict.fromkeys(sides, by_address), parts, {"pairs": CANDIDATES, "earlier": EARLIER_PAIRS}
    )
    return split_outputs(met, "Drop earlier", _DropEarlier())


class _DropEarlier(beam.DoFn):
    """Candidates and earlier runs' pairs, gathered by address: yields the candidates that no earlier run has."""

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        _, sides = group
        rule = EarlierPair(combine(sides["earlier"], EARLIER_PAIRS))
        for batch in combine(sides["pairs"], CANDIDATES, ["pair_id"]).to_batches(max_chunksize=BATCH_ROWS):
            kept, rejected = apply_rules(batch, [rule], "match")
            if kept.num_rows:
                yield kept
            yield from reject(rejected)


class MatchPairs(beam.PTransform):
    """Candidates -> those that pass the text rules and hold a query, with all the queries that they hold (MATCHED); and
    the ledger.

    ``queries`` is the list's address and ``automaton`` its compiled form; ``frequent`` the folder of the captions that
    repeat, "" where repeated ones may stay; ``sites`` that of what sites are in, "" where nobody counted.
    """

    def __init__(self, config: TextConfig, queries: str, automaton: str, frequent: str = "", sites: str = "") -> None:
        super().__init__()
        self.rules, self.automaton = _ApplyTextRules(config, queries, frequent, sites), automaton

    def expand(self, pairs: beam.PCollection[pa.RecordBatch]) -> Outputs:
        passed, by_rule = split_outputs(pairs, "Apply text rules", self.rules)
        matched, unmatched = split_outputs(passed, "Match queries", _MatchQueries(self.automaton))
        return Outputs(matched, (by_rule, unmatched) | "Ledger" >> beam.Flatten())


class _ApplyTextRules(beam.DoFn):
    """Runs the text rules on candidates, the one for repeated captions first."""

    def __init__(self, config: TextConfig, queries: str, frequent: str, sites: str) -> None:
        self.config, self.queries, self.frequent, self.sites = config, queries, frequent, sites
        self.rules: list[Rule] = []

    def setup(self) -> None:
        repeated = read_table(self.frequent, FREQUENT_CAPTIONS) if self.frequent else None
        sites = read_table(self.sites, SITE_LANGUAGES) if self.sites else None
        self.rules = read_rules(self.config, self.queries, repeated, sites)

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        kept, rejected = apply_rules(batch, self.rules, "match")
        if kept.num_rows:
            yield kept
        yield from reject(rejected)


class _MatchQueries(beam.DoFn):
    """Adds to each pair the queries its caption holds; a pair without any is rejected. Workers share one mapped
    automaton."""

    def __init__(self, automaton: str) -> None:
        self.automaton = automaton
        self.shared = Shared()
        self.matcher: Any = None

    def setup(self) -> None:
        self.matcher = self.shared.acquire(lambda: Matcher(self.automaton), tag=self.automaton)

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        found = self.matcher.match(batch.column("caption"))
        batch = batch.append_column("query_ids", found)
        hit = pc.greater(pc.list_value_length(found), 0)
        kept, missed = batch.filter(hit), batch.filter(pc.invert(hit))
        if kept.num_rows:
            yield kept.select(MATCHED.names).cast(MATCHED)
        yield from reject([ledger(missed, pa.repeat("no_query", missed.num_rows), "match")])
