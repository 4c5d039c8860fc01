"""Joining pairs with their images, round by round: what is lost on the way is made up for from the reserve (see
top_up.py).

A round joins its own pairs with the image store and applies the image rules; then the pictures of all rounds together
are freed of duplicates. In: selected/, reserve/, images/ and earlier runs' shards. Out: joined/ and the ledger of
packaging. A round's tables are kept, so a killed run joins only what it had not joined, and pictures are judged once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.refill import AtMost
from pipeline.config import RunConfig
from pipeline.dedup.copies import sketched, verdicts_of_copies
from pipeline.dedup.evaluation import EVALUATION, EvaluationPicture, EvaluationSet
from pipeline.dedup.exact import DuplicateImageCaption
from pipeline.dedup.near import band_keys
from pipeline.dedup.pictures import PICTURES, VERDICTS, RepeatedPicture, by_caption, by_content, by_key, keyed, verdicts
from pipeline.engines.watching import Beacon
from pipeline.fetch.decided import fetch_settings, holds
from pipeline.fetch.retry import best_rows
from pipeline.hashing import hash_strings
from pipeline.image.hooks import load_scorers, score_pictures, score_rules
from pipeline.image.rules import Verified, image_rules
from pipeline.keeping.folder import RunFolder, shards_of
from pipeline.keeping.manifest import (
    is_complete,
    mark_complete,
    read_table,
    rows_in,
    samples_in,
)
from pipeline.keeping.step import Context, Step, counted
from pipeline.own import own_rules
from pipeline.removing.tombstones import RemovedPair, in_force, without_address
from pipeline.stages.copies import FindCopies
from pipeline.stages.fetch import fetch_pairs, left_of
from pipeline.stages.match import automaton_of
from pipeline.stages.own import apply_own
from pipeline.stages.top_up import Reach, draw_from_reserve, last_draws_of, pairs_of, write_shortfall
from pipeline.tables.batches import Keys, combine
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.ledger import Rule, apply_rules, ledger
from pipeline.tables.outputs import Group, Outputs, RuleOnGroups, parts_for, reject, split_outputs, write_rejects
from pipeline.tables.progress import ReportRows, reported
from pipeline.tables.schema import IMAGES, JOINED, SCORES, SELECTED
from pipeline.tables.sink import WriteGroups, WriteTable, by_pair
from pipeline.tables.source import ReadTable
from pipeline.tables.spread import BEYOND, BINS, CountKeys, Popular, copied, spread
from pipeline.tables.vectors import WriteVector
from pipeline.write.store import ImageReader, references_of
from query_builder.normalize import NORMAL_FORM
from webimagetext.hashing import mix

__all__ = [
    "JOINED_A_PART",
    "PICTURE_COLUMNS",
    "ROWS_RATIO",
    "FindRepeats",
    "JoinImages",
    "by_verdict",
    "find_duplicates",
    "join_pairs",
    "key_rows",
    "step",
]

SUCCESS, FIND_DUPLICATES = "success", "find duplicates"
JOINED_A_PART = 50_000  # rows: fewer than of tables that are only read, so that all cores have some
SCORED_A_PART, SCORED_PARTS = 1_000, 2_000  # rows whose pictures models look at; no more parts than that for their sake
ROWS_RATIO = 8  # a row of PICTURES takes so many times less memory than one of JOINED
PICTURE_COLUMNS = ["sha256", "phash", "sketch", "original_width", "original_height"]


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    evaluation = (run.evaluation,) if config.package.evaluation_sets else ()
    return Step(
        name="join pairs and images",
        verb="package",
        output=run.joined,
        owned=(run.path("packing"), run.rejects("package")),
        beside=(run.shortfall,),
        settings={
            "asked": fetch_settings(config.http, config.image),
            "package": config.package,
            "top_up_rounds": config.balance.top_up_rounds,
            "normal_form": NORMAL_FORM,
            "verify_hash": config.extract.verify_hash,
        },
        tables=(run.selected, run.reserve, run.images, *shards_of(config.earlier_runs), *evaluation),
        documents=lambda: in_force(run, config).urls,
        work=_work,
        result=lambda _: counted(run.joined, "pairs with an image"),
        extends=True,
        left=_left,
    )


def _left(context: Context) -> Counter[str]:
    """What topping up wanted and nobody has asked for yet; that of the selected pairs is told by fetching."""
    numbers = range(1, context.config.balance.top_up_rounds + 1)
    tables = [pairs_of(context.run, number) for number in numbers]
    return left_of(context, [table for table in tables if is_complete(table)])


def _work(context: Context) -> None:
    """Joins, and tops up until no query is short, the reserve is spent or the rounds are over."""
    run, number = context.run, 0
    while True:
        join_pairs(context, number)
        if not is_complete(run.packing(number + 1, "pairs")):
            find_duplicates(context, number)
            if number >= context.config.balance.top_up_rounds or not draw_from_reserve(context, number + 1):
                break
        number += 1
        fetch_pairs(context, run.packing(number, "pairs"), f"fetch images of round {number}")
        context.input_extended()
    write_shortfall(context, number + 1, automaton_of(context))


def join_pairs(context: Context, number: int) -> None:
    """Joins the pairs of a round with their images, unless that is done."""
    marker, rows = context.run.packing(number, "pictures"), rows_in(pairs_of(context.run, number))
    if not is_complete(marker):
        popular = _popular(context, "addresses", [pairs_of(context.run, number)], "url", by_url, number)
        build, scored = partial(join_round, context=context, number=number, popular=popular), _is_scored(context.config)
        context.engine.run(_name_of(number), build, total=rows, unit="pairs", heavy=scored and rows > SCORED_A_PART)
        mark_complete(marker, "")


def _name_of(number: int) -> str:
    return f"join images, round {number}"


def _is_scored(config: RunConfig) -> bool:
    return bool(config.package.hooks.scores or config.package.hooks.clip_checkpoint)


def _popular(
    context: Context, what: str, tables: Sequence[str], column: str, keys: Keys, number: int
) -> Popular | None:
    """Which values of a column of tables so many rows share that they are not to lie in one part; None where there
    are too few rows for any."""
    run, rows = context.run, sum(map(rows_in, tables))
    if rows <= BEYOND * JOINED_A_PART:
        return None
    url, name = run.packing(number, f"{what}.npy"), f"count {what}"

    def build(root: beam.Pipeline) -> None:
        read = reported(root | "Read" >> ReadTable(tables, [column]), run, name)
        read | WriteVector(CountKeys(keys), BINS, url)

    context.engine.run(name, build, total=rows, unit="pairs")
    return Popular(url, JOINED_A_PART)


def join_round(root: beam.Pipeline, context: Context, number: int, popular: Popular | None) -> None:
    """Pairs of a round and images -> pairs with a good image, and the ledger of the others. ``popular``: addresses of
    very many pairs."""
    run, pairs = context.run, pairs_of(context.run, number)
    rows = rows_in(pairs)
    sides = {
        side: root | f"Read {side}" >> ReadTable(folder) for side, folder in (("pairs", pairs), ("images", run.images))
    }
    parts = parts_for(rows + rows_in(run.images), JOINED_A_PART)
    if _is_scored(context.config):
        parts = max(parts, min(parts_for(rows, SCORED_A_PART), SCORED_PARTS))
    kept, lost = sides | "Join" >> JoinImages(run, context.config, parts, _name_of(number), popular)
    pictures, rejects = run.packing(number, "pictures"), [lost]
    if names := context.config.package.steps:
        batches, own = apply_own(kept | "Good" >> _Batches(), "package.steps", names, "package", JOINED)
        batches | "Write pictures" >> WriteTable(pictures, JOINED, by_url, ["pair_id"], parts_for(rows))
        rejects += own
    else:
        kept | "Write pictures" >> WriteGroups(pictures)
    write_rejects(rejects, run.packing(number, "rejects"), rows)


def find_duplicates(context: Context, number: int) -> None:
    """Frees the pictures of the rounds up to ``number`` of duplicates."""
    tables, package = [context.run.packing(each, "pictures") for each in range(number + 1)], context.config.package
    total, earlier = sum(map(rows_in, tables)), shards_of(context.config.earlier_runs)
    if package.near_duplicates is not None or earlier:
        total += key_rows([*tables, *earlier], package.near_duplicates)
    popular = _popular(context, "pictures", tables, "sha256", by_content, number)
    build = partial(deduplicate, context=context, rounds=number + 1, popular=popular)
    context.engine.run(FIND_DUPLICATES, build, total=total, unit="rows")


def deduplicate(root: beam.Pipeline, context: Context, rounds: int, popular: Popular | None) -> None:
    """Pairs with an image, of all rounds -> each picture and caption once, how often each query drew them, and the
    ledger. ``popular``: pictures of very many pairs."""
    run = context.run
    reach = Reach(run.plan, last_draws_of(run, rounds - 1))
    tables = [run.packing(number, "pictures") for number in range(rounds)]
    rows = sum(map(rows_in, tables))
    parts = parts_for(rows, JOINED_A_PART)
    sides = {"rows": root | "Read pictures" >> ReadTable(tables)}
    keys = {"rows": spread(by_content, by_caption, popular), "verdicts": copied(by_verdict, popular)}
    schemas = {"rows": JOINED, "verdicts": VERDICTS}
    distance, earlier_runs = context.config.package.near_duplicates, shards_of(context.config.earlier_runs)
    altered = context.config.package.near_altered
    if distance is not None or altered or earlier_runs:
        sides["verdicts"] = root | "Find repeats" >> FindRepeats(
            tables, earlier_runs, distance, altered, ReportRows(run, FIND_DUPLICATES)
        )
    groups = sides | "By picture" >> Meet(keys, parts, schemas)
    groups |= "Report" >> beam.ParDo(ReportRows(run, FIND_DUPLICATES, "rows"))
    once, repeated = split_outputs(groups, "Keep each picture once", _DropRepeats(), Group)
    rejects = [repeated]
    if rounds > 1 and context.config.balance.mode == "capped":
        t = int(reach.plan.t)
        by_query = once | "Unique" >> _Batches() | "By query" >> Gather(_by_owner, parts, JOINED, ["pair_id"])
        once, over = split_outputs(by_query, "Keep at most t", RuleOnGroups(AtMost(t), "package"), Group)
        rejects.append(over)
    if rounds > 1:  # a pair may have come for one query, and lie within the further reach of another too
        once |= "Who reaches" >> beam.Map(_with_reach, reach).with_output_types(Group)
    once | "Write joined" >> WriteGroups(run.joined)
    held = once | "Held" >> _Batches()
    held | "Count held" >> WriteVector(reach, len(reach.plan.counts), run.held_counts(rounds - 1))
    earlier = root | "Read rejects" >> ReadTable([run.packing(number, "rejects") for number in range(rounds)])
    total = sum(rows_in(pairs_of(run, number)) for number in range(rounds))
    write_rejects([earlier, *rejects], run.rejects("package"), total)


def _with_reach(group: tuple[int, pa.Table], reach: Reach) -> tuple[int, pa.Table]:
    """Rows of JOINED with the queries in ``drawn_by`` whose draws reach them now that topping up is over."""
    part, table = group
    place = JOINED.get_field_index("drawn_by")
    columns = [batch.set_column(place, JOINED.field(place), reach.queries(batch)) for batch in table.to_batches()]
    return part, pa.Table.from_batches(columns, JOINED)


class _Batches(beam.PTransform):
    """Groups (part, table) in, their record batches out."""

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        return groups | beam.FlatMap(lambda group: group[1].to_batches()).with_output_types(pa.RecordBatch)


def _by_owner(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows of the capped mode by the query that they belong to."""
    return mix(batch.column("drawn_by").flatten().to_numpy().astype(np.uint64))


def by_verdict(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows of VERDICTS by the picture that they judge."""
    return mix(batch.column("content").to_numpy())


class FindRepeats(beam.PTransform):
    """The pictures of ``tables`` that repeat a better one, or one in the shards of earlier runs: VERDICTS.

    A picture meets those that may be near in a group of each of its bands, so that what one worker holds does not grow
    with the number of pictures. ``altered`` asks for altered copies too; the rows of all keys go through ``report``.
    """

    def __init__(
        self, tables: Sequence[str], earlier: Sequence[str], distance: int | None, altered: bool, report: beam.DoFn
    ) -> None:
        super().__init__()
        self.report = report
        self.tables, self.earlier, self.distance, self.altered = list(tables), list(earlier), distance, altered

    def expand(self, root: beam.Pipeline) -> beam.PCollection[pa.RecordBatch]:
        read, pictures = [], []
        for name, tables, of_earlier in (("tables", self.tables, False), ("earlier", self.earlier, True)):
            batches = root | f"Read {name}" >> ReadTable(tables, PICTURE_COLUMNS)
            keys = beam.FlatMap(lambda batch, *how: [keyed(batch, *how)], self.distance, bool(self.earlier), of_earlier)
            read.append(batches | f"Keys of {name}" >> keys.with_output_types(pa.RecordBatch))
            if self.altered:
                sketches = beam.Map(sketched, of_earlier).with_output_types(pa.RecordBatch)
                pictures.append(batches | f"Sketches of {name}" >> sketches)
        folders = [*self.tables, *self.earlier]
        parts = parts_for(key_rows(folders, self.distance) // ROWS_RATIO, JOINED_A_PART)
        groups = tuple(read) | "By key" >> Gather(by_key, parts, PICTURES, []) | "Report" >> beam.ParDo(self.report)
        judge = beam.Map(lambda group, distance: verdicts(group[1], distance), self.distance)
        judged = groups | "Judge" >> judge.with_output_types(pa.RecordBatch)
        if not self.altered:
            return judged
        found = (
            tuple(pictures)
            | "All sketches" >> beam.Flatten()
            | "Find copies" >> FindCopies(sum(map(samples_in, folders)))
        )
        further = found | "Judge copies" >> beam.Map(verdicts_of_copies).with_output_types(pa.RecordBatch)
        return (judged, further) | "All verdicts" >> beam.Flatten()


def keys_of_a_picture(distance: int | None) -> int:
    """How many keys bring a picture together with those that may be near; one, by its content, without a distance."""
    return band_keys(np.zeros(1, np.uint64), distance).shape[1] if distance is not None else 1


def key_rows(folders: Iterable[str], distance: int | None) -> int:
    """How many keys the pictures of tables and shards have."""
    return sum(map(samples_in, folders)) * keys_of_a_picture(distance)


def by_url(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by their URL."""
    return hash_strings(batch.column("url"))


class JoinImages(beam.PTransform):
    """Sides ``pairs`` (SELECTED) and ``images`` (IMAGES) -> pairs with a good image, as (part, table of JOINED); and
    the ledger. The pairs count as done of the stage ``name``."""

    def __init__(self, run: RunFolder, config: RunConfig, parts: int, name: str, popular: Popular | None) -> None:
        super().__init__()
        self.work, self.parts, self.popular = _JoinImages(run, config, name), parts, popular

    def expand(self, sides: dict[str, beam.PCollection]) -> Outputs:
        keys = {"pairs": spread(by_url, by_pair, self.popular), "images": copied(by_url, self.popular)}
        groups = sides | "By URL" >> Meet(keys, self.parts, {"pairs": SELECTED, "images": IMAGES})
        return split_outputs(groups, "Join and apply image rules", self.work, Group)


class _JoinImages(beam.DoFn):
    """Gives each pair its image's metadata and applies the image rules; pairs without a good image are rejected."""

    def __init__(self, run: RunFolder, config: RunConfig, name: str) -> None:
        self.run, self.config, self.name = run, config, name

    def setup(self) -> None:
        self.beacon = Beacon(self.run, self.name)
        self.removed = RemovedPair(in_force(self.run, self.config))
        package = self.config.package
        verify = self.config.extract.verify_hash
        self.rules: list[Rule] = [Verified(*verify)] if verify else []
        self.rules += image_rules(package.rules)
        if package.evaluation_sets:
            known = EvaluationSet.of(read_table(self.run.evaluation, EVALUATION))
            self.rules.append(EvaluationPicture(known, package.evaluation_distance, package.evaluation_altered))
        self.rules += own_rules("package.hooks.rules", package.hooks.rules)
        self.scorers = load_scorers(package.hooks)
        self.score_rules = score_rules(package.hooks)

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        part, sides = group
        pairs = combine(sides["pairs"], SELECTED, ["pair_id"])
        answers = combine(sides["images"], IMAGES, ["url", "file", "status", "error_message"])
        images = best_rows(answers.filter(holds(answers, self.config.http, self.config.image)))
        for batch in _with_images(pairs, images).to_batches():
            if self.removed.stones:
                batch, gone = apply_rules(batch, [self.removed], "join")
                yield from reject(map(without_address, gone))
            status = batch.column("status")
            failed = pc.not_equal(status, SUCCESS)
            if pc.any(failed).as_py():
                yield from reject([ledger(batch.filter(failed), status.filter(failed), "join", "error_message")])
            kept, rejected = apply_rules(
                batch.filter(pc.invert(failed)).select(JOINED.names).cast(JOINED), self.rules, "package"
            )
            if self.scorers:
                kept, low = self._scored(kept)
                rejected += low
            if kept.num_rows:
                yield part, pa.Table.from_batches([kept.select(JOINED.names)])
            yield from reject(rejected)
        self.beacon.advance(pairs.num_rows)
        self.beacon.flush()

    def _scored(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
        """The rows with their scores, and the ledger of those whose scores are out of range."""
        size, found = self.config.package.hooks.batch_size, []
        with ImageReader(self.run.images) as reader:
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                pictures = reader.read(references_of(part))
                found.append(score_pictures(pictures, part.column("caption").to_pylist(), self.scorers))
        scores = pa.concat_arrays(found) if found else pa.array([], SCORES)
        batch = batch.set_column(batch.schema.get_field_index("scores"), JOINED.field("scores"), scores)
        return apply_rules(batch, self.score_rules, "package")


class _DropRepeats(beam.DoFn):
    """Groups of rows by picture, a popular one's by caption too, with the verdicts on them: keeps each picture and
    caption once, and drops what repeats a better picture or one of an earlier run. Yields (part, table)."""

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        part, sides = group
        rows = combine(sides["rows"], JOINED, ["sha256", "pair_id"])
        found = combine(sides.get("verdicts", ()), VERDICTS)
        for batch in rows.to_batches():
            kept, rejected = apply_rules(batch, [DuplicateImageCaption(), RepeatedPicture(found)], "package")
            if kept.num_rows:
                yield part, pa.Table.from_batches([kept.select(JOINED.names)])
            yield from reject(rejected)


def _with_images(pairs: pa.Table, images: pa.Table) -> pa.Table:
    """JOINED columns and the fetch's status for every pair; ``not_fetched`` where no answer is known."""
    place = pc.index_in(pairs.column("url"), value_set=images.column("url").combine_chunks())
    found = images.take(place)
    columns = {name: pairs.column(name) for name in SELECTED.names}
    for field in JOINED:
        if field.name == "scores":
            columns["scores"] = pa.nulls(pairs.num_rows, field.type)
        elif field.name not in columns:
            columns[field.name] = found.column(field.name.removeprefix("image_"))
    columns["status"] = pc.fill_null(found.column("status"), "not_fetched")
    columns["error_message"] = found.column("error_message")
    return pa.table(columns).combine_chunks()
