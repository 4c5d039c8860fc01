"""One shard without some of its samples: the tar, the table beside it and the statistics, each written anew and put in
its place when all three are whole.

In: a folder of shards, of this program or of another such as img2dataset, the stem of one shard, and the keys that go.
Out: the files of the shard as they are then. What stays is copied as it is: members byte for byte, in their order, rows
in their groups, so a shard of this program has the bytes that it would have been written with.
"""

import contextlib
import json
import tarfile
from collections import Counter
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.keeping.folder import IMAGE_SUFFIXES
from pipeline.keeping.manifest import Entry, entry_of_written
from pipeline.tables.schema import SHARD
from pipeline.write.shards import PICTURE_COLUMN, WITH_PICTURES, statistics
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["keys_in_tar", "without_samples"]

BLOCK, RECORD = 512, 20 * 512
PIECE = 1 << 20
_ZEROS = bytes(BLOCK)
STATS = "_stats.json"
OWN = (SHARD, WITH_PICTURES)  # of a file that was read Arrow knows more than was written


class Member(NamedTuple):
    """A file of a tar, with all its headers: from ``start`` to before ``stop``."""

    key: str
    ending: str
    start: int
    stop: int
    size: int


def _member(name: str, start: int, stop: int, size: int) -> Member:
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return Member(f"{folder}/{stem}" if folder else stem, f".{ending}", start, stop, size)


def _members(url: str, stream: IO[bytes]) -> list[Member]:
    """The files of an archive in order. Raises UserError for one that is damaged."""
    try:
        found = _plain_members(stream)
        return list(_any_members(stream)) if found is None else found
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"{url}: is damaged: {error}", "`pipeline check` tells more") from None


def _plain_members(stream: IO[bytes]) -> list[Member] | None:
    """The files of an archive that has nothing but files with short names, as shards have; None of another. The
    library spends longer on a header than copying its file takes."""
    found: list[Member] = []
    place = stream.seek(0)
    while (header := stream.read(BLOCK)) != _ZEROS:
        if (
            len(header) < BLOCK
            or header[156:157] not in (b"0", b"\0")
            or header[257:262] != b"ustar"
            or header[345]
            or header[124] & 0x80
        ):
            return None
        stated = int(header[148:156].rstrip(b" \0"), 8)
        if stated != sum(header) - sum(header[148:156]) + 8 * 32:
            raise tarfile.ReadError(f"a damaged header at byte {place:,}")
        size = int(header[124:136].rstrip(b" \0") or b"0", 8)
        stop = place + BLOCK + -(-size // BLOCK) * BLOCK
        found.append(_member(header[:100].rstrip(b"\0").decode("utf-8", "surrogateescape"), place, stop, size))
        place = stream.seek(stop)
    return found


def _any_members(stream: IO[bytes]) -> Iterator[Member]:
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            yield _member(member.name, member.offset, archive.offset, member.size)
        # The library alone takes a cut between two members for the end.
        stream.seek(archive.offset)
        if stream.read(BLOCK) != _ZEROS:
            raise tarfile.ReadError(f"no header and no end at byte {archive.offset:,}")


def keys_in_tar(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The key of each sample, and what its KEY.json says, of a tar that has no table beside it."""
    with files.open_input(url) as stream:
        said: dict[str, dict[str, Any]] = {}
        for member in _members(url, stream):
            said.setdefault(member.key, {})
            if member.ending == ".json":
                stream.seek(member.stop - -(-member.size // BLOCK) * BLOCK)
                with contextlib.suppress(ValueError):
                    found = json.loads(stream.read(member.size))
                    said[member.key] = found if isinstance(found, dict) else {}
    yield from said.items()


def without_samples(folder: str, stem: str, gone: Collection[str]) -> list[Entry]:
    """Writes the shard anew; returns the manifest rows of its files. Doing it once more changes nothing."""
    names = files.sizes(folder)
    tar, table, stats = f"{stem}.tar", f"{stem}.parquet", f"{stem}{STATS}"
    lengths: list[int] | None = None
    dropped: list[pa.Table] = []
    kept = pa.table({})
    written: list[tuple[files.HashedStream, str, int]] = []
    with contextlib.ExitStack() as stack:
        samples = 0
        if tar in names:
            archive = stack.enter_context(files.write_hashed(files.join(folder, tar), safe=True))
            samples, lengths = _copy_tar(files.join(folder, tar), archive, gone)
            written.append((archive, tar, samples))
        if table in names:
            rows = stack.enter_context(files.write_hashed(files.join(folder, table), safe=True))
            kept, held = _copy_table(files.join(folder, table), rows, gone, dropped)
            lengths = held if lengths is None else lengths
            written.append((rows, table, kept.num_rows))
        if stats in names:
            about = stack.enter_context(files.write_hashed(files.join(folder, stats), safe=True))
            old = json.loads(files.read(files.join(folder, stats)) or b"{}")
            told = _stats(old, kept, dropped, lengths or [])
            about.write((json.dumps(told, indent=1) + "\n").encode())
            written.append((about, stats, 0))
    return [entry_of_written(stream, name, count) for stream, name, count in written]


def _copy_tar(url: str, out: files.HashedStream, gone: Collection[str]) -> tuple[int, list[int]]:
    """Copies the members of the samples that stay; returns how many samples, and the bytes of each picture."""
    keys: set[str] = set()
    lengths: list[int] = []
    spans: list[list[int]] = []  # what is copied, as few stretches as there are
    with files.open_input(url) as stream:
        for member in _members(url, stream):
            if member.key in gone or member.key.rpartition("/")[2] in gone:
                continue
            keys.add(member.key)
            if member.ending.lower() in IMAGE_SUFFIXES:
                lengths.append(member.size)
            if spans and spans[-1][1] == member.start:
                spans[-1][1] = member.stop
            else:
                spans.append([member.start, member.stop])
        for start, stop in spans:
            stream.seek(start)
            while start < stop:
                data = stream.read(min(PIECE, stop - start))
                if not data:
                    raise UserError(f"{url}: is damaged: it breaks off", "`pipeline check` tells more")
                out.write(data)
                start += len(data)
    out.write(bytes(2 * BLOCK))
    out.write(bytes(-out.size % RECORD))
    return len(keys), lengths


def _copy_table(
    url: str, out: files.HashedStream, gone: Collection[str], dropped: list[pa.Table]
) -> tuple[pa.Table, list[int]]:
    """Copies the rows that stay, group by group; returns them without pictures, and the bytes of these. Those that go
    are added to ``dropped``."""
    keys = pa.array(sorted(gone), pa.string())
    kept: list[pa.Table] = []
    lengths: list[int] = []
    try:
        with files.open_input(url) as stream:
            file = open_parquet(stream)
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            packed = groups[0].column(0).compression.lower() if groups else "zstd"
            schema = next((own for own in OWN if own.names == file.schema_arrow.names), file.schema_arrow)
            with pq.ParquetWriter(out, schema, compression=packed, write_page_checksum=True) as writer:
                for number in range(file.num_row_groups):
                    rows = file.read_row_group(number, use_threads=False).cast(schema)
                    goes = pc.is_in(rows.column("key").cast(pa.string()), value_set=keys)
                    stays = rows.filter(pc.invert(goes))
                    writer.write_table(stays)
                    small = [name for name in rows.column_names if name != PICTURE_COLUMN]
                    if PICTURE_COLUMN in rows.column_names:
                        lengths += _bytes_of(stays.column(PICTURE_COLUMN))
                    kept.append(stays.select(small))
                    dropped.append(rows.select(small).filter(goes))
            without = pa.schema([field for field in schema if field.name != PICTURE_COLUMN])
    except UNREADABLE as error:
        raise UserError(f"{url}: is damaged: {error}", "`pipeline check` tells more") from None
    return pa.concat_tables(kept) if kept else without.empty_table(), lengths


def _bytes_of(pictures: pa.ChunkedArray) -> list[int]:
    """The length of each picture of a column: bytes, or what the datasets library has for pictures."""
    if pa.types.is_struct(pictures.type):
        pictures = pc.struct_field(pictures, "bytes")
    return [length or 0 for length in pc.binary_length(pictures).to_pylist()]


def _stats(old: dict[str, Any], kept: pa.Table, dropped: list[pa.Table], lengths: list[int]) -> dict[str, Any]:
    """The statistics of what stays: anew those of this program, of another the same counts less what went."""
    if "caption_characters" in old and "query_ids" in kept.column_names:
        return statistics(kept, lengths)
    went: Counter[str] = Counter()
    for table in dropped:
        went.update(table.column("status").to_pylist() if "status" in table.column_names else ["success"] * len(table))
    told = dict(old)
    counted = {"count": went.total(), "successes": went["success"]}
    counted["failed_to_download"] = went["failed_to_download"]
    counted["failed_to_resize"] = went["failed_to_resize"]
    told |= {name: old[name] - number for name, number in counted.items() if isinstance(old.get(name), int)}
    if isinstance(old.get("status_dict"), dict):
        messages: Counter[str] = Counter()
        for table in dropped:
            messages.update(_statuses(table))
        told["status_dict"] = {name: number - messages[name] for name, number in old["status_dict"].items()}
    return told


def _statuses(table: pa.Table) -> list[str]:
    """What img2dataset counts a row by in ``status_dict``: success, or the message of its error."""
    if "status" not in table.column_names:
        return ["success"] * len(table)
    statuses = table.column("status").to_pylist()
    errors = table.column("error_message").to_pylist() if "error_message" in table.column_names else statuses
    return [status if status == "success" else str(error) for status, error in zip(statuses, errors, strict=True)]
