"""Archives and URL lists: one Beam graph over the input files, each of which is one unit of work with its own files.

Candidates and rejects become tables; images that an archive holds go into the image store as if they had been fetched, so that
nobody is asked for them. A file whose tables are there is not read again after a kill.
"""

from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.fetch.part import facts_of, finish_part, open_spool
from pipeline.fetch.spool import Spool
from pipeline.hashing import hash64
from pipeline.image.process import process
from pipeline.layout import RunFolder, key_of, part_name
from pipeline.manifest import Entry, entry_of_table
from pipeline.read.tables import Body, Extracted
from pipeline.read.url_list import read_url_list
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat
from pipeline.schema import CANDIDATES, REJECTS
from pipeline.tables.sink import WriteManifest, write_part
from pipeline.watch import Beacon
from webimagetext import files

__all__ = ["read_archives", "source_folder"]

IMAGES = "images"
# The tables a file gives, in this order: the last one is its marker.
TABLES = {"rejects": REJECTS, "candidates": CANDIDATES}
MARKER = "candidates"


def source_folder(run: RunFolder, table: str) -> str:
    """The folder of one table (a key of TABLES) of all input files."""
    return run.path("sources", table)


def read_archives(
    root: beam.Pipeline, paths: Sequence[str], run: RunFolder, config: RunConfig, earlier: Sequence[Entry], name: str
) -> None:
    """Input files -> candidates, rejects, and parts of the image store; ``earlier`` are the store's parts so far."""
    numbered = root | "Name files" >> beam.Create(list(enumerate(paths)), reshuffle=False)
    spread = numbered | "Spread files" >> beam.Reshuffle()
    entries = spread | "Read file" >> beam.ParDo(_ReadInput(run, config, name)).with_outputs(*TABLES, IMAGES)
    for table in TABLES:
        entries[table] | f"Manifest of {table}" >> WriteManifest(source_folder(run, table))
    kept = root | "Earlier parts" >> beam.Create(list(earlier), reshuffle=False)
    (entries[IMAGES], kept) | "All parts" >> beam.Flatten() | "Manifest of images" >> WriteManifest(run.images)


class _ReadInput(beam.DoFn):
    """Reads one input file and writes what it holds."""

    def __init__(self, run: RunFolder, config: RunConfig, name: str) -> None:
        self.run, self.config, self.name = run, config, name

    def process(self, item: tuple[int, str]) -> Iterator[object]:
        number, path = item
        name, images = part_name(number), f"archive-{key_of(hash64(path))}"
        if not files.exists(files.join(source_folder(self.run, MARKER), name)):
            self._read(path, name, images)
        beacon = Beacon(self.run, self.name)
        beacon.advance(note=path)
        beacon.flush()
        for table in TABLES:
            yield beam.pvalue.TaggedOutput(table, entry_of_table(source_folder(self.run, table), name))
        if files.exists(files.join(self.run.images, f"{images}.parquet")):
            yield beam.pvalue.TaggedOutput(IMAGES, entry_of_table(self.run.images, f"{images}.parquet"))

    def _read(self, path: str, name: str, images: str) -> None:
        candidates, rejects = [], []
        urls: dict[str, None] = {}  # in the order of the archive
        with open_spool(self.run.images, images, self.config.image) as spool:
            for piece in self._pieces(path):
                candidates.append(piece.candidates)
                rejects.append(piece.rejects)
                for body in piece.bodies:
                    urls[body.url] = None
                    if body.url not in spool:
                        self._store(spool, body)
            if urls:
                finish_part(self.run.images, images, list(urls), spool, "not_an_image")
            else:
                spool.delete()
        for table, batches in (("rejects", rejects), ("candidates", candidates)):
            write_part(source_folder(self.run, table), name, pa.Table.from_batches(batches, schema=TABLES[table]))

    def _pieces(self, path: str) -> Iterator[Extracted]:
        extract, http = self.config.extract, self.config.http
        if extract.source == "warc":
            return read_warc(path, extract, http)
        if extract.source == "wat":
            return read_wat(path, extract, http)
        return read_url_list(path, extract)

    def _store(self, spool: Spool, body: Body) -> None:
        result = process(body.body, self.config.image)
        more = {"consent": body.consent, "consent_evidence": body.consent_evidence}
        facts = facts_of(body.url, result, **more)
        spool.add(facts, getattr(result, "data", b""))
