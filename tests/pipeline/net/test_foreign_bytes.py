"""Servers whose headers are in no encoding: every address ends with a row, and no journal is left that cannot be
read."""

import asyncio
import json
import struct
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_server import HostileServer

from pipeline.fetch.bucket import fetch_bucket
from pipeline.fetch.part import open_spool
from pipeline.fetch.spool import Spool
from pipeline.image.config import ImageConfig
from pipeline.net.client import Answer, Memory, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import crawl_bucket
from pipeline.read.frontier import frontier_table
from tests.pipeline.net.strange_headers import PICTURE, STRANGE, reply
from webimagetext.foreign import valid

IMAGE = ImageConfig()
TAKEN = {"/other-header", "/picture", "/robots-tag", "/status-words", "/to-latin", "/to-utf-8"}
TAKEN |= {"/caf%E9.jpg", "/caf%C3%A9.jpg"}


def test_every_address_of_a_strange_server_has_a_row(quick: HttpConfig, tmp_path: Path) -> None:
    with HostileServer(STRANGE) as server:
        urls = [server.url + path for path in STRANGE]
        rows = {
            row["url"][len(server.url) :]: row
            for row in fetch_bucket(urls, str(tmp_path), "a", quick, IMAGE).to_pylist()
        }
    assert set(rows) == set(STRANGE)
    assert {path for path, row in rows.items() if row["status"] == "success"} >= TAKEN - {"/other-header"}
    assert rows["/type"]["status"] == "wrong_type" and rows["/type"]["error_message"] == "text/h��tml"
    assert rows["/later"]["status"] == "http_429"
    assert rows["/to-host"]["status"] in ("bad_redirect", "bad_url", "dns_error")
    assert all(len(row["error_message"] or "") <= 300 for row in rows.values())
    assert rows["/to-latin"]["sha256"] == rows["/caf%E9.jpg"]["sha256"] != rows["/to-utf-8"]["sha256"]
    assert rows["/to-utf-8"]["sha256"] == rows["/caf%C3%A9.jpg"]["sha256"]


def test_every_word_of_an_answer_is_text(quick: HttpConfig) -> None:
    async def ask(urls: list[str]) -> list[Answer]:
        async with PoliteClient(quick, memory=Memory()) as client:
            return [await client.get(url, types=("image/",)) for url in urls]

    with HostileServer(STRANGE) as server:
        answers = asyncio.run(ask([server.url + path for path in STRANGE]))
    for answer in answers:
        headers = [text for name, values in answer.headers.items() for text in (name, *values)]
        said = [answer.final_url, answer.reason, answer.detail, answer.consent_evidence, *headers]
        assert [text for text in said if valid(text) != text] == []
    assert answers[list(STRANGE).index("/picture")].header("etag") == "�"


def test_a_crawl_goes_on_past_strange_pages(quick: HttpConfig) -> None:
    page = b"<html lang='e\x01n\xff'><title>a\x00\xe9\x1b</title><img src=/p.png alt='a \x01 dog \x9f runs &#xD800;'>"
    odd = b"Content-Type: text/html; charset=\xe9\xff\r\n"
    undefined, escape = (
        b"Content-Type: text/html; charset=%b\r\n" % name for name in (b"undefined", b"unicode_escape")
    )
    strange = STRANGE | {
        "/": reply(odd, page),
        "/undefined": reply(undefined, page),
        "/escape": reply(escape, page + b"\\ud800 \\q"),
    }
    with HostileServer(strange) as server:
        urls = [(server.url + path, 0) for path in strange]
        result = crawl_bucket(frontier_table(urls), quick, ExtractConfig(), memory=Memory())
    pages = {row["url"][len(server.url) :]: row for row in result.pages.to_pylist()}
    assert set(pages) == set(strange)
    assert [pages[path]["status"] for path in ("/", "/undefined", "/escape")] == ["success"] * 3
    assert pages["/"]["title"].isprintable() and pages["/"]["language"] == "e nÿ"
    pairs = [row for batch in result.candidates for row in batch.to_pylist()]
    assert sorted({row["caption"] for row in pairs}) == ["a dog Ÿ runs �"]


def test_evidence_keeps_its_length(quick: HttpConfig, tmp_path: Path) -> None:
    rule = b"Disallow: /no" + b"x" * 400_000 + b"*\nDisallow: /" + b"*a" * 5_000 + b"\n"
    strange = {
        "/robots.txt": reply(
            b"Content-Type: text/plain\r\n", b"User-agent: *\nAllow: /" + b"*" * 100_000 + b"p\n" + rule
        ),
        "/p": reply(b"Content-Type: image/jpeg\r\n", PICTURE),
        "/" + "a" * 5_000: reply(b"", PICTURE),
    }
    with HostileServer(strange) as server:
        rows = fetch_bucket([server.url + path for path in strange], str(tmp_path), "a", quick, IMAGE).to_pylist()
    assert {row["url"][len(server.url) :][:9]: row["status"] for row in rows}["/p"] == "success"
    assert all(len(row[name] or "") < 2_000 for row in rows for name in ("consent_evidence", "error_message"))


def old_record(facts: object, data: bytes = b"") -> bytes:
    text = json.dumps(facts).encode()
    return struct.pack("<IIQ", zlib.crc32(text + data), len(text), len(data)) + text + data


def test_a_journal_that_an_earlier_version_damaged_is_healed(
    quick: HttpConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileServer(STRANGE) as server:
        good, healed, lost, wide = (server.url + path for path in ("/picture", "/type", "/robots-tag", "/status-words"))
        with open_spool(str(tmp_path), "a", IMAGE):
            pass
        written = [
            {"url": healed, "status": "wrong_type", "error_message": "text/h\udce9\udcfftml", "http_status": 200},
            {"url": lost, "status": "success", "width": "wide", "http_status": 200},
            {"url": wide, "status": "http_1", "http_status": 10**9},
            {"status": "of nothing"},
            ["no record"],
        ]
        with (tmp_path / "a.spool").open("ab") as stream:
            stream.write(b"".join(map(old_record, written)))
        rows = fetch_bucket([good, healed, lost, wide], str(tmp_path), "a", quick, IMAGE).to_pylist()
        asked = server.paths()
    assert [row["status"] for row in rows] == ["success", "wrong_type", "success", "success"]
    assert rows[1]["error_message"] == "text/h��tml" and "/type" not in asked
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4 and all("left out" in line for line in said)
    assert sum(lost in line or wide in line for line in said) == 2
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 4


def test_a_journal_takes_no_text_that_a_table_refuses(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.spool"
    with Spool(path, "f") as spool:
        spool.add({"url": "u", "status": "s", "error_message": "\udce9\0"}, b"\xff")
        assert spool.get("u") == ({"url": "u", "status": "s", "error_message": "� "}, b"\xff")
    with Spool(path, "f") as spool:
        assert spool.get("u") == ({"url": "u", "status": "s", "error_message": "� "}, b"\xff")
