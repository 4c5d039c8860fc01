"""What the finished shards are made of, for people: numbers, samples of pictures and of rejects.

In: a run folder whose shards are written. Out: a :class:`Summary`. One pass over the shards' Parquet files and one over
the ledgers, batch by batch, so memory does not grow with the run.
"""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.audit.funnel import ledger_files, parquet_batches
from pipeline.audit.queries import asked_facts, read_single, shortfall_facts
from pipeline.balance.plan import read_t
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import CAPTION_SUFFIX, IMAGE_SUFFIXES, METADATA_SUFFIX, RunFolder
from pipeline.keeping.manifest import Entry, file_batches, open_proved, read_manifest
from pipeline.write.shards import PICTURE_COLUMN
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["Queries", "Sample", "Summary", "summarise"]

SAMPLE_PICTURES = 24
SAMPLE_REJECTS = 4  # of each reason
THUMBNAIL_PIXELS = 192
TOP = 20
SIDE_EDGES = (0, 128, 256, 512, 1024, 2048, 4096)  # pixels, of the smaller side
HOST = r"^[a-z]+://(?P<host>[^/?#]+)"
REJECT_COLUMNS = ["subject", "stage", "reason", "url", "detail"]
COLUMNS = ["url", "caption", "original_width", "original_height", "page_language", "p_english", "consent", "source"]


@dataclass(frozen=True)
class Sample:
    """A pair for people to look at; ``thumbnail`` is a small JPEG."""

    key: str
    caption: str
    page_url: str
    queries: tuple[str, ...]
    thumbnail: bytes


@dataclass(frozen=True)
class Queries:
    """The queries that have a match, by falling ``matched``: names and two arrays of int64; and how many have none."""

    names: pa.Array
    matched: npt.NDArray[np.int64]
    selected: npt.NDArray[np.int64]
    without_match: int


@dataclass
class Summary:
    """The counters map a value to a number of pairs."""

    pairs: int = 0
    tars: bool = True  # whether the pictures lie in tars; else in the Parquet files
    caption_characters: int = 0
    hosts: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    consent: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    sides: Counter[str] = field(default_factory=Counter)
    english: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    rejects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # reason: rows of the ledger
    queries: Queries | None = None
    shortfall: dict[str, Any] | None = None  # of queries, see queries.py
    asked: dict[str, Any] | None = None  # of the balance, see queries.py


def summarise(run: RunFolder) -> Summary:
    """Reads the shards, the ledgers and the queries' counts. Raises UserError when the shards have not been written."""
    result = Summary()
    for folder in (run.shards, run.holdout):
        for batch in parquet_batches(folder, COLUMNS):
            _add(result, batch)
    entries = read_manifest(run.shards).to_pylist()
    result.tars = any(entry["file"].endswith(".tar") for entry in entries)
    result.samples = _samples(run.shards, entries, result.tars)
    result.rejects = _rejected(run)
    if (counts := read_single(run, run.counts, run.selected)) is not None:
        result.queries = _queries(counts)
    if (t := read_t(run)) is not None:
        result.shortfall, result.asked = shortfall_facts(run, t), asked_facts(run)
    return result


def _tally(counter: Counter[str], column: pa.Array, missing: str) -> None:
    for entry in pc.value_counts(pc.fill_null(column, missing)).to_pylist():
        counter[entry["values"] or missing] += entry["counts"]


def _edges(values: npt.NDArray[Any], edges: tuple[float, ...], form: str) -> Counter[str]:
    """A histogram of ``values``, with each bin worded by ``form`` from its lower and upper edge."""
    counts, _ = np.histogram(values, [*edges, np.inf])
    uppers = [*edges[1:], None]
    words = [
        form.format(low, high) if high is not None else f"{low:,} and more"
        for low, high in zip(edges, uppers, strict=True)
    ]
    return Counter(dict(zip(words, counts.tolist(), strict=True)))


def _add(result: Summary, batch: pa.RecordBatch) -> None:
    result.pairs += batch.num_rows
    result.caption_characters += pc.sum(pc.utf8_length(batch.column("caption"))).as_py() or 0
    _tally(result.hosts, pc.struct_field(pc.extract_regex(batch.column("url"), HOST), "host"), "(unreadable address)")
    _tally(result.languages, pc.utf8_lower(batch.column("page_language")), "not stated")
    _tally(result.consent, batch.column("consent"), "nothing stated")
    _tally(result.sources, batch.column("source"), "not stated")
    sides = pc.min_element_wise(batch.column("original_width"), batch.column("original_height"))
    result.sides.update(_edges(pc.drop_null(sides).to_numpy(False), SIDE_EDGES, "{:,} to {:,}"))
    english = pc.drop_null(batch.column("p_english")).to_numpy(False)
    result.english.update(_edges(np.floor(english * 10).clip(0, 9), tuple(range(10)), "{} to {}"))


def _samples(folder: str, entries: list[Entry], tars: bool) -> list[Sample]:
    """The first pairs of the first shards: shards are shuffled, so these are a fair sample."""
    found: list[Sample] = []
    ending, read = (".tar", _from_tar) if tars else (".parquet", _from_parquet)
    for entry in entries:
        if len(found) >= SAMPLE_PICTURES:
            break
        if entry["file"].endswith(ending):
            with open_proved(folder, entry) as stream:
                try:
                    found += read(stream, SAMPLE_PICTURES - len(found))
                except (*UNREADABLE, tarfile.TarError, SyntaxError) as error:
                    raise damaged(folder, entry["file"], f"a sample of it cannot be read: {error}") from None
    return found


def _sample(row: dict[str, Any], picture: bytes) -> Sample:
    queries = tuple(row["queries"] or ())
    return Sample(row["key"], row["caption"], row["page_url"] or "", queries, _thumbnail(picture))


def _from_parquet(stream: IO[bytes], count: int) -> list[Sample]:
    """The first pairs of a file that holds the pictures' bytes."""
    columns = ["key", "caption", "page_url", "queries", PICTURE_COLUMN]
    rows = next(open_parquet(stream).iter_batches(count, columns=columns), None)
    return [_sample(row, row[PICTURE_COLUMN]["bytes"]) for row in (rows.to_pylist() if rows is not None else ())]


def _from_tar(stream: IO[bytes], count: int) -> list[Sample]:
    found: list[Sample] = []
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None, f"{member.name} is not a file"
            members["." + member.name.split(".", 1)[1]] = content.read()
            picture = next((members[suffix] for suffix in IMAGE_SUFFIXES if suffix in members), None)
            if picture is not None and {CAPTION_SUFFIX, METADATA_SUFFIX} <= members.keys():
                found.append(_sample(json.loads(members[METADATA_SUFFIX]), picture))
                members = {}
                if len(found) == count:
                    break
    return found


def _thumbnail(image: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(image)) as picture:
        picture.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        small = picture.convert("RGB")
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        target = io.BytesIO()
        small.save(target, "JPEG", quality=80)
    return target.getvalue()


def _rejected(run: RunFolder) -> dict[str, list[dict[str, Any]]]:
    """A few ledger rows of each reason, the earliest by the ledgers' order, which is by key. Of a file whose reasons
    are known well enough the reasons alone are read."""
    found: dict[str, list[dict[str, Any]]] = {}
    for folder, entry in ledger_files(run):
        reasons = {
            reason
            for batch in file_batches(folder, entry, ["reason"])
            for reason in pc.unique(batch.column("reason")).to_pylist()
        }
        if any(len(found.get(reason, ())) < SAMPLE_REJECTS for reason in reasons):
            _add_rejected(found, file_batches(folder, entry, REJECT_COLUMNS))
    return found


def _add_rejected(found: dict[str, list[dict[str, Any]]], ledger: Iterable[pa.RecordBatch]) -> None:
    for batch in ledger:
        for reason in pc.unique(batch.column("reason")).to_pylist():
            rows = found.setdefault(reason, [])
            if len(rows) < SAMPLE_REJECTS:
                matching = batch.filter(pc.equal(batch.column("reason"), reason))
                rows += matching.slice(0, SAMPLE_REJECTS - len(rows)).to_pylist()


def _queries(table: pa.Table) -> Queries:
    order = pc.sort_indices(table, [("matched", "descending"), ("query", "ascending")])
    held = table.take(order).filter(pc.greater(pc.take(table.column("matched"), order), 0)).combine_chunks()
    return Queries(
        held.column("query").combine_chunks(),
        held.column("matched").to_numpy().astype(np.int64),
        held.column("selected").to_numpy().astype(np.int64),
        table.num_rows - held.num_rows,
    )
