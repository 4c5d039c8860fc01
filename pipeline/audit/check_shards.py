"""Shards against themselves: the samples of each tar, the Parquet file beside it, and what the small files say of both.

In: a folder of shards, of this program or of another one, such as img2dataset. Out: findings, and the samples of each
tar. Where there is no manifest this is all that can be known: members are whole and paired, pictures decode, counts
agree.
"""

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.audit.check_files import Finding
from pipeline.keeping.folder import (
    CAPTION_SUFFIX,
    IMAGE_SUFFIXES,
    INDEX_FILE,
    MANIFEST_FILE,
    METADATA_SUFFIX,
    SIZES_FILE,
)
from pipeline.write.shards import PICTURE_COLUMN
from pipeline.write.tar import read_members
from webimagetext import files
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["ShardsChecked", "check_shards"]

Told = Callable[[float], None]
CHUNK = 256  # pictures that are decoded at once
BROKEN_TAR = (tarfile.TarError, OSError, ValueError, EOFError)


@dataclass
class ShardsChecked:
    """What a folder of shards holds, and what is wrong with it."""

    findings: list[Finding] = field(default_factory=list)
    samples: int = 0
    tars: dict[str, int] = field(default_factory=dict)  # samples of each


def check_shards(folder: str, sample: int, broken: set[str], told: Told) -> ShardsChecked:
    """Looks at every shard; ``sample`` pictures of each are decoded, all for 0. ``broken`` files are known to be
    damaged and passed over; ``told`` of each sample."""
    result = ShardsChecked()
    names = sorted(files.sizes(folder))
    tables: dict[str, int] = {}
    whole = [name for name in names if files.join(folder, name) not in broken]
    for name in whole:
        if name.endswith(".tar"):
            keys, problems = _of_tar(files.join(folder, name), sample, told)
            result.tars[name] = len(keys)
            table = f"{name.removesuffix('.tar')}.parquet"
            if table in whole and not problems:
                problems = list(_against_table(files.join(folder, table), keys))
            result.findings += [Finding(name, problem) for problem in problems]
        elif name.endswith(".parquet"):
            rows, problems = _of_table(files.join(folder, name), sample, told)
            tables[name] = rows
            result.findings += [Finding(name, problem) for problem in problems]
    if not result.tars and not tables and not broken and MANIFEST_FILE not in names:
        result.findings.append(Finding("", "there are no shards in it"))
    result.findings += _small_files(folder, whole, result.tars, tables)
    result.samples = sum((result.tars or tables).values())
    return result


def _of_tar(url: str, sample: int, told: Told) -> tuple[list[str], list[str]]:
    """The keys of the samples, in order, and what is wrong."""
    keys: list[str] = []
    problems: list[str] = []

    def pictures() -> Iterator[tuple[str, bytes]]:
        for key, members in _samples(url):
            keys.append(key)
            told(1)
            found = [ending for ending in members if ending.lower() in IMAGE_SUFFIXES]
            if len(found) != 1:
                problems.append(f"sample {key} has {len(found)} pictures")
            elif not sample or len(keys) <= sample:
                yield key, members[found[0]]
            problems.extend(_of_texts(key, members))

    try:
        problems += _decoded(pictures())
    except BROKEN_TAR as error:
        problems.append(f"it ends or breaks off after {len(keys):,} samples: {error}")
    if len(set(keys)) < len(keys):
        problems.append("members of a sample do not stand side by side, or a key stands twice")
    return keys, problems[:20]


def _samples(url: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a tar: adjacent members with the same name up to its first point."""
    held, members = "", dict[str, bytes]()
    with files.open_input(url) as stream:
        if not _ends_as_tar(url, stream):
            raise tarfile.ReadError("it is not a tar with an end")
        for name, content in read_members(stream):
            place, _, file = name.rpartition("/")
            stem, _, ending = file.partition(".")
            key = f"{place}/{stem}".lstrip("/")
            if key != held and members:
                yield held, members
                members = {}
            held = key
            members[f".{ending}"] = content.read()
    if members:
        yield held, members


def _ends_as_tar(url: str, stream: Any) -> bool:
    """Whether a tar ends with two empty blocks: Python's reader takes a cut between two members for the end."""
    size = files.size(url)
    if size % 512 or size < 1024:
        return False
    stream.seek(size - 1024)
    ending = stream.read(1024)
    stream.seek(0)
    return not any(ending)


def _of_texts(key: str, members: dict[str, bytes]) -> Iterator[str]:
    try:
        members.get(CAPTION_SUFFIX, b"").decode()
        if METADATA_SUFFIX in members:
            stated = json.loads(members[METADATA_SUFFIX])
            if isinstance(stated, dict) and stated.get("key", key.rpartition("/")[2]) != key.rpartition("/")[2]:
                yield f"sample {key}: its metadata is of {stated['key']}"
    except ValueError as error:
        yield f"sample {key}: its texts cannot be read: {error}"


def _decoded(pictures: Iterable[tuple[str, bytes]]) -> list[str]:
    """What is wrong with pictures, decoded in threads."""
    problems: list[str] = []
    waiting = iter(pictures)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while chunk := list(islice(waiting, CHUNK)):
            verdicts = threads.map(_fault, [data for _, data in chunk])
            problems += [
                f"the picture of {key} cannot be decoded: {fault}"
                for (key, _), fault in zip(chunk, verdicts, strict=True)
                if fault
            ]
    return problems


def _fault(data: bytes) -> str:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except Exception as error:  # a decoder raises what it likes
        return str(error) or type(error).__name__
    return ""


def _against_table(url: str, keys: list[str]) -> Iterator[str]:
    """Whether the rows that are in the shard are the samples of the tar, in whatever order."""
    try:
        with files.open_input(url) as stream:
            file = open_parquet(stream)
            if "key" not in file.schema_arrow.names:
                return
            columns = [name for name in ("key", "status") if name in file.schema_arrow.names]
            table = file.read(columns=columns, use_threads=False)
    except UNREADABLE:
        return  # told of the table itself
    if "status" in columns:
        table = table.filter(pc.equal(table.column("status"), "success"))
    rows = set(table.column("key").to_pylist())
    lost, extra = len(rows - set(keys)), len(set(keys) - rows)
    if lost or extra:
        yield f"{lost:,} samples of the Parquet file beside it are not in it, and {extra:,} are only in it"


def _of_table(url: str, sample: int, told: Told) -> tuple[int, list[str]]:
    """The samples of a Parquet file, and what is wrong; pictures in a column of bytes are decoded."""
    rows, problems = 0, list[str]()
    try:
        with files.open_input(url) as stream:
            for batch in open_parquet(stream).iter_batches(CHUNK):
                if "status" in batch.schema.names:
                    batch = batch.filter(pc.equal(batch.column("status"), "success"))
                if PICTURE_COLUMN in batch.schema.names:
                    wanted = batch.slice(0, max(0, sample - rows)) if sample else batch
                    problems += _decoded(_pictures(wanted, rows))
                    told(batch.num_rows)
                rows += batch.num_rows
    except UNREADABLE as error:
        problems.append(f"not a readable Parquet file: {error}")
    return rows, problems[:20]


def _pictures(batch: pa.RecordBatch, start: int) -> Iterator[tuple[str, bytes]]:
    for number, picture in enumerate(batch.column(PICTURE_COLUMN).to_pylist()):
        yield f"row {start + number:,}", (picture.get("bytes") if isinstance(picture, dict) else picture) or b""


def _small_files(folder: str, names: list[str], tars: dict[str, int], tables: dict[str, int]) -> Iterator[Finding]:
    """What sizes.json, index.json and the statistics say, against what was counted."""
    for name in names:
        if name not in (SIZES_FILE, INDEX_FILE) and not name.endswith("_stats.json"):
            continue
        try:
            stated = json.loads(files.read(files.join(folder, name)) or b"")
            counted = {**tables, **tars}
            if name == INDEX_FILE:
                stated = {shard["url"]: shard["nsamples"] for shard in stated["shardlist"]}
            elif name != SIZES_FILE:
                stem = name.removesuffix("_stats.json")
                shard = f"{stem}.tar" if f"{stem}.tar" in tars else f"{stem}.parquet"
                stated = {shard: stated["successes"]} if shard in counted else {}
            wrong = [shard for shard, count in stated.items() if shard in counted and counted[shard] != count]
            gone = [shard for shard in stated if not files.exists(files.join(folder, shard))]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield Finding(name, f"it is not what it should be: {type(error).__name__}: {error}")
            continue
        for shard in gone:
            yield Finding(shard, f"it is missing: {name} names it")
        for shard in wrong:
            yield Finding(name, f"it says {stated[shard]:,} samples of {shard}, which has {counted[shard]:,}")
