"""Pictures of evaluation sets that turn up in the data: so that a model is not tested on what it was trained on.

In: evaluation pictures as folders of image files or of shards, as tars, or as Parquet tables with columns sha256 and
phash, and sketch where altered copies are to be found too (such as our own shards'); then columns of fetched pictures.
Out: for each fetched picture the name of the evaluation picture it equals, is near to or is an altered copy of, or
null.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dedup.altered import AlteredIndex, pixels_of
from pipeline.dedup.near import band_keys, distances
from pipeline.hashing import hash_numbers
from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, process
from pipeline.keeping.folder import IMAGE_SUFFIXES
from pipeline.write.tar import read_members
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, read_parquet

__all__ = ["EVALUATION", "EvaluationPicture", "EvaluationSet", "evaluation_files", "fingerprint"]

UInt64 = npt.NDArray[np.uint64]
EVALUATION = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),  # file, or file#member, or file#row
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("phash", pa.uint64(), nullable=False),
        pa.field("sketch", pa.string()),  # null: of a table without it
    ]
)


def evaluation_files(paths: Iterable[str]) -> list[str]:
    """The files of evaluation sets: of a folder its pictures, its tars, and its Parquet tables.

    Where a table beside a tar has the columns sha256 and phash (a shard of ours), it stands for the tar, whose pictures
    are smaller copies. Raises UserError for a path without anything.
    """
    found = []
    for path in paths:
        if path.endswith((".parquet", ".tar")):
            found.append(path)
            continue
        if not files.exists(path):
            raise UserError(f"{path}: no such file or folder")
        inside = [name for name in files.listing("**", path) if not os.path.basename(name).startswith("_")]
        tables = [name for name in inside if name.endswith(".parquet") and _has_hashes(name)]
        stems = {name.removesuffix(".parquet") for name in tables}
        tars = [name for name in inside if name.endswith(".tar") and name.removesuffix(".tar") not in stems]
        pictures = [name for name in inside if name.lower().endswith(IMAGE_SUFFIXES)]
        if not tables + tars + pictures:
            raise _without_picture(path)
        found += sorted(tables + tars + pictures)
    return found


def _without_picture(path: str) -> UserError:
    return UserError(f"{path}: holds no picture to compare with", "give a folder, a tar or a Parquet table")


def _has_hashes(path: str) -> bool:
    with files.open_input(path) as stream:
        try:
            return {"sha256", "phash"} <= set(pq.read_schema(stream).names)
        except UNREADABLE as error:
            raise _damaged(path, error) from None


def _damaged(path: str, error: Exception) -> UserError:
    return UserError(f"{path}: is damaged: {' '.join(str(error).split())[:200]}", "get it again, or leave it out")


@dataclass(frozen=True)
class EvaluationSet:
    """The fingerprints of evaluation pictures, one entry a picture in each sequence; and the names of those that cannot
    be read."""

    names: tuple[str, ...]
    sha256: tuple[str, ...]
    phashes: UInt64
    sketches: tuple[str | None, ...] = ()
    unreadable: tuple[str, ...] = ()
    _sorted: dict[int, list[tuple[UInt64, npt.NDArray[np.int64]]]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _altered: dict[str, tuple[AlteredIndex, npt.NDArray[np.int64]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """The set in a table of schema EVALUATION."""
        phashes = table.column("phash").to_numpy().astype(np.uint64)
        names, contents, sketches = (tuple(table.column(name).to_pylist()) for name in ("name", "sha256", "sketch"))
        return cls(names, contents, phashes, sketches)

    def table(self) -> pa.Table:
        """The set as a table of schema EVALUATION."""
        sketches = self.sketches or (None,) * len(self.names)
        texts = [pa.array(column, pa.string()) for column in (self.names, self.sha256, sketches)]
        return pa.table([texts[0], texts[1], self.phashes, texts[2]], EVALUATION)

    @classmethod
    def read(cls, paths: Iterable[str]) -> Self:
        """Reads folders, tars and Parquet tables. Raises UserError for one without any picture."""
        names: list[str] = []
        contents: list[str] = []
        hashes: list[int] = []
        sketches: list[str | None] = []
        broken: list[str] = []
        for path in paths:
            before = len(names)
            for file in evaluation_files([path]):
                for name, sha256, phash, sketch in _fingerprints(file):
                    if sha256 is None:
                        broken.append(name)
                        continue
                    names.append(name)
                    contents.append(sha256)
                    hashes.append(phash)
                    sketches.append(sketch)
            if len(names) == before:
                raise _without_picture(path)
        phashes = np.array(hashes, dtype=np.uint64)
        return cls(tuple(names), tuple(contents), phashes, tuple(sketches), tuple(broken))

    def matches(self, sha256: pa.Array, phashes: pa.Array, distance: int) -> pa.Array:
        """For each picture the name of the evaluation picture with equal content, else of the nearest within
        ``distance`` bits.

        Equally near ones are decided by their order in the set. A negative distance compares contents alone. Null:
        none.
        """
        exact = dict(zip(reversed(self.sha256), reversed(self.names), strict=True))
        found = [exact.get(content) for content in sha256.to_pylist()]
        if distance >= 0 and self.names:
            known = np.flatnonzero(phashes.is_valid().to_numpy(zero_copy_only=False))
            values = phashes.drop_null().to_numpy(zero_copy_only=False)
            for row, index in zip(known.tolist(), self._nearest(values, distance).tolist(), strict=True):
                if found[row] is None and index >= 0:
                    found[row] = self.names[index]
        return pa.array(found, pa.string())

    def copies(self, sketches: pa.Array) -> pa.Array:
        """For each picture the name of the evaluation picture of which it is an altered copy, or that is one of it."""
        if "index" not in self._altered:
            pixels, rows = pixels_of(pa.array(self.sketches, pa.string()))
            self._altered["index"] = AlteredIndex(pixels), rows
        index, rows = self._altered["index"]
        pixels, ours = pixels_of(sketches)
        found: list[str | None] = [None] * len(sketches)
        for row, place in zip(ours.tolist(), index.find(pixels).tolist(), strict=True):
            if place >= 0:
                found[row] = self.names[rows[place]]
        return pa.array(found, pa.string())

    def _nearest(self, values: UInt64, distance: int) -> npt.NDArray[np.int64]:
        """The index of the nearest evaluation picture of each hash, -1 where none is within ``distance``."""
        best = np.full(len(values), (64 + 1) * len(self.names), dtype=np.int64)  # distance, then index, in one number
        ours = band_keys(values, distance)
        for band, (ranked, order) in enumerate(self._bands(distance)):
            first = np.searchsorted(ranked, ours[:, band], "left")
            count = np.searchsorted(ranked, ours[:, band], "right") - first
            rows = np.repeat(np.arange(len(values)), count)
            steps = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
            candidates = order[np.repeat(first, count) + steps]
            apart = distances(values[rows], self.phashes[candidates]).astype(np.int64)
            near = apart <= distance
            np.minimum.at(best, rows[near], apart[near] * len(self.names) + candidates[near])
        return np.where(best < (64 + 1) * len(self.names), best % max(1, len(self.names)), -1)

    def _bands(self, distance: int) -> list[tuple[UInt64, npt.NDArray[np.int64]]]:
        """The keys of each band, sorted, and the pictures they are of; sorted once."""
        if distance not in self._sorted:
            keys = band_keys(self.phashes, distance)
            orders = [np.argsort(keys[:, band], kind="stable") for band in range(keys.shape[1])]
            self._sorted[distance] = [(keys[order, band], order) for band, order in enumerate(orders)]
        return self._sorted[distance]


class EvaluationPicture:
    """Drops the pictures that are in an evaluation set; the ledger's detail names the evaluation picture."""

    name = "evaluation_picture"
    detail = "_evaluation"

    def __init__(self, known: EvaluationSet, distance: int, altered: bool) -> None:
        """``altered`` asks for altered copies too; with a negative distance contents alone count."""
        self._known, self._distance, self._altered = known, distance, altered and distance >= 0

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        names = self._known.matches(batch.column("sha256"), batch.column("phash"), self._distance)
        if self._altered and names.null_count:
            sketches = pc.if_else(pc.is_null(names), batch.column("sketch"), pa.scalar(None, pa.string()))
            names = pc.coalesce(names, self._known.copies(sketches))
        reasons = pc.if_else(pc.is_valid(names), "in_evaluation_set", pa.scalar(None, pa.string()))
        return reasons, {self.detail: names}


def _fingerprints(path: str) -> Iterator[tuple[str, str | None, int, str | None]]:
    """(name, sha256, perceptual hash, sketch) of every picture at ``path``; no hash of one that cannot be read."""
    if path.endswith(".parquet"):
        with files.open_input(path) as stream:
            try:
                table = read_parquet(stream)
            except UNREADABLE as error:
                raise _damaged(path, error) from None
        if not {"sha256", "phash"} <= set(table.column_names):
            raise UserError(f"{path}: has no columns sha256 and phash", "give a table of a run's shards")
        drawn = "sketch" in table.column_names
        sketches = table.column("sketch").to_pylist() if drawn else [None] * table.num_rows
        hashes = hash_numbers(table.column("phash")).to_pylist()
        for row, (sha256, phash) in enumerate(zip(table.column("sha256").to_pylist(), hashes, strict=True)):
            if sha256 is not None and phash is not None:
                text = sketches[row]
                yield f"{path}#{row}", sha256, phash, text if isinstance(text, str) else None
        return
    for name, data in _pictures(path):
        yield name, *(fingerprint(data) or (None, 0, None))


def fingerprint(data: bytes) -> tuple[str, int, str] | None:
    """The sha256, perceptual hash and sketch of a picture's bytes; None where they cannot be read."""
    result = process(data, ImageConfig())
    return (result.sha256, result.phash, result.sketch) if isinstance(result, Processed) else None


def _pictures(path: str) -> Iterator[tuple[str, bytes]]:
    with files.open_input(path) as stream:
        if not path.endswith(".tar"):
            yield path, stream.read()
            return
        try:
            for name, content in read_members(stream):
                if name.lower().endswith(IMAGE_SUFFIXES):
                    yield f"{path}#{name}", content.read()
        except (tarfile.TarError, OSError) as error:
            raise _damaged(path, error) from None
