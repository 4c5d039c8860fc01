"""Tombstones: what was taken out of a run on demand, and must not come back.

In: the folder ``removed/`` of a run and of its earlier runs. Out: :class:`Tombstones`, which says of rows of any table
which of them fall under one. Each is a kind and a value: the address of an image (url) or of a page (page), a pair's
key (key), the SHA-256 of an image as received (hash), or a host with all below it (host), whether it served the image
or the page. Pickled as its folders alone, for the list may be long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.hosts import host_of
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.read.urls import spelling
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, read_parquet

__all__ = [
    "FILE",
    "FOLDER",
    "KINDS",
    "TOMBSTONES",
    "Kind",
    "RemovedPair",
    "Tombstones",
    "in_force",
    "read_tombstones",
    "tombstones_of",
    "without_address",
]

Kind = Literal["url", "key", "hash", "host", "page"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KINDS_IN_ORDER: tuple[Kind, ...] = ("key", "hash", "url", "page", "host")  # the first that holds is told
KEY_OF_A_PAIR = re.compile("[0-9a-f]{16}")
FOLDER, FILE = "removed", "tombstones.parquet"
REASON = "removed"

TOMBSTONES = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # one of KINDS
        pa.field("value", pa.string(), nullable=False),
        pa.field("removal", pa.int32(), nullable=False),  # the number of the first removal that named it
    ]
)


@dataclass(frozen=True)
class Tombstones:
    """Those of several files (as :func:`tombstones_of` gives them)."""

    urls: tuple[str, ...]

    def __reduce__(self) -> tuple[type["Tombstones"], tuple[tuple[str, ...]]]:
        return Tombstones, (self.urls,)

    def __bool__(self) -> bool:
        return bool(self.urls)

    @cached_property
    def values(self) -> dict[str, set[str]]:
        """What is named, by kind."""
        found: dict[str, set[str]] = {kind: set() for kind in KINDS}
        for url in self.urls:
            for row in read_tombstones(url).to_pylist():
                found[row["kind"]].add(row["value"])
        return found

    @property
    def contents(self) -> frozenset[str]:
        """The SHA-256 of pictures that must not come in, whatever their address."""
        return frozenset(self.values["hash"]) if self else frozenset()

    def why(self, row: dict[str, Any]) -> str:
        """The kind by which a row falls under a tombstone; "" for none. Of its columns url, page_url, sha256 and key
        or pair_id count, those that it has."""
        named = self.values
        url, page = row.get("url") or "", row.get("page_url") or ""
        if named["key"]:
            key = key_of(row["pair_id"]) if "pair_id" in row else row.get("key")
            if key in named["key"]:
                return "key"
        if named["hash"] and row.get("sha256") in named["hash"]:
            return "hash"
        if named["url"] and url and spelling(url) in named["url"]:
            return "url"
        if named["page"] and page and spelling(page) in named["page"]:
            return "page"
        return "host" if named["host"] and any(_is_below(address, named["host"]) for address in (url, page)) else ""

    def kinds(self, rows: pa.RecordBatch | pa.Table) -> list[str]:
        """:meth:`why` of each row, worked out by columns."""
        found = [""] * rows.num_rows
        for kind in reversed(KINDS_IN_ORDER):  # so that the first one has the last word
            if self and self.values[kind]:
                for place in self._places(kind, rows):
                    found[place] = kind
        return found

    def _places(self, kind: Kind, rows: pa.RecordBatch | pa.Table) -> list[int]:
        """The rows that fall under a tombstone of one kind."""
        named = self.values[kind]
        if kind == "key" and "pair_id" in rows.schema.names:
            ids = [int(key, 16) for key in named if KEY_OF_A_PAIR.fullmatch(key)]
            return _among(rows.column("pair_id"), pa.array(ids, pa.uint64()))
        if kind in ("key", "hash"):
            column = "key" if kind == "key" else "sha256"
            values = pa.array(sorted(named), pa.string())
            return _among(rows.column(column).cast(pa.string()), values) if column in rows.schema.names else []
        addresses = [
            rows.column(name).to_pylist()
            for name in ({"url": ("url",), "page": ("page_url",)}.get(kind, ("url", "page_url")))
            if name in rows.schema.names
        ]
        holds = cache(lambda address: _is_below(address, named) if kind == "host" else spelling(address) in named)
        return [place for column in addresses for place, address in enumerate(column) if address and holds(address)]


def _among(column: pa.Array | pa.ChunkedArray, values: pa.Array) -> list[int]:
    places: list[int] = pc.indices_nonzero(pc.is_in(column, value_set=values)).to_pylist()
    return places


def _is_below(address: str, hosts: set[str]) -> bool:
    """Whether an address's host is one of ``hosts``, or below one."""
    host = host_of(address) if address else ""
    while host:
        if host in hosts:
            return True
        host = host.partition(".")[2]
    return False


def in_force(run: RunFolder, config: RunConfig) -> Tombstones:
    """Those that a run goes by: its own, and those of its earlier runs."""
    return tombstones_of([run.root, *config.earlier_runs])


def tombstones_of(runs: Sequence[str]) -> Tombstones:
    """Those of runs, by their folders; a run without any has no file."""
    places = [RunFolder(run).path(FOLDER, FILE) for run in runs if run]
    return Tombstones(tuple(url for url in places if files.exists(url)))


def read_tombstones(url: str) -> pa.Table:
    """The table of one file. Raises UserError where it is not one: a pair that is to stay out must not slip in."""
    try:
        table = read_parquet(pa.BufferReader(files.read(url) or b""))
        return table.select(TOMBSTONES.names).cast(TOMBSTONES)
    except UNREADABLE as error:
        remedy = "put the file back from a copy, or make it anew by `pipeline remove` with the lists of its log"
        raise UserError(f"{url}: is damaged: {error}", remedy) from None


@dataclass(frozen=True)
class RemovedPair:
    """A rule on rows of any table: those under a tombstone go. The ledger says by which kind, and quotes nothing."""

    stones: Tombstones
    name = REASON
    detail = "_removed_by"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        kinds = self.stones.kinds(batch)
        if "status" in batch.schema.names:  # of the answer for the picture's address
            statuses = batch.column("status").to_pylist()
            kinds = [
                kind or ("picture" if status == REASON else "") for kind, status in zip(kinds, statuses, strict=True)
            ]
        reasons = pa.array([REASON if kind else None for kind in kinds], pa.string())
        return reasons, {self.detail: pa.array([f"by its {kind}" if kind else None for kind in kinds], pa.string())}


def without_address(ledger: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of the ledger that name a pair by its key alone."""
    place = ledger.schema.get_field_index("url")
    return ledger.set_column(place, ledger.schema.field("url"), pa.nulls(ledger.num_rows, pa.string()))
