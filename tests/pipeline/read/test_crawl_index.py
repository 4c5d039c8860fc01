"""Pages chosen by Common Crawl's index, each read from its archive by a range of bytes."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches
from pipeline.net.config import HttpConfig
from pipeline.read import crawl_index
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl_index import Chosen, read_crawl_index
from pipeline.read.inputs import expand_inputs
from pipeline.read.pieces import Piece
from pipeline.read.tables import Extracted
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.read.publisher import Publisher
from webimagetext import stores
from webimagetext.errors import UserError

CRAWL = "CC-MAIN-2026-05"
ARCHIVE = f"crawl-data/{CRAWL}/segments/1/warc/part-0.warc.gz"
TABLE = f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-0.gz.parquet"
# url, status, media type, languages
ROWS = [
    ("http://example.com/a", 200, "text/html", "eng"),
    ("http://www.example.com/b", 200, "application/xhtml+xml", "eng,deu"),
    ("http://example.com/c", 404, "text/html", "eng"),
    ("http://example.com/d.png", 200, "image/png", None),
    ("http://anexample.com/e", 200, "text/html", "fra,eng"),
    ("http://example.org/f", 200, "text/html", None),
    ("http://shop.example.org/g", 200, "text/html", "eng"),
]


def key_of(url: str) -> str:
    """As the index is sorted: ``org,example)/f``."""
    host, _, path = url.partition("://")[2].partition("/")
    return f"{','.join(reversed(host.removeprefix('www.').split('.')))})/{path}"


class Crawl:
    """An archive of a page for each row, and its index as a table of two rows a group and as lines."""

    def __init__(self) -> None:
        self.archive = b""
        self.rows: list[dict[str, Any]] = []
        for url, status, media_type, languages in sorted(ROWS, key=lambda row: key_of(row[0])):
            page = f"<html><img src=p.jpg alt='the picture of {url[-1]}'>".encode()
            record = gzip.compress(warc_record("response", url, http_block(page, media_type)))
            self.rows.append(
                {
                    "url_surtkey": key_of(url),
                    "url": url,
                    "fetch_status": status,
                    "content_mime_detected": media_type,
                    "content_languages": languages,
                    "warc_filename": ARCHIVE,
                    "warc_record_offset": len(self.archive),
                    "warc_record_length": len(record),
                }
            )
            self.archive += record

    def table(self) -> bytes:
        """The index as Parquet."""
        output = io.BytesIO()
        types = {"fetch_status": pa.int16(), "warc_record_offset": pa.int32(), "warc_record_length": pa.int32()}
        schema = pa.schema([(name, types.get(name, pa.string())) for name in self.rows[0]])
        pq.write_table(pa.Table.from_pylist(self.rows, schema), output, row_group_size=2)
        return output.getvalue()

    def lines(self) -> bytes:
        """The index as CDXJ."""
        names = {"content_mime_detected": "mime-detected", "content_languages": "languages", "fetch_status": "status"}
        names |= {f"warc_{name}": name for name in ("filename",)}
        names |= {f"warc_record_{name}": name for name in ("offset", "length")}
        found = []
        for row in self.rows:
            told = {names.get(name, name): str(value) for name, value in row.items() if value is not None}
            found.append(f"{told.pop('url_surtkey')} 20260101000000 {json.dumps(told)}\n")
        return "".join(found).encode()


@pytest.fixture
def crawl() -> Crawl:
    return Crawl()


@pytest.fixture
def base(crawl: Crawl, tmp_path: Path) -> str:
    """A folder with the archive where the index says."""
    path = tmp_path / ARCHIVE
    path.parent.mkdir(parents=True)
    path.write_bytes(crawl.archive)
    (tmp_path / "index.parquet").write_bytes(crawl.table())
    (tmp_path / "cdx-00000.gz").write_bytes(gzip.compress(crawl.lines()))
    return f"{tmp_path}/"


def read(base: str, name: str, **settings: Any) -> list[Extracted]:
    extract = ExtractConfig(source="crawl_index", inputs=(name,), path_prefix=base, **settings)
    return list(read_crawl_index(Piece(base + name), extract, HttpConfig()))


def pages(found: list[Extracted]) -> str:
    """The last letters of the pages' addresses that gave a pair."""
    rows = [row for piece in found for row in piece.candidates.to_pylist()]
    assert all(row["caption"] == f"the picture of {row['page_url'][-1]}" for row in rows)
    assert all(row["url"] == row["page_url"][:-1] + "p.jpg" and row["source"] == "crawl_index" for row in rows)
    return "".join(sorted(row["page_url"][-1] for row in rows))


def rejects(found: list[Extracted]) -> list[tuple[str, str]]:
    return [(row["reason"], row["detail"]) for piece in found for row in piece.rejects.to_pylist()]


CASES = [
    ({}, "abefg"),
    ({"index_hosts": ("example.com",)}, "ab"),
    ({"index_hosts": ("www.example.com", "Example.ORG.")}, "bfg"),
    ({"index_hosts": ("com",)}, "abe"),
    ({"index_languages": ("eng",)}, "abg"),
    ({"index_languages": ("deu", "fra")}, "e"),
    ({"index_hosts": ("org",), "index_languages": ("eng",)}, "g"),
    ({"index_hosts": ("net",)}, ""),
]


@pytest.mark.parametrize("name", ["index.parquet", "cdx-00000.gz"])
@pytest.mark.parametrize(("settings", "expected"), CASES)
def test_what_the_settings_choose_is_read(base: str, name: str, settings: dict[str, Any], expected: str) -> None:
    found = read(base, name, **settings)
    assert pages(found) == expected and not rejects(found)


def test_hosts_stand_in_files(base: str, tmp_path: Path) -> None:
    (tmp_path / "wanted.txt").write_text("# ours\nexample.com  # and below\n\nexample.org\n")
    (tmp_path / "blocked.txt").write_text("www.example.com\nSHOP.example.org\n")
    files = {
        "index_hosts_file": str(tmp_path / "wanted.txt"),
        "index_blocked_hosts_file": str(tmp_path / "blocked.txt"),
    }
    assert pages(read(base, "index.parquet", **files)) == "af"
    del files["index_hosts_file"]
    assert pages(read(base, "index.parquet", **files)) == "aef"
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        read(base, "index.parquet", index_hosts_file=str(tmp_path / "none.txt"))


def test_pieces_are_row_groups(base: str) -> None:
    extract = ExtractConfig(source="crawl_index", inputs=("x",), path_prefix=base)
    parts = [
        pages(list(read_crawl_index(Piece(base + "index.parquet", group, group + 1), extract, HttpConfig())))
        for group in range(4)
    ]
    assert len([part for part in parts if part]) > 2 and "".join(sorted("".join(parts))) == "abefg"


@pytest.mark.parametrize(
    ("host", "least", "most", "may"),
    [
        ("example.com", "com,a)/", "com,z)/", True),
        ("example.com", "com,example)/x", "com,example)/y", True),
        ("example.com", "com,example,www)/x", "com,f)/", True),
        ("example.com", "com,examples)/", "com,f)/", False),
        ("example.com", "com,a)/", "com,example", False),
        ("example.com", "com,a)/", "com,example)/", True),
        ("com", "biz,a)/", "com,a)/", True),
        ("com", "coop,a)/", "net,a)/", False),
    ],
)
def test_row_groups_without_the_hosts_are_passed_over(host: str, least: str, most: str, may: bool) -> None:
    chosen = Chosen(ExtractConfig(source="crawl_index", index_hosts=(host,)))
    assert chosen.may_lie_between(least, most) is may
    assert Chosen(ExtractConfig(source="crawl_index")).may_lie_between(least, most)


def test_what_is_passed_over_is_not_read(base: str, crawl: Crawl, tmp_path: Path) -> None:
    content = bytearray(crawl.table())
    about = pq.ParquetFile(io.BytesIO(bytes(content))).metadata
    for number in range(about.row_group(3).num_columns):  # of example.org's shop
        column = about.row_group(3).column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    (tmp_path / "index.parquet").write_bytes(content)
    assert pages(read(base, "index.parquet", index_hosts=("example.com",))) == "ab"
    with pytest.raises(UserError, match=r"index\.parquet: cannot be read"):
        read(base, "index.parquet", index_hosts=("org",))


@pytest.fixture
def publisher(crawl: Crawl, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(stores, "_PAUSES", (0.01, 0.01, 0.01))
    names = f"{TABLE}\n{TABLE.replace('subset=warc', 'subset=robotstxt')}\n"
    files = {f"crawl-data/{CRAWL}/cc-index-table.paths.gz": gzip.compress(names.encode())}
    files |= {TABLE: crawl.table(), ARCHIVE: crawl.archive}
    served = Publisher({f"/{name}": content for name, content in files.items()})
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_a_crawl_by_its_name_is_read_in_ranges(publisher: Publisher, crawl: Crawl) -> None:
    extract = ExtractConfig(
        source="crawl_index", inputs=(CRAWL,), path_prefix=publisher.base, index_hosts=("shop.example.org",)
    )
    (path,) = expand_inputs(extract)
    assert path == publisher.base + TABLE
    publisher.failures[f"/{ARCHIVE}"] = 2
    found = list(read_crawl_index(Piece(path), extract, HttpConfig()))
    assert pages(found) == "g", rejects(found)
    assert publisher.ranges.count(f"/{ARCHIVE}") == 1  # one record, and no more of the archive


def test_an_archive_that_is_not_there_is_told_with_the_setting(base: str, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).unlink()
    with pytest.raises(UserError, match=r"part-0\.warc\.gz: no such file") as told:
        read(base, "index.parquet")
    assert "extract.path_prefix" in told.value.remedy


def test_another_table_is_told(base: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["http://h/"], "caption": ["a dog"]}), tmp_path / "list.parquet")
    with pytest.raises(UserError, match="it has no column content_languages"):
        read(base, "list.parquet")


def test_damage_is_counted(base: str, crawl: Crawl, tmp_path: Path) -> None:
    lines = crawl.lines().splitlines(keepends=True)
    lines[1] = b"com,example)/b 20260101 {no json\n"
    lines.append(b'x 1 {"url": "http://h/long", "status": "200", "mime": "text/html", "filename": "f", ')
    lines[-1] += b'"offset": "5", "length": "99999999999"}\n'
    packed = gzip.compress(b"".join(lines))
    (tmp_path / "cdx-00000.gz").write_bytes(packed)
    found = read(base, "cdx-00000.gz")
    assert sorted(reason for reason, _ in rejects(found)) == ["broken_json", "too_large"]
    assert len(pages(found)) in (4, 5)
    (tmp_path / "cdx-00000.gz").write_bytes(packed[:-12])
    assert [reason for reason, _ in rejects(read(base, "cdx-00000.gz"))].count("broken_record") == 1
    archive = bytearray(crawl.archive)
    place = crawl.rows[0]["warc_record_offset"] + 14
    archive[place : place + 4] = b"\xff\xff\xff\xff"
    (tmp_path / ARCHIVE).write_bytes(archive)
    found = read(base, "index.parquet")
    assert len(pages(found)) == 4 and rejects(found)


def test_many_are_asked_for_at_once(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl_index, "AT_ONCE", 2)
    monkeypatch.setattr(crawl_index, "PIECE_ROWS", 3)
    found = read(base, "index.parquet")
    assert pages(found) == "abefg" and len(found) > 1


def test_the_command_reads_what_changed_settings_choose(base: str, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f'[extract]\nsource = "crawl_index"\ninputs = ["{base}index.parquet"]\npath_prefix = "{base}"\n')
    run = RunFolder(str(tmp_path / "run"))
    for hosts, expected in (("example.com", "ab"), ("org", "fg"), ("", "abefg")):
        words = ["extract", str(config), "--output", run.root, *(["--extract.index-hosts", hosts] if hosts else [])]
        assert main(words) == 0
        (table,) = [pa.Table.from_batches(iter_batches(run.candidates))]
        assert "".join(sorted(url[-1] for url in table.column("page_url").to_pylist())) == expected
