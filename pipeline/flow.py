"""The graphs of a run, top to bottom. Beam only wires: what each step does lives in the module it names.

Every function adds one graph to ``root``: finished folders in, finished folders out (layout.py says where, schema.py what).
The crawl's own two graphs are in rounds.py, the passes that find the balance's threshold in balancing.py, the rounds that join
pairs and images in packing.py.
"""

from collections.abc import Sequence
from functools import partial

import apache_beam as beam
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.dedup.earlier import by_address, earlier_pairs
from pipeline.dedup.exact import DuplicatePair
from pipeline.hosts import by_host
from pipeline.keeping.folder import RunFolder, shards_of
from pipeline.keeping.manifest import Entry, rows_in, samples_in
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.outputs import REJECTED, RuleOnGroups, parts_for, split_outputs, write_rejects
from pipeline.tables.progress import ReportRows
from pipeline.tables.schema import CANDIDATES, CAPTION_COUNTS, FETCH_PLAN, JOINED, MATCHED, SELECTED
from pipeline.tables.sink import WriteGroups, WriteManifest, WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.tables.vectors import CountIds, WriteVector
from pipeline.text.repeated import caption_counts
from pipeline.transforms.balance import RESERVE, DrawPairs
from pipeline.transforms.curation import (
    ApplyTextRules,
    DropEarlier,
    MatchQueries,
    by_caption,
    keep_frequent,
)
from pipeline.transforms.images import (
    FetchBucket,
    SplitHoldout,
    WriteShard,
    by_place,
    known_rows,
    wanted_rows,
)
from pipeline.write.placing import shard_count

__all__ = ["balance", "collect", "count_captions", "fetch", "match", "write_shards"]

BY_ID = ["pair_id"]


def collect(root: beam.Pipeline, tables: Sequence[str], rejects: Sequence[str], run: RunFolder) -> None:
    """Pairs of all rounds or files of a source -> candidates, each pair once."""
    rows = sum(map(rows_in, tables))
    groups = (
        root | "Read pairs" >> ReadTable(tables) | Gather(by_pair, parts_for(rows), CANDIDATES, [*BY_ID, "page_url"])
    )
    once, repeated = split_outputs(groups, "Keep each pair once", RuleOnGroups(DuplicatePair(), "extract"))
    once | "Write candidates" >> WriteGroups(run.candidates)
    earlier = root | "Read rejects" >> ReadTable(rejects)
    write_rejects([earlier, repeated], run.rejects("extract"), rows)


def count_captions(root: beam.Pipeline, run: RunFolder, config: RunConfig, name: str) -> None:
    """Candidates -> the captions that repeat too often to describe a picture."""
    captions = root | "Read captions" >> ReadTable(run.candidates, ["caption"])
    captions |= "Report" >> beam.ParDo(ReportRows(run, name)).with_output_types(pa.RecordBatch)
    counts = captions | "Count in batch" >> beam.Map(caption_counts).with_output_types(pa.RecordBatch)
    parts = parts_for(rows_in(run.candidates))
    groups = counts | "By caption" >> Gather(by_caption, parts, CAPTION_COUNTS, ["hash"])
    groups | "Keep the frequent" >> beam.Map(keep_frequent, config.text) | WriteGroups(run.frequent_captions)


def match(root: beam.Pipeline, run: RunFolder, config: RunConfig, automaton: str, queries: int, name: str) -> None:
    """Candidates -> pairs that pass the text rules and hold a query, and the number of matches of each query."""
    rows = rows_in(run.candidates)
    pairs = root | "Read candidates" >> ReadTable(run.candidates)
    rejects = []
    if earlier := shards_of(config.earlier_runs):
        pairs, known = _without_earlier(root, pairs, earlier, parts_for(rows + sum(map(samples_in, earlier))))
        rejects.append(known)
    pairs |= "Report" >> beam.ParDo(ReportRows(run, name)).with_output_types(pa.RecordBatch)
    passed, by_rule = split_outputs(pairs, "Apply text rules", ApplyTextRules(config.text, run, config.queries))
    matched, unmatched = split_outputs(passed, "Match queries", MatchQueries(automaton))
    matched | "Write matched" >> WriteTable(run.matched, MATCHED, by_pair, BY_ID, parts_for(rows))
    matched | "Count matches" >> WriteVector(CountIds("query_ids", queries), queries, run.match_counts)
    write_rejects([*rejects, by_rule, unmatched], run.rejects("match"), rows)


def _without_earlier(
    root: beam.Pipeline, pairs: beam.PCollection, earlier: Sequence[str], parts: int
) -> tuple[beam.PCollection, beam.PCollection]:
    """Candidates that are not in the shards of earlier runs, and the ledger of those that are."""
    known = root | "Read earlier" >> ReadTable(earlier, ["url", "key"])
    known |= "Earlier pairs" >> beam.Map(earlier_pairs).with_output_types(pa.RecordBatch)
    sides = {"pairs": pairs, "earlier": known}
    met = sides | "By address" >> Meet(dict.fromkeys(sides, by_address), parts)
    return split_outputs(met, "Drop earlier", DropEarlier())


def balance(root: beam.Pipeline, run: RunFolder, plan: str, queries: int, name: str) -> None:
    """Matched pairs -> selected pairs, the reserve next in line, and how often each query was drawn and selected."""
    rows = rows_in(run.matched)
    pairs = root | "Read matched" >> ReadTable(run.matched)
    pairs |= "Report" >> beam.ParDo(ReportRows(run, name)).with_output_types(pa.RecordBatch)
    drawn = pairs | "Draw" >> beam.ParDo(DrawPairs(plan)).with_outputs(RESERVE, REJECTED, main="selected")
    drawn.selected | "Write selected" >> WriteTable(run.selected, SELECTED, by_pair, BY_ID, parts_for(rows))
    drawn[RESERVE] | "Write reserve" >> WriteTable(run.reserve, SELECTED, by_pair, BY_ID, parts_for(rows))
    for column in ("query_ids", "drawn_by"):
        count = CountIds(column, queries)
        drawn.selected | f"Count {column}" >> WriteVector(count, queries, run.selected_counts(column))
    write_rejects([drawn[REJECTED]], run.rejects("balance"), rows)


def fetch(
    root: beam.Pipeline, pairs: str, run: RunFolder, config: RunConfig, earlier: Sequence[Entry], name: str
) -> None:
    """The pairs of a table -> images in the store, asked for host by host; what the store knows already is not asked again."""
    selected = root | "Read pairs" >> ReadTable(pairs, ["url"])
    answered = root | "Read images" >> ReadTable(run.images, ["url", "status", "decided_by"])
    wanted = selected | "Wanted" >> beam.Map(wanted_rows)
    known = answered | "Known" >> beam.Map(known_rows, config)
    urls = (wanted, known) | "All URLs" >> beam.Flatten().with_output_types(pa.RecordBatch)
    buckets = urls | "By host" >> Gather(by_host, FETCH_BUCKETS, FETCH_PLAN, ["url"])
    entries = buckets | "Fetch bucket" >> beam.ParDo(FetchBucket(run, config, len(earlier), name))
    kept = root | "Earlier parts" >> beam.Create(list(earlier), reshuffle=False)
    (entries, kept) | "All parts" >> beam.Flatten() | WriteManifest(run.images)


FETCH_BUCKETS = 64


def write_shards(root: beam.Pipeline, run: RunFolder, config: RunConfig, automaton: str, name: str) -> None:
    """Pairs with an image -> shards, well mixed by a seeded hash, and the shards held out for evaluation."""
    rows, share = rows_in(run.joined), config.package.holdout
    pairs = root | "Read joined" >> ReadTable(run.joined)
    sides = pairs | "Split hold-out" >> beam.ParDo(SplitHoldout(config)).with_outputs("holdout", main="shards")
    for side, folder, expected in (("shards", run.shards, 1 - share), ("holdout", run.holdout, share)):
        count = shard_count(round(rows * expected), config.package.samples_per_shard)
        place = partial(by_place, seed=config.seed, shards=count)
        groups = sides[side] | f"Place {side}" >> Gather(place, count, JOINED, BY_ID)
        entries = groups | f"Write {side}" >> beam.ParDo(WriteShard(run, folder, config, automaton, name))
        entries | f"Manifest of {side}" >> WriteManifest(folder)
