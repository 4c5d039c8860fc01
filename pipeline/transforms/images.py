"""Selected pairs to images and shards: fetching by host, joining pairs with their images, duplicates, shards."""

from collections.abc import Iterable, Iterator
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.dedup.evaluation import EVALUATION, EvaluationPicture, EvaluationSet
from pipeline.dedup.exact import DuplicateImageCaption
from pipeline.dedup.pictures import VERDICTS, RepeatedPicture
from pipeline.engines.throttling import Throttled
from pipeline.engines.watching import Beacon
from pipeline.fetch.bucket import NOT_REACHED, fetch_bucket
from pipeline.fetch.decided import holds
from pipeline.fetch.retry import best_rows, retry_failed
from pipeline.hashing import hash64, hash_strings
from pipeline.image.hooks import edit_pictures, load_edits, load_scorers, score_pictures, score_rules
from pipeline.image.rules import image_rules
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.keeping.manifest import Entry, entry_of, read_table
from pipeline.match.matcher import Matcher
from pipeline.tables.batches import combine
from pipeline.tables.ledger import apply_rules, ledger
from pipeline.tables.outputs import reject
from pipeline.tables.schema import FETCH_PLAN, IMAGES, JOINED, SCORES, SELECTED
from pipeline.write.placing import is_holdout, order, place
from pipeline.write.shards import write_shard
from pipeline.write.store import ImageReader

__all__ = [
    "DropRepeats",
    "FetchBucket",
    "JoinImages",
    "SplitHoldout",
    "WriteShard",
    "by_place",
    "by_url",
    "known_rows",
    "wanted_rows",
]

URLS_A_PART = 10_000  # images of one tar in the store
SUCCESS = "success"


def by_url(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys rows by their URL."""
    return hash_strings(batch.column("url"))


def by_place(batch: pa.RecordBatch, seed: int, shards: int) -> npt.NDArray[np.uint64]:
    """Keys rows by their shard."""
    return place(batch.column("pair_id").to_numpy(), seed, shards).astype(np.uint64)


def wanted_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Selected pairs as rows of FETCH_PLAN."""
    return pa.RecordBatch.from_arrays([batch.column("url"), pa.repeat(False, batch.num_rows)], schema=FETCH_PLAN)


def known_rows(batch: pa.RecordBatch, config: RunConfig) -> pa.RecordBatch:
    """Answers of the image store as rows of FETCH_PLAN: what need not be asked for.

    Left out, so that they are asked again, are URLs whose turn did not come, answers that hang on settings that have changed, and,
    if ``fetch.retry_failed``, the failures that may pass.
    """
    open_urls = retry_failed(batch) if config.fetch.retry_failed else []
    known = pc.and_(
        pc.and_(pc.not_equal(batch.column("status"), NOT_REACHED), holds(batch, config.http, config.image)),
        pc.invert(pc.is_in(batch.column("url"), value_set=pa.array(open_urls, pa.string()))),
    )
    urls = batch.column("url").filter(known)
    return pa.RecordBatch.from_arrays([urls, pa.repeat(True, len(urls))], schema=FETCH_PLAN)


class FetchBucket(beam.DoFn):
    """Fetches what a bucket of hosts wants and the store does not know; yields the manifest rows of the parts written."""

    def __init__(self, run: RunFolder, config: RunConfig, earlier_parts: int, name: str) -> None:
        self.run, self.config, self.earlier_parts, self.name = run, config, earlier_parts, name

    def process(self, group: tuple[int, pa.Table]) -> Iterator[Entry]:
        bucket, table = group
        known = pc.unique(table.filter(table.column("known")).column("url"))
        wanted = pc.unique(table.column("url"))
        urls = sorted(wanted.filter(pc.invert(pc.is_in(wanted, value_set=known))).to_pylist())
        beacon = Beacon(self.run, self.name)
        for start in range(0, len(urls), URLS_A_PART):
            chunk = urls[start : start + URLS_A_PART]
            # Named by its contents, so that a run that was killed finds the parts it had finished, and by what the store held
            # before, so that a later round for the same URLs gets a part of its own.
            identity = "\n".join([str(self.earlier_parts), *chunk])
            part = f"{bucket:05d}-{key_of(hash64(identity))}"
            config = self.config
            rows = fetch_bucket(
                chunk, self.run.images, part, config.http, config.image, beacon, config.fetch, Throttled()
            )
            yield entry_of(self.run.images, f"{part}.parquet", rows.num_rows)
        beacon.flush()


class JoinImages(beam.DoFn):
    """Gives each pair its image's metadata and applies the image rules; pairs without a good image are rejected."""

    def __init__(self, run: RunFolder, config: RunConfig) -> None:
        self.run, self.config = run, config

    def setup(self) -> None:
        package = self.config.package
        self.rules = image_rules(package.rules)
        if package.evaluation_sets:
            known = EvaluationSet.of(read_table(self.run.evaluation, EVALUATION))
            self.rules.append(EvaluationPicture(known, package.evaluation_distance))
        self.scorers = load_scorers(package.hooks)
        self.score_rules = score_rules(package.hooks)

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        part, sides = group
        pairs = combine(sides["pairs"], SELECTED, ["pair_id"])
        answers = combine(sides["images"], IMAGES, ["url", "file", "status", "error_message"])
        images = best_rows(answers.filter(holds(answers, self.config.http, self.config.image)))
        for batch in _with_images(pairs, images).to_batches():
            status = batch.column("status")
            failed = pc.not_equal(status, SUCCESS)
            if pc.any(failed).as_py():
                yield from reject([ledger(batch.filter(failed), status.filter(failed), "package", "error_message")])
            kept, rejected = apply_rules(
                batch.filter(pc.invert(failed)).select(JOINED.names).cast(JOINED), self.rules, "package"
            )
            if self.scorers:
                kept, low = self._scored(kept)
                rejected += low
            if kept.num_rows:
                yield part, pa.Table.from_batches([kept.select(JOINED.names)])
            yield from reject(rejected)

    def _scored(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
        """The rows with their scores, and the ledger of those whose scores are out of range."""
        size, found = self.config.package.hooks.batch_size, []
        with ImageReader(self.run.images) as reader:
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                places = [part.column(name).to_pylist() for name in ("file", "offset", "length")]
                pictures = reader.read(list(zip(*places, strict=True)))
                found.append(score_pictures(pictures, part.column("caption").to_pylist(), self.scorers))
        scores = pa.concat_arrays(found) if found else pa.array([], SCORES)
        batch = batch.set_column(batch.schema.get_field_index("scores"), JOINED.field("scores"), scores)
        return apply_rules(batch, self.score_rules, "package")


class DropRepeats(beam.DoFn):
    """Groups of rows by picture, with the verdicts on them: keeps each picture and caption once, and drops what repeats a better
    picture or one of an earlier run. Yields (part, table)."""

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        part, sides = group
        rows = combine(sides["rows"], JOINED, ["sha256", "pair_id"])
        found = combine(sides.get("verdicts", ()), VERDICTS)
        for batch in rows.to_batches():
            kept, rejected = apply_rules(batch, [DuplicateImageCaption(), RepeatedPicture(found)], "package")
            if kept.num_rows:
                yield part, pa.Table.from_batches([kept.select(JOINED.names)])
            yield from reject(rejected)


class SplitHoldout(beam.DoFn):
    """Two outputs: pairs for the shards, and under the tag "holdout" those whose picture is kept apart for evaluation."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        apart = is_holdout(batch.column("sha256"), self.config.package.holdout, self.config.seed)
        yield batch.filter(pc.invert(apart))
        yield beam.pvalue.TaggedOutput("holdout", batch.filter(apart))


class WriteShard(beam.DoFn):
    """Writes one shard from its rows and the image store; yields the manifest rows of its files."""

    def __init__(self, run: RunFolder, folder: str, config: RunConfig, automaton: str, name: str) -> None:
        self.run, self.folder, self.config, self.automaton, self.name = run, folder, config, automaton, name

    def setup(self) -> None:
        self.queries = Matcher(self.automaton).queries
        edits, quality = load_edits(self.config.package.hooks), self.config.image.quality
        self.edit = partial(edit_pictures, edits=edits, quality=quality) if edits else None
        self.beacon = Beacon(self.run, self.name)

    def process(self, group: tuple[int, pa.Table]) -> Iterator[Entry]:
        index, table = group
        rows = table.take(pa.array(order(table.column("pair_id").to_numpy(), self.config.seed)))
        yield from write_shard(
            self.folder, index, rows, self.run.images, self.queries, self.config.package.format, self.edit
        )
        self.beacon.advance(table.num_rows)
        self.beacon.flush()


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
