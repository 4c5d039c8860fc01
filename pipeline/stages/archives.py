"""Archives and URL lists: one Beam graph over the input files, each of which is one unit of work with its own files.

A large list is several units, its pieces. Candidates and rejects are written as they come; images that an archive
holds go into the image store as if they had been fetched, so that nobody is asked for them. What else it holds is
noted, and a second graph brings it together with the candidates of all files: an image for which the archive has an
answer that is no picture is a failure with a reason, and is not asked for either. A unit's files are named by what they
are made from, the input's content and the settings that decide: so inputs can be added, taken out, renamed and
reordered, and only what is new is read.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter

import apache_beam as beam
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.dedup.earlier import by_address
from pipeline.engines.watching import Beacon
from pipeline.fetch.decided import decided_by
from pipeline.fetch.part import ARCHIVE, entries_of_part, facts_of, finish_part, is_of_archive, open_spool
from pipeline.fetch.spool import Spool
from pipeline.fetch.store import claim_store
from pipeline.image.process import Rejected, process
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import Entry, entry_of_table, read_manifest, remove_unnamed, rows_in
from pipeline.keeping.step import Context
from pipeline.read.held import HELD, answers, by_target, held_table, redirected, redirects
from pipeline.read.inputs import expand_inputs
from pipeline.read.noted import note_inputs
from pipeline.read.pieces import Piece, pieces_of
from pipeline.read.sources import read_input
from pipeline.read.tables import Body, Held
from pipeline.removing.tombstones import in_force
from pipeline.tables.batches import combine
from pipeline.tables.gather import Meet
from pipeline.tables.listed import Listed
from pipeline.tables.outputs import parts_for
from pipeline.tables.progress import ReportRows
from pipeline.tables.schema import CANDIDATES, IMAGES, REJECTS
from pipeline.tables.sink import WriteManifest, every_file, open_part, write_part
from pipeline.tables.source import ReadTable
from webimagetext import files
from webimagetext.contents import identity
from webimagetext.deciding import deciding
from webimagetext.settings import fingerprint

__all__ = ["TABLES", "answer_from_archives", "read_archives", "read_files", "source_folder"]

STORED = "images"
# The tables a file gives, in this order: the last one is its marker.
TABLES = {"rejects": REJECTS, "held": HELD, "candidates": CANDIDATES}
MARKER = "candidates"
FIND = "find what the archives hold"
WANTED = pa.schema([CANDIDATES.field("url")])
HOPS = 2  # redirects after one another that are followed within the archives


def source_folder(run: RunFolder, table: str) -> str:
    """The folder of one table (a key of TABLES) of all input files."""
    return run.path("sources", table)


def read_files(context: Context) -> None:
    """Reads the files that are not read yet, and takes out what no longer comes from any."""
    run, config = context.run, context.config
    units = _units_of(expand_inputs(config.extract), config)
    claim_store(run, config.image)
    name = f"read {config.extract.source}"
    build = partial(read_archives, units=units, run=run, config=config, name=name)
    context.engine.run(name, build, total=len(units), unit="files", heavy=len(units) > 1)
    if config.extract.source == "warc" and config.extract.archive_images:
        build = partial(answer_from_archives, run=run, config=config)
        wanted = rows_in(source_folder(run, "candidates"))
        context.engine.run(FIND, build, total=wanted, unit="pairs")
    note_inputs(run, units)
    for path in _gave_nothing(run, units):
        print(f"warning: {path}: nothing is in it, neither a pair nor a row that could not be used", file=sys.stderr)
    _remove_unused(run)


def _gave_nothing(run: RunFolder, units: dict[str, Piece]) -> list[str]:
    """The input files of which no table has a row."""
    rows: Counter[str] = Counter()
    for table in TABLES:
        for entry in read_manifest(source_folder(run, table)).to_pylist():
            rows[entry["file"]] += entry["rows"]
    gave = {piece.path for unit, piece in units.items() if rows[f"part-{unit}.parquet"]}
    return sorted({piece.path for piece in units.values()} - gave)


def _units_of(paths: Sequence[str], config: RunConfig) -> dict[str, Piece]:
    """The input files, or their pieces, by a name for what is made from each; of files with the same content one is
    read."""
    settings = deciding([config.extract, config.http, config.image], of_a_unit=True)
    cut = config.extract.source in ("url_list", "crawl_index") and not config.extract.reader
    pieces = [piece for path in reversed(paths) for piece in (pieces_of(path) if cut else [Piece(path)])]
    return {fingerprint(settings, identity(piece.path), *piece.span)[:16]: piece for piece in pieces}


def _remove_unused(run: RunFolder) -> None:
    """Removes the units of inputs and settings that are no longer asked for, once what replaces them is whole."""
    for table in TABLES:
        remove_unnamed(source_folder(run, table))
    remove_unnamed(run.images, f"{ARCHIVE}*.parquet")
    for url in files.listing(f"{ARCHIVE}*.tar", run.images):
        if not files.exists(url.removesuffix(".tar") + ".parquet"):
            files.remove_file(url)


def read_archives(root: beam.Pipeline, units: dict[str, Piece], run: RunFolder, config: RunConfig, name: str) -> None:
    """Input files -> candidates, rejects, and parts of the image store."""
    named = root | "Name files" >> Listed(sorted(units.items(), key=itemgetter(0)))
    spread = named | "Spread files" >> beam.Reshuffle()
    entries = spread | "Read file" >> beam.ParDo(_ReadInput(run, config, name)).with_outputs(*TABLES, STORED)
    for table in TABLES:
        entries[table] | f"Manifest of {table}" >> WriteManifest(source_folder(run, table))
    entries[STORED] | "Manifest of images" >> WriteManifest(run.images, keep=_is_of_pages)


def _is_of_pages(file: str) -> bool:
    return not is_of_archive(file)


def answer_from_archives(root: beam.Pipeline, run: RunFolder, config: RunConfig) -> None:
    """Candidates, what the archives hold, and the image store so far -> a part of the store that answers for what is no
    picture."""
    candidates, held = source_folder(run, "candidates"), source_folder(run, "held")
    rows = rows_in(candidates) + rows_in(held) + rows_in(run.images)
    parts = parts_for(rows)
    answered = root | "Read held" >> ReadTable(held)
    images = root | "Read images" >> ReadTable(run.images)
    leading, led = answered | "Redirects" >> beam.FlatMap(redirects).with_output_types(pa.RecordBatch), []
    reached = images
    for hop in range(1, HOPS + 1):
        meeting = {"leading": leading, "images": reached} | f"By target {hop}" >> Meet(
            {"leading": by_target, "images": by_address}, parts, {"leading": HELD, "images": IMAGES}
        )
        led.append(meeting | f"Follow {hop}" >> beam.FlatMap(_follow).with_output_types(pa.RecordBatch))
        reached = (images, *led) | f"Reached after {hop}" >> beam.Flatten()
    sides = {
        "wanted": root | "Read candidates" >> ReadTable(candidates, ["url"]),
        "held": answered,
        "images": images,
        "led": tuple(led) | "Led to" >> beam.Flatten(),
    }
    schemas = {"wanted": WANTED, "held": HELD, "images": IMAGES, "led": IMAGES}
    met = sides | "By address" >> Meet(dict.fromkeys(sides, by_address), parts, schemas)
    met |= "Report" >> beam.ParDo(ReportRows(run, FIND, "wanted"))
    entries = met | "Answer" >> beam.FlatMap(_answer, run.images, config)
    entries | "Manifest of images" >> WriteManifest(run.images, keep=every_file)


def _follow(group: tuple[int, dict[str, list[pa.RecordBatch]]]) -> list[pa.RecordBatch]:
    """The pictures that redirects lead to, under the addresses of the redirects."""
    _, sides = group
    if not sides["leading"]:
        return []  # as in most archives: the pictures need not be looked at
    found = redirected(combine(sides["leading"], HELD), combine(sides["images"], IMAGES))
    batches: list[pa.RecordBatch] = found.combine_chunks().to_batches()
    return batches


def _answer(group: tuple[int, dict[str, list[pa.RecordBatch]]], folder: str, config: RunConfig) -> Iterator[Entry]:
    part, sides = group
    wanted = combine(sides["wanted"], WANTED)
    stored, led = (combine(sides[side], IMAGES) for side in ("images", "led"))
    found = answers(wanted, combine(sides["held"], HELD), stored, led)
    if found.num_rows:
        decided = [decided_by(status, config.http, config.image) for status in found.column("status").to_pylist()]
        place = found.schema.get_field_index("decided_by")
        found = found.set_column(place, IMAGES.field("decided_by"), pa.array(decided, pa.string()))
        yield write_part(folder, f"{ARCHIVE}held-{part:05d}.parquet", found)


class _ReadInput(beam.DoFn):
    """Reads one input file and writes what it holds."""

    def __init__(self, run: RunFolder, config: RunConfig, name: str) -> None:
        self.run, self.config, self.name = run, config, name

    def setup(self) -> None:
        self.beacon = Beacon(self.run, self.name)
        self.stones = in_force(self.run, self.config)

    def process(self, item: tuple[str, Piece]) -> Iterator[object]:
        unit, piece = item
        name, images = f"part-{unit}.parquet", f"{ARCHIVE}{unit}"
        if not files.exists(files.join(source_folder(self.run, MARKER), name)):
            self._read(piece, name, images)
        self.beacon.advance(note=piece.path)
        self.beacon.flush()
        for table in TABLES:
            yield beam.pvalue.TaggedOutput(table, entry_of_table(source_folder(self.run, table), name))
        if files.exists(files.join(self.run.images, f"{images}.parquet")):
            for entry in entries_of_part(self.run.images, images):
                yield beam.pvalue.TaggedOutput(STORED, entry)

    def _read(self, piece: Piece, name: str, images: str) -> None:
        held: list[Held] = []
        urls: dict[str, None] = {}  # in the order of the archive
        with (
            open_part(source_folder(self.run, "candidates"), name, CANDIDATES, safe=True) as candidates,
            open_part(source_folder(self.run, "rejects"), name, REJECTS, safe=True) as rejects,
            open_spool(self.run.images, images, self.config.image) as spool,
        ):
            for found in read_input(piece, self.config.extract, self.config.http):
                candidates.add(found.candidates)
                rejects.add(found.rejects)
                held += found.held
                for body in found.bodies:
                    if body.url in spool or (rejected := self._store(spool, body)) is None:
                        urls[body.url] = None
                    else:
                        held.append(rejected)
            if urls:
                finish_part(self.run.images, images, list(urls), spool, "not_an_image")
            else:
                spool.delete()
            write_part(source_folder(self.run, "held"), name, held_table(held), safe=True)

    def _store(self, spool: Spool, body: Body) -> Held | None:
        """Puts a picture into the journal; one that no decoder makes a picture of is given back as held."""
        result = process(body.body, self.config.image)
        if isinstance(result, Rejected):
            return Held(body.url, result.reason, result.detail)
        if self.stones and self.stones.why({"url": body.url, "sha256": result.sha256}):
            return Held(body.url, "removed", "")
        consent = {"consent": body.consent, "consent_evidence": body.consent_evidence}
        spool.add(facts_of(body.url, result, self.config.http, self.config.image, **consent), result.data)
        return None
