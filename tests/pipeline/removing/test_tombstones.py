"""What falls under a tombstone, row by row and by columns."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.keeping.folder import key_of
from pipeline.removing.tombstones import FILE, FOLDER, KINDS, TOMBSTONES, RemovedPair, Tombstones, tombstones_of

KEYS = [key_of(number * 0x9E3779B97F4A7C15 % 2**64) for number in range(60)]
HOSTS = ["a.example", "b.example", "img.a.example", "example", "xa.example", "[2001:db8::1]"]
ADDRESSES = [f"https://{host}/{name}" for host in HOSTS for name in ("1.jpg", "2.jpg?utm_source=x", "%7Ea/3.jpg")]


def rows(with_ids: bool) -> pa.Table:
    """Rows of all combinations, some without a page, an address or a hash."""
    pages = itertools.cycle([*ADDRESSES[::-1], None, ""])
    hashes = itertools.cycle([f"{number:064x}" for number in range(7)] + [None])
    urls = itertools.cycle([*ADDRESSES, None])
    told = [{"url": next(urls), "page_url": next(pages), "sha256": next(hashes), "key": key} for key in KEYS]
    table = pa.Table.from_pylist(told)
    if with_ids:
        ids = pa.array([int(key, 16) for key in KEYS], pa.uint64())
        table = table.drop_columns("key").append_column("pair_id", ids)
    return table


NAMED = {
    "key": [KEYS[3], KEYS[59], "0" * 16, "sample-1"],
    "hash": [f"{2:064x}", f"{99:064x}"],
    "url": ["https://b.example/2.jpg", "https://xa.example/~a/3.jpg", "https://never.example/"],
    "page": ["https://a.example/2.jpg"],
    "host": ["a.example", "2001:db8::1"],
}


def stones(folder: Path, *kinds: str) -> Tombstones:
    told = [{"kind": kind, "value": value, "removal": 0} for kind in kinds for value in NAMED[kind]]
    (folder / FOLDER).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(told, schema=TOMBSTONES), folder / FOLDER / FILE)
    return tombstones_of([str(folder), str(folder / "none")])


@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("kinds", [*[(kind,) for kind in KINDS], KINDS, KINDS[::2]])
def test_columns_say_what_each_row_says(kinds: tuple[str, ...], with_ids: bool, tmp_path: Path) -> None:
    found, table = stones(tmp_path, *kinds), rows(with_ids)
    by_row = [found.why(row) for row in table.to_pylist()]
    assert found.kinds(table) == by_row and set(by_row) - {""} == set(kinds)
    for batch in table.to_batches(max_chunksize=7):
        assert found.kinds(batch) == [found.why(row) for row in batch.to_pylist()]
    some = table.select(["url"])
    assert found.kinds(some) == [found.why(row) for row in some.to_pylist()]


def test_hosts_are_names_and_not_ends_of_names(tmp_path: Path) -> None:
    found = stones(tmp_path, "host")
    falls = {url for url in ADDRESSES if found.why({"url": url})}
    assert falls == {url for url in ADDRESSES if "//a.e" in url or "//img.a.e" in url or "2001" in url}


def test_nothing_falls_where_nothing_is_named(tmp_path: Path) -> None:
    found = tombstones_of([str(tmp_path)])
    assert not found and found.kinds(rows(True)) == [""] * len(KEYS) and found.contents == frozenset()


def test_the_ledger_gets_the_kind_alone(tmp_path: Path) -> None:
    batch = rows(True).append_column("status", pa.array(["success", "removed"] * 30)).to_batches()[0]
    reasons, added = RemovedPair(stones(tmp_path, "key"))(batch)
    kinds = ["by its key" if key in NAMED["key"] else None for key in KEYS]
    told = [kind or ("by its picture" if place % 2 else None) for place, kind in enumerate(kinds)]
    assert added["_removed_by"].to_pylist() == told
    assert reasons.to_pylist() == ["removed" if kind else None for kind in told]
