"""Joining pairs with their images, round by round: what is lost on the way is made up for from the reserve (see topping_up.py).

A round joins its own pairs with the image store and applies the image rules; then the pictures of all rounds together are freed of
duplicates. In: selected/, reserve/, images/ and earlier runs' shards. Out: joined/ and the ledger of packaging. A round's tables
are kept, so a killed run joins only what it had not joined, and pictures are judged once.
"""

from collections.abc import Sequence
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.refill import AtMost
from pipeline.dedup.near import band_keys
from pipeline.dedup.pictures import PICTURES, by_content, by_key, keyed, verdicts
from pipeline.layout import shards_of
from pipeline.manifest import is_complete, mark_complete, rows_in, samples_in
from pipeline.run import Context
from pipeline.schema import JOINED
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.sink import WriteGroups
from pipeline.tables.source import ReadTable
from pipeline.topping_up import Reach, draw_from_reserve, last_draws_of, pairs_of, write_shortfall
from pipeline.transforms.images import DropRepeats, JoinImages, by_url
from pipeline.transforms.outputs import RuleOnGroups, parts_for, split_outputs, write_rejects
from pipeline.transforms.sums import WriteVector
from pipeline.work import automaton_of, fetch_pairs
from webimagetext.hashing import mix

__all__ = ["join"]

ROWS_RATIO = 8  # a row of PICTURES takes so many times less memory than one of JOINED
PICTURE_COLUMNS = ["sha256", "phash", "original_width", "original_height"]


def join(context: Context) -> None:
    """Joins, and tops up until no query is short, the reserve is spent or the rounds are over."""
    run, number = context.run, 0
    while True:
        _join_round(context, number)
        if not is_complete(run.packing(number + 1, "pairs")):
            _deduplicate(context, number)
            if number >= context.config.balance.top_up_rounds or not draw_from_reserve(context, number + 1):
                break
        number += 1
        fetch_pairs(context, run.packing(number, "pairs"), f"fetch images of round {number}")
        context.input_extended()
    write_shortfall(context, number + 1, automaton_of(context))


def _join_round(context: Context, number: int) -> None:
    marker = context.run.packing(number, "pictures")
    if not is_complete(marker):
        context.engine.run(f"join images, round {number}", partial(join_round, context=context, number=number))
        mark_complete(marker, "")


def join_round(root: beam.Pipeline, context: Context, number: int) -> None:
    """Pairs of a round and images -> pairs with a good image, and the ledger of the others."""
    run, pairs = context.run, pairs_of(context.run, number)
    rows = rows_in(pairs)
    sides = {
        side: root | f"Read {side}" >> ReadTable(folder) for side, folder in (("pairs", pairs), ("images", run.images))
    }
    groups = sides | "By URL" >> Meet(dict.fromkeys(sides, by_url), parts_for(rows + rows_in(run.images)))
    kept, lost = split_outputs(groups, "Join and apply image rules", JoinImages(run, context.config))
    kept | "Write pictures" >> WriteGroups(run.packing(number, "pictures"))
    write_rejects([lost], run.packing(number, "rejects"), rows)


def _deduplicate(context: Context, number: int) -> None:
    context.engine.run("find duplicates", partial(deduplicate, context=context, rounds=number + 1))


def deduplicate(root: beam.Pipeline, context: Context, rounds: int) -> None:
    """Pairs with an image, of all rounds -> each picture and caption once, how often each query drew them, and the ledger."""
    run = context.run
    reach = Reach(run.plan, last_draws_of(run, rounds - 1))
    tables = [run.packing(number, "pictures") for number in range(rounds)]
    rows = sum(map(rows_in, tables))
    parts = parts_for(rows)
    sides, keys = {"rows": root | "Read pictures" >> ReadTable(tables)}, {"rows": by_content, "verdicts": _by_verdict}
    distance, earlier_runs = context.config.package.near_duplicates, shards_of(context.config.earlier_runs)
    if distance is not None or earlier_runs:
        sides["verdicts"] = root | "Find repeats" >> FindRepeats(tables, earlier_runs, distance)
    groups = sides | "By picture" >> Meet(keys, parts)
    once, repeated = split_outputs(groups, "Keep each picture once", DropRepeats())
    rejects = [repeated]
    if rounds > 1 and context.config.balance.mode == "capped":
        t = reach.plan.t
        by_query = once | "Unique" >> _Batches() | "By query" >> Gather(_by_owner, parts, JOINED, ["pair_id"])
        once, over = split_outputs(by_query, "Keep at most t", RuleOnGroups(AtMost(t), "package"))
        rejects.append(over)
    once | "Write joined" >> WriteGroups(run.joined)
    held = once | "Held" >> _Batches()
    held | "Count held" >> WriteVector(reach, len(reach.plan.counts), run.held_counts(rounds - 1))
    earlier = root | "Read rejects" >> ReadTable([run.packing(number, "rejects") for number in range(rounds)])
    total = sum(rows_in(pairs_of(run, number)) for number in range(rounds))
    write_rejects([earlier, *rejects], run.rejects("package"), total)


class _Batches(beam.PTransform):
    """Groups (part, table) in, their record batches out."""

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        return groups | beam.FlatMap(lambda group: group[1].to_batches()).with_output_types(pa.RecordBatch)


def _by_owner(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows of the capped mode by the query that they belong to."""
    return mix(batch.column("drawn_by").flatten().to_numpy().astype(np.uint64))


def _by_verdict(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("content").to_numpy())


class FindRepeats(beam.PTransform):
    """The pictures of ``tables`` that repeat a better one, or one in the shards of earlier runs: VERDICTS.

    A picture meets those that may be near in a group of each of its bands, so that what one worker holds does not grow with the
    number of pictures.
    """

    def __init__(self, tables: Sequence[str], earlier: Sequence[str], distance: int | None) -> None:
        super().__init__()
        self.tables, self.earlier, self.distance = list(tables), list(earlier), distance

    def expand(self, root: beam.Pipeline) -> beam.PCollection:
        read = []
        for name, folders, of_earlier in (("tables", self.tables, False), ("earlier", self.earlier, True)):
            batches = root | f"Read {name}" >> ReadTable(folders, PICTURE_COLUMNS)
            keys = beam.FlatMap(lambda batch, *how: [keyed(batch, *how)], self.distance, bool(self.earlier), of_earlier)
            read.append(batches | f"Keys of {name}" >> keys.with_output_types(pa.RecordBatch))
        keys_each = len(band_keys(np.zeros(1, np.uint64), self.distance)[0]) if self.distance is not None else 1
        rows = sum(map(samples_in, [*self.tables, *self.earlier])) * keys_each
        groups = (
            tuple(read)
            | "All keys" >> beam.Flatten()
            | Gather(by_key, parts_for(rows // ROWS_RATIO), PICTURES, ["key"])
        )
        judge = beam.Map(lambda group, distance: verdicts(group[1], distance), self.distance)
        return groups | "Judge" >> judge.with_output_types(pa.RecordBatch)
