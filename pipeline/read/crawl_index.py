"""Candidate pairs of chosen pages of Common Crawl: its index is searched, and of its archives just those records are
read that the index names.

In: a file of the index, or row groups of one: the table (Parquet, ``cc-index/table/cc-main/warc``) or the lines (CDXJ,
``cdx-*.gz``). Out: :class:`Extracted` pieces in the order of the index. The table is sorted by the hosts' names turned
round, so that of a few hosts most row groups are passed over by their statistics.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.hosts import host_of
from pipeline.net.config import HttpConfig
from pipeline.read.archive import read_record
from pipeline.read.config import ExtractConfig
from pipeline.read.inputs import COMMON_CRAWL
from pipeline.read.pieces import Piece
from pipeline.read.tables import Extracted, Rows
from pipeline.read.warc import PAGE_TYPES, PIECE_ROWS, add_record
from webimagetext.errors import UserError
from webimagetext.files import open_input, read_ranges
from webimagetext.foreign import valid
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["Chosen", "read_crawl_index"]

AT_ONCE = 64  # records asked for side by side
MAX_RECORD = 16_000_000  # packed bytes of one; Common Crawl cuts pages at a megabyte
LINES = 10_000  # of the index, judged at once
_INDEX = pa.schema(
    [
        ("url", pa.string()),
        ("fetch_status", pa.int16()),
        ("content_mime_detected", pa.string()),
        ("content_languages", pa.string()),  # three-letter codes between commas, the likeliest first
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int64()),
        ("warc_record_length", pa.int64()),
    ]
)
_SORTED_BY = "url_surtkey"
_WWW = re.compile(r"^www\d*\.")  # the index's keys lack it
_TYPES = pa.array(sorted(PAGE_TYPES))


class Record(NamedTuple):
    """Where the record of a page lies."""

    url: str
    filename: str
    offset: int
    length: int


class Chosen:
    """Which rows of the index are read, by the settings of ``extract``. Hosts stand with those below them, so that
    ``org`` is all of that top-level domain. Raises UserError for a list of hosts that cannot be read."""

    def __init__(self, extract: ExtractConfig) -> None:
        self._hosts = frozenset({*map(_name, extract.index_hosts), *_listed(extract.index_hosts_file)})
        self._left_out = frozenset(_listed(extract.index_blocked_hosts_file))
        self._languages = pa.array(extract.index_languages, pa.string())

    def __call__(self, batch: pa.RecordBatch) -> list[Record]:
        """The rows (of _INDEX) that name a page to be read."""
        kept = pc.and_(pc.equal(batch.column(1), 200), pc.is_in(batch.column(2), value_set=_TYPES))
        if len(self._languages):
            likeliest = pc.replace_substring_regex(batch.column(3), ",.*", "")
            kept = pc.and_(kept, pc.is_in(likeliest, value_set=self._languages))
        rows = batch.filter(kept)
        places = zip(*(rows.column(number).to_pylist() for number in (0, 4, 5, 6)), strict=True)
        return [Record(*place) for place in places if None not in place and self._wants(place[0])]

    def _wants(self, url: str) -> bool:
        if not self._hosts and not self._left_out:
            return True
        labels = host_of(url).split(".")
        names = {".".join(labels[place:]) for place in range(len(labels))}
        return (not self._hosts or not names.isdisjoint(self._hosts)) and names.isdisjoint(self._left_out)

    def may_lie_between(self, least: str, most: str) -> bool:
        """Whether pages of the hosts may stand between two keys of the index, ``org,example)/path``."""
        if not self._hosts:
            return True
        keys = (",".join(reversed(_WWW.sub("", host).split("."))) for host in self._hosts)
        # A host's name ends with a bracket or, before those below it, a comma: both come before all that names hold.
        return any(f"{key})" <= most and least < f"{key}-" for key in keys)


def read_crawl_index(piece: Piece, extract: ExtractConfig, http: HttpConfig) -> Iterator[Extracted]:
    """Reads what the settings choose of an index file. Raises UserError when it, or an archive that it names, cannot be
    read."""
    rows = Rows("crawl_index")
    base = extract.path_prefix or COMMON_CRAWL
    chosen = Chosen(extract)
    batches = _of_table(piece, chosen) if piece.path.endswith(".parquet") else _of_lines(piece.path, rows)
    records = (record for batch in batches for record in chosen(batch))
    while some := list(islice(records, AT_ONCE)):
        _add_all(rows, some, base, extract, http)
        if len(rows) >= PIECE_ROWS:
            yield rows.take()
    yield rows.take()


def _add_all(rows: Rows, records: list[Record], base: str, extract: ExtractConfig, http: HttpConfig) -> None:
    wanted = []
    for record in records:
        if record.offset >= 0 and 0 < record.length <= MAX_RECORD:
            wanted.append(record)
        else:
            rows.reject(record.url, "page", "too_large", record.url, f"{record.length} bytes at {record.offset}")
    starts = [record.offset for record in wanted]
    ends = [record.offset + record.length for record in wanted]
    try:
        packed = read_ranges([base + record.filename for record in wanted], starts, ends)
    except UserError as error:
        raise UserError(error.problem, "extract.path_prefix says where the archives lie that the index names") from None
    for record, content in zip(wanted, packed, strict=True):
        for item in read_record(content, lambda media_type: True, http.max_bytes):
            add_record(rows, item, record.url, extract, http)


def _of_table(piece: Piece, chosen: Chosen) -> Iterator[pa.RecordBatch]:
    with open_input(piece.path) as stream:
        try:
            table = open_parquet(stream)
            missing = sorted(set(_INDEX.names) - set(table.schema_arrow.names))
            if missing:
                raise UserError(
                    f"{piece.path}: is no table of Common Crawl's index: it has no column {missing[0]}",
                    "give files of cc-index/table/cc-main/warc, or set extract.source to what it is",
                )
            last = table.metadata.num_row_groups if piece.stop is None else piece.stop
            groups = [group for group in range(piece.start, last) if _may_matter(table.metadata, group, chosen)]
            for batch in table.iter_batches(LINES, groups, _INDEX.names):
                yield batch.select(_INDEX.names).cast(_INDEX)
        except UNREADABLE as error:
            raise UserError(f"{piece.path}: cannot be read: {error}", "get the file again") from None


def _may_matter(about: pq.FileMetaData, group: int, chosen: Chosen) -> bool:
    """Whether a row group may hold a host that is wanted."""
    columns = about.row_group(group)
    for number in range(columns.num_columns):
        column = columns.column(number)
        if column.path_in_schema == _SORTED_BY and column.is_stats_set and column.statistics.has_min_max:
            return chosen.may_lie_between(column.statistics.min, column.statistics.max)
    return True


def _of_lines(path: str, rows: Rows) -> Iterator[pa.RecordBatch]:
    """The rows of a CDXJ file; a line that is none is a reject."""
    with open_input(path) as packed, gzip.open(packed) if path.endswith(".gz") else packed as lines:
        try:
            while some := list(islice(lines, LINES)):
                yield _batch_of(some, path, rows)
        except (OSError, EOFError, zlib.error) as error:
            rows.reject(path, "page", "broken_record", None, f"the index ends early: {error}")


def _batch_of(lines: Iterable[bytes], path: str, rows: Rows) -> pa.RecordBatch:
    found = []
    for line in lines:
        try:
            told = json.loads(line[line.index(b"{") :])
            found.append(
                {
                    "url": valid(told["url"]),
                    "fetch_status": int(told["status"]),
                    "content_mime_detected": told.get("mime-detected") or told.get("mime"),
                    "content_languages": told.get("languages"),
                    "warc_filename": valid(told["filename"]),
                    "warc_record_offset": int(told["offset"]),
                    "warc_record_length": int(told["length"]),
                }
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            rows.reject(path, "page", "broken_json", None, valid(line)[:200])
    return pa.RecordBatch.from_pylist(found, schema=_INDEX)


def _name(host: Any) -> str:
    return str(host).strip().lower().strip(".")


def _listed(path: str) -> list[str]:
    """The hosts of a file, one a line; what stands behind ``#`` is a remark."""
    if not path:
        return []
    with open_input(path) as stream:
        lines = stream.read().decode("utf-8-sig", "replace").splitlines()
    return [name for line in lines if (name := _name(line.partition("#")[0]))]
