"""Writes the shards: each pair with its picture, well mixed by a seeded hash, and those held out for evaluation.

In: joined/, held_out/ and the image store. Out: shards/ and holdout/ with their indices. The settings [package] with
the code that it names, ``seed`` and the query list decide.
"""

from collections.abc import Iterator
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.dedup.holdout import HELD
from pipeline.engines.watching import Beacon
from pipeline.hashing import from_hex
from pipeline.image.hooks import edit_pictures, load_edits
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import Entry, read_manifest, read_table, rows_in, samples_in, write_manifest
from pipeline.keeping.step import Context, Step
from pipeline.match.matcher import Matcher
from pipeline.stages.match import automaton_of
from pipeline.tables.gather import Gather
from pipeline.tables.schema import JOINED
from pipeline.tables.sink import WriteManifest
from pipeline.tables.source import ReadTable
from pipeline.write.placing import is_holdout, order, place, read_contents, shard_count
from pipeline.write.shards import write_index, write_shard
from webimagetext.lookup import places_among

__all__ = ["WriteShards", "step"]
NAME = "write shards"


def step(run: RunFolder, config: RunConfig) -> Step:
    """The stage, for a run with these settings."""
    return Step(
        name="write shards",
        verb="package",
        output=run.shards,
        owned=(run.holdout,),
        settings={"package": config.package, "seed": config.seed},
        tables=(run.joined, *((run.held_out,) if _by_groups(config) else ())),
        documents=lambda: (config.queries,),
        work=_work,
        result=lambda _: f"{samples_in(run.shards):,} samples in shards, {samples_in(run.holdout):,} held out",
    )


def _by_groups(config: RunConfig) -> bool:
    """Whether the step before has drawn the pictures that are kept apart."""
    package = config.package
    return package.holdout > 0 and package.holdout_distance >= 0 and not package.holdout_list


def _work(context: Context) -> None:
    run = context.run
    build = partial(write_shards, run=run, config=context.config, automaton=automaton_of(context))
    context.engine.run(NAME, build, total=rows_in(run.joined), unit="samples")
    for folder in (run.shards, run.holdout):
        entries = read_manifest(folder).to_pylist()
        write_manifest(folder, [*entries, *write_index(folder, entries)])


def write_shards(root: beam.Pipeline, run: RunFolder, config: RunConfig, automaton: str) -> None:
    """Pairs with an image -> shards, well mixed by a seeded hash, and the shards held out for evaluation."""
    rows, share = rows_in(run.joined), config.package.holdout
    pairs = root | "Read joined" >> ReadTable(run.joined)
    sides = pairs | "Split hold-out" >> beam.ParDo(_SplitHoldout(run, config)).with_outputs("holdout", main="shards")
    for side, folder, expected in (("shards", run.shards, 1 - share), ("holdout", run.holdout, share)):
        count = shard_count(round(rows * expected), config.package.samples_per_shard)
        sides[side].element_type = pa.RecordBatch
        entries = sides[side] | f"Write {side}" >> WriteShards(run, folder, config, automaton, count)
        entries | f"Manifest of {side}" >> WriteManifest(folder)


class WriteShards(beam.PTransform):
    """Pairs with an image (JOINED) -> ``count`` shards in ``folder``; gives the manifest rows of their files."""

    def __init__(self, run: RunFolder, folder: str, config: RunConfig, automaton: str, count: int) -> None:
        super().__init__()
        self.work, self.count = _WriteShard(run, folder, config, automaton, NAME), count
        self.place = partial(by_place, seed=config.seed, shards=count)

    def expand(self, pairs: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Entry]:
        groups = pairs | "Place" >> Gather(self.place, self.count, JOINED, ["pair_id"])
        return groups | "Write each" >> beam.ParDo(self.work)


def by_place(batch: pa.RecordBatch, seed: int, shards: int) -> npt.NDArray[np.uint64]:
    """Keys rows by their shard."""
    return place(batch.column("pair_id").to_numpy(), seed, shards).astype(np.uint64)


class _SplitHoldout(beam.DoFn):
    """Two outputs: pairs for the shards, and under the tag "holdout" those whose picture is kept apart for
    evaluation."""

    def __init__(self, run: RunFolder, config: RunConfig) -> None:
        self.run, self.config = run, config

    def setup(self) -> None:
        self.held: npt.NDArray[np.uint64] | None = None
        if self.config.package.holdout_list:
            self.held = np.unique(read_contents(self.config.package.holdout_list))
        elif _by_groups(self.config):
            self.held = read_table(self.run.held_out, HELD).column("content").to_numpy()

    def process(self, batch: pa.RecordBatch) -> Iterator[object]:
        contents = batch.column("sha256")
        if self.held is None:
            apart = is_holdout(contents, self.config.package.holdout, self.config.seed)
        else:
            apart = pa.array(places_among(self.held, from_hex(contents)) >= 0)
        yield batch.filter(pc.invert(apart))
        yield beam.pvalue.TaggedOutput("holdout", batch.filter(apart))


class _WriteShard(beam.DoFn):
    """Writes one shard from its rows and the image store; yields the manifest rows of its files."""

    def __init__(self, run: RunFolder, folder: str, config: RunConfig, automaton: str, name: str) -> None:
        self.run, self.folder, self.config, self.automaton, self.name = run, folder, config, automaton, name

    def setup(self) -> None:
        self.queries = Matcher(self.automaton).queries
        edits = load_edits(self.config.package.hooks)
        self.edit = partial(edit_pictures, edits=edits, config=self.config.image) if edits else None
        self.beacon = Beacon(self.run, self.name)

    def process(self, group: tuple[int, pa.Table]) -> Iterator[Entry]:
        index, table = group
        rows = table.take(pa.array(order(table.column("pair_id").to_numpy(), self.config.seed)))
        yield from write_shard(
            self.folder, index, rows, self.run.images, self.queries, self.config.package.format, self.edit
        )
        self.beacon.advance(table.num_rows)
        self.beacon.flush()
