"""Draws the pictures that are kept apart for evaluation, whole groups of near ones (see dedup/holdout.py).

In: joined/. Out: held_out/ (HELD). The settings package.holdout, holdout_distance and holdout_altered, and ``seed``
decide. With a distance of -1 a picture is drawn by its content alone, when the shards are written, and there is no such
step, nor where package.holdout_list names them.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.dedup.copies import links_of_copies, sketched
from pipeline.dedup.holdout import HELD, LINKS, links, returned
from pipeline.dedup.pictures import PICTURES, VERDICTS, by_content, by_key, each_once, keyed, settled
from pipeline.hashing import from_hex
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import read_table, rows_in, write_manifest
from pipeline.keeping.step import Context, Step, counted
from pipeline.stages.copies import FindCopies
from pipeline.stages.join import JOINED_A_PART, PICTURE_COLUMNS, ROWS_RATIO, FindRepeats, by_verdict, key_rows
from pipeline.tables.batches import combine
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.outputs import parts_for
from pipeline.tables.progress import ReportRows, reported
from pipeline.tables.schema import JOINED
from pipeline.tables.sink import WriteTable, write_part
from pipeline.tables.source import ReadTable
from pipeline.write.placing import is_holdout
from webimagetext.hashing import mix

__all__ = ["step"]

NAME = "hold out pictures"
ROWS = pa.schema([JOINED.field(name) for name in PICTURE_COLUMNS])
DRAWN, SKETCHES = "drawn", "sketches"


def step(run: RunFolder, config: RunConfig) -> Step | None:
    """The stage, for a run with these settings; None where nothing is kept apart, or by contents alone."""
    package = config.package
    if not package.holdout or package.holdout_distance < 0 or package.holdout_list:
        return None
    return Step(
        name=NAME,
        verb="package",
        output=run.held_out,
        owned=(run.drawn_holdout,),
        settings={
            "holdout": package.holdout,
            "holdout_distance": package.holdout_distance,
            "holdout_altered": package.holdout_altered,
            "seed": config.seed,
        },
        tables=(run.joined,),
        work=_work,
        result=lambda _: counted(run.held_out, "pictures are kept apart"),
    )


def _work(context: Context) -> None:
    run = context.run
    total = rows_in(run.joined) + key_rows([run.joined], context.config.package.holdout_distance)
    build = partial(draw, run=run, config=context.config)
    context.engine.run(NAME, build, total=total, unit="rows")
    drawn = read_table(f"{run.drawn_holdout}/pictures", HELD).column("content").to_numpy()
    back = returned(read_table(f"{run.drawn_holdout}/links", LINKS))
    held = pa.table([np.setdiff1d(drawn, back)], schema=HELD)
    write_manifest(run.held_out, [write_part(run.held_out, part_name(0), held)])


def draw(root: beam.Pipeline, run: RunFolder, config: RunConfig) -> None:
    """Joined pictures -> those that are drawn, and the links between them."""
    distance, altered, rows = config.package.holdout_distance, config.package.holdout_altered, rows_in(run.joined)
    read = root | "Read pictures" >> ReadTable(run.joined, PICTURE_COLUMNS)
    sides = {
        "rows": reported(read, run, NAME) | "Each once" >> beam.Map(each_once).with_output_types(pa.RecordBatch),
        "verdicts": root | "Find near" >> FindRepeats([run.joined], [], distance, altered, ReportRows(run, NAME)),
    }
    keys, schemas = {"rows": by_content, "verdicts": by_verdict}, {"rows": ROWS, "verdicts": VERDICTS}
    met = sides | "By picture" >> Meet(keys, parts_for(rows, JOINED_A_PART), schemas)
    outputs = met | "Draw" >> beam.ParDo(_Draw(config)).with_outputs(DRAWN, SKETCHES, main="keyed")
    for output in (outputs.keyed, outputs[DRAWN], outputs[SKETCHES]):
        output.element_type = pa.RecordBatch
    parts = parts_for(key_rows([run.joined], distance) // ROWS_RATIO, JOINED_A_PART)
    groups = outputs.keyed | "By key" >> Gather(by_key, parts, PICTURES, [])
    found = groups | "Link" >> beam.Map(lambda group, bits: links(group[1], bits), distance)
    found.element_type = pa.RecordBatch
    if altered:
        copies = outputs[SKETCHES] | "Find copies" >> FindCopies(rows)
        further = copies | "Link copies" >> beam.Map(links_of_copies).with_output_types(pa.RecordBatch)
        found = (found, further) | "All links" >> beam.Flatten()
    outputs[DRAWN] | "Write drawn" >> WriteTable(f"{run.drawn_holdout}/pictures", HELD, _by_held, ["content"])
    found | "Write links" >> WriteTable(f"{run.drawn_holdout}/links", LINKS, _by_held, ["content", "other"])


def _by_held(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("content").to_numpy())


class _Draw(beam.DoFn):
    """Pictures with the verdicts on them, gathered by content: yields the rows of their keys (PICTURES, the drawn ones
    as ``earlier``), under the tag "drawn" the drawn ones (HELD), and under "sketches", where altered copies are looked
    for, all of them (SKETCHED)."""

    def __init__(self, config: RunConfig) -> None:
        self.share, self.seed = config.package.holdout, config.seed
        self.distance, self.altered = config.package.holdout_distance, config.package.holdout_altered

    def process(self, group: tuple[int, dict[str, Iterable[pa.RecordBatch]]]) -> Iterator[object]:
        _, sides = group
        found = settled(combine(sides["verdicts"], VERDICTS))
        best = dict(zip(*(found.column(name).to_pylist() for name in ("content", "keeper")), strict=True))
        for batch in combine(sides["rows"], ROWS).to_batches():
            contents = from_hex(batch.column("sha256"))
            stands_for = pa.array([f"{best.get(content, content):016x}" for content in contents.tolist()])
            drawn = is_holdout(stands_for, self.share, self.seed)
            for rows, is_drawn in ((batch.filter(drawn), True), (batch.filter(pc.invert(drawn)), False)):
                yield keyed(rows, self.distance, with_contents=False, earlier=is_drawn)
                if self.altered:
                    yield beam.pvalue.TaggedOutput(SKETCHES, sketched(rows, is_drawn))
            held = pa.array(np.unique(contents[np.asarray(drawn)]), pa.uint64())
            yield beam.pvalue.TaggedOutput(DRAWN, pa.RecordBatch.from_arrays([held], schema=HELD))
