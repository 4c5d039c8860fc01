"""The candidates that a plan goes by: of places in the input files, or of what a run folder has.

In: the configuration, and how many rows to look at, about. Out: :class:`Sample`: candidate pairs, each with the place
that it is from, and how much of all inputs the places are. Nothing is asked of the network but the inputs themselves.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.dedup.exact import DuplicatePair
from pipeline.dedup.texts import SiteTexts
from pipeline.hashing import hash64
from pipeline.keeping.manifest import iter_batches, read_manifest
from pipeline.planning.spots import SPOTS, Spot, Stratum, cut, strata_of
from pipeline.read.inputs import expand_inputs
from pipeline.read.pieces import CUT, PIECE_BYTES, Piece
from pipeline.read.sources import read_input
from pipeline.read.tables import Extracted
from pipeline.tables.schema import CANDIDATES
from webimagetext.errors import UserError

__all__ = ["GROUPS", "Sample", "sample_inputs", "sample_tables"]

GROUPS = 10  # of places, of which each is left out once to see how far the figures hang on it
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Candidates (CANDIDATES) with, for each, its ``stratum`` and its ``group`` of places; ``looked`` are the bytes, or
    rows, of each stratum (first axis) and group that were looked at, ``total`` those that there are. ``held`` are the
    addresses that the archives looked at answer for, and ``pictures`` how many of these answers are pictures."""

    candidates: pa.Table
    stratum: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    looked: Floats
    total: Floats
    units: int  # files, or pieces of them, that workers may read at a time
    bytes: float = 0.0
    held: frozenset[str] = frozenset()
    pictures: int = 0
    only_beginnings: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all there is was looked at."""
        return bool((self.looked.sum(axis=1) >= self.total).all())

    @property
    def share(self) -> float:
        """The share of all that was looked at."""
        return float(min(1.0, self.looked.sum() / max(self.total.sum(), 1.0)))

    def weights(self, without: int | None = None) -> Floats:
        """How many candidates of all inputs each one stands for; with one group left out, 0 for that one's."""
        groups = np.arange(GROUPS) != (-1 if without is None else without)
        looked = self.looked[:, groups].sum(axis=1)
        of_stratum = np.divide(self.total, looked, out=np.zeros_like(self.total), where=looked > 0)
        if without is None and self.is_whole:
            of_stratum[:] = 1.0
        return np.where(groups[self.group], of_stratum[self.stratum], 0.0)

    def only(self, kept: npt.NDArray[np.bool_]) -> "Sample":
        """The sample with these of its rows alone."""
        rows = self.candidates.filter(pa.array(kept))
        return replace(self, candidates=rows, stratum=self.stratum[kept], group=self.group[kept])


class _Gathered:
    """Rows of places as they are read."""

    def __init__(self, strata: int) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.stratum: list[Floats] = []
        self.group: list[npt.NDArray[np.int64]] = []
        self.looked = np.zeros((strata, GROUPS))

    def add(self, stratum: int, group: int, parts: int, batches: Sequence[pa.RecordBatch], stands_for: float) -> None:
        """A place's rows, in ``parts`` of groups that begin at ``group``."""
        rows = sum(batch.num_rows for batch in batches)
        self.batches += batches
        self.stratum.append(np.full(rows, stratum))
        self.group.append((group + np.arange(rows) * parts // max(rows, 1)) % GROUPS)
        for part in range(parts):
            self.looked[stratum, (group + part) % GROUPS] += stands_for / parts

    def sample(self, total: Floats, units: int) -> Sample:
        """All of them."""
        rows = pa.Table.from_batches(self.batches, schema=CANDIDATES)
        stratum, group = (
            np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64) for parts in (self.stratum, self.group)
        )
        return Sample(rows, stratum, group, self.looked, total, units)


def sample_inputs(config: RunConfig, rows: int) -> Sample:
    """Reads about ``rows`` rows of the input files. Raises UserError as extraction does, and where only a reader of
    one's own knows what a file holds."""
    extract = config.extract
    if extract.reader:
        problem = "extract.reader: how many rows a reader of your own gives is not known before it has read all"
        raise UserError(problem, "run `pipeline extract` first, and give its run folder as --output")
    if extract.source == "crawl_index":
        problem = "extract.source = crawl_index: how many of an index's rows are wanted is not known before it is read"
        raise UserError(problem, "run `pipeline extract` first, and give its run folder as --output")
    paths = expand_inputs(extract)
    strata = strata_of(paths, rows, extract.source != "url_list")
    gathered, beginnings = _Gathered(len(strata)), False
    held, pictures = set[str](), set[str]()
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        for number, stratum in enumerate(strata):
            parts = max(1, GROUPS // max(1, len(stratum.spots)))
            for place, spot in enumerate(stratum.spots):
                found, stands_for = _read(spot, folder, config)
                pictures.update(body.url for one in found for body in one.bodies)
                held.update(each.url for one in found for each in one.held)
                batches = [one.candidates for one in found]
                gathered.add(number, place * parts, parts, batches, stands_for)
            beginnings |= _is_cut_off(stratum)
    total = np.array([stratum.bytes for stratum in strata])
    units = sum(_units(stratum) for stratum in strata)
    sample = replace(
        gathered.sample(total, units),
        bytes=float(total.sum()),
        held=frozenset(held | pictures),
        pictures=len(pictures),
        only_beginnings=beginnings,
    )
    return _each_once(sample, config)


def _is_cut_off(stratum: Stratum) -> bool:
    return any(not spot.is_whole for spot in stratum.spots) and all(spot.start == 0 for spot in stratum.spots)


def _units(stratum: Stratum) -> int:
    """The pieces that workers read one each."""
    return max(stratum.files, int(stratum.bytes / PIECE_BYTES) if stratum.form.endswith(CUT) else 0)


def _read(spot: Spot, folder: str, config: RunConfig) -> tuple[list[Extracted], float]:
    """What the place holds, and how many bytes it stands for."""
    path, stands_for = cut(spot, folder, config.extract)
    try:
        return list(read_input(Piece(path), config.extract, config.http)), stands_for
    except UserError as error:
        raise UserError(error.problem.replace(path, spot.path), error.remedy) from None


def sample_tables(folders: Sequence[str], rows: int, config: RunConfig, grown: float = 1.0) -> Sample:
    """About ``rows`` rows of tables of candidates in a run folder, which are to become ``grown`` times as many."""
    entries = [
        (folder, str(entry["file"]), int(entry["rows"]))
        for folder in folders
        for entry in read_manifest(folder).to_pylist()
    ]
    in_all = sum(count for _, _, count in entries)
    looked_at = sorted((entry for entry in entries if entry[2]), key=lambda entry: hash64(f"{entry[0]} {entry[1]}"))
    if in_all > rows:
        looked_at = looked_at[:SPOTS]
    each = max(1, rows // max(1, len(looked_at))) if in_all > rows else in_all
    gathered = _Gathered(1)
    parts = max(1, GROUPS // max(1, len(looked_at)))
    for place, (folder, name, count) in enumerate(looked_at):
        batches, left = [], min(each, count)
        for batch in iter_batches(folder, names=[name]):
            batches.append(batch.slice(0, left))
            left -= batches[-1].num_rows
            if not left:
                break
        gathered.add(0, place * parts, parts, batches, float(min(each, count)))
    return _each_once(gathered.sample(np.array([in_all * grown]), len(entries)), config)


def _each_once(sample: Sample, config: RunConfig) -> Sample:
    """The sample as extraction would collect it: each pair once, of one picture of a site but a few."""
    rules = SiteTexts(config.extract.max_texts, config.extract.max_image_pages), DuplicatePair()
    for rule in rules:
        if sample.candidates.num_rows:
            reasons, _ = rule(sample.candidates)
            sample = sample.only(np.asarray(reasons.is_null()))
    return sample
