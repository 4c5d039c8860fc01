"""Candidates to matched pairs: repeated captions, text rules, queries."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from pipeline.dedup.earlier import EARLIER_PAIRS, EarlierPair
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.match.matcher import Matcher
from pipeline.tables.batches import combine
from pipeline.tables.ledger import Rule, apply_rules, ledger
from pipeline.tables.outputs import reject
from pipeline.tables.schema import CANDIDATES, CAPTION_COUNTS, MATCHED
from pipeline.text.config import TextConfig
from pipeline.text.repeated import add_counts, frequent
from pipeline.text.rules import read_rules

__all__ = ["ApplyTextRules", "DropEarlier", "MatchQueries", "by_caption", "keep_frequent"]

BATCH_ROWS = 8192


def by_caption(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by the hash of their caption."""
    return np.asarray(batch.column("hash").to_numpy())


def keep_frequent(group: tuple[int, pa.Table], config: TextConfig) -> tuple[int, pa.Table]:
    """Adds up the counts of a group and keeps the captions that repeat more often than the settings allow."""
    part, table = group
    if config.max_repeats == 0:
        return part, table.slice(0, 0)
    counts = add_counts(table.to_batches())
    kept = pc.is_in(counts.column("hash"), frequent(counts, config.max_repeats))
    return part, pa.Table.from_batches([counts.filter(kept)])


class DropEarlier(beam.DoFn):
    """Candidates and earlier runs' pairs, gathered by address: yields the candidates that no earlier run has."""

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        _, sides = group
        rule = EarlierPair(combine(sides["earlier"], EARLIER_PAIRS))
        for batch in combine(sides["pairs"], CANDIDATES, ["pair_id"]).to_batches(max_chunksize=BATCH_ROWS):
            kept, rejected = apply_rules(batch, [rule], "match")
            if kept.num_rows:
                yield kept
            yield from reject(rejected)


class ApplyTextRules(beam.DoFn):
    """Runs the text rules on candidates, the one for repeated captions first."""

    def __init__(self, config: TextConfig, run: RunFolder, queries: str) -> None:
        self.config, self.run, self.queries = config, run, queries
        self.rules: list[Rule] = []

    def setup(self) -> None:
        repeated = read_table(self.run.frequent_captions, CAPTION_COUNTS).column("hash").combine_chunks()
        self.rules = read_rules(self.config, self.queries, repeated)

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        kept, rejected = apply_rules(batch, self.rules, "match")
        if kept.num_rows:
            yield kept
        yield from reject(rejected)


class MatchQueries(beam.DoFn):
    """Adds to each pair the queries its caption holds; a pair without any is rejected. Workers share one mapped automaton."""

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
