"""A crawl read by its name from a web server that publishes it as Common Crawl does, and that fails now and then."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.inputs import expand_inputs
from pipeline.read.warc import read_warc
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.read.publisher import Publisher
from webimagetext import stores
from webimagetext.errors import UserError

CRAWL = "CC-MAIN-2026-05"
PAGES = 40
HTTP = HttpConfig()


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(stores, "_PAUSES", (0.01, 0.01, 0.01))
    name = f"/crawl-data/{CRAWL}/segments/1/warc/part-0.warc.gz"
    noise = bytes(range(256)) * 2000  # so that the file is larger than what is read by one request
    pages = [http_block(f"<img src=p.jpg alt='picture number {number}'>".encode()) for number in range(PAGES)]
    records = [
        record
        for number, page in enumerate(pages)
        for record in (
            warc_record("response", f"http://example.org/{number}.html", page),
            warc_record("response", f"http://example.org/{number}.bin", http_block(noise, "application/x-bin")),
        )
    ]
    archive = b"".join(gzip.compress(record, 0) for record in records)
    served = Publisher({f"/crawl-data/{CRAWL}/warc.paths.gz": gzip.compress(name[1:].encode() + b"\n"), name: archive})
    yield served
    served.server.shutdown()
    served.server.server_close()


def config(publisher: Publisher, **changes: Any) -> ExtractConfig:
    return ExtractConfig(source="warc", inputs=(CRAWL,), path_prefix=publisher.base, **changes)


def captions(path: str) -> list[str]:
    pieces = read_warc(path, ExtractConfig(source="warc"), HTTP)
    return [row["caption"] for piece in pieces for row in piece.candidates.to_pylist()]


def test_a_crawl_by_its_name_is_read_over_http_in_ranges(publisher: Publisher) -> None:
    (path,) = expand_inputs(config(publisher))
    assert path.startswith(f"{publisher.base}crawl-data/{CRAWL}/segments/")
    assert captions(path) == [f"picture number {number}" for number in range(PAGES)]
    assert len(publisher.ranges) > 1


def test_failures_that_pass_lose_nothing(publisher: Publisher) -> None:
    name = next(name for name in publisher.files if name.endswith(".warc.gz"))
    publisher.failures.update({name: 2, f"/crawl-data/{CRAWL}/warc.paths.gz": 1})
    (path,) = expand_inputs(config(publisher))
    assert len(captions(path)) == PAGES


def test_a_failure_that_stays_is_an_error_and_never_a_file_cut_short(publisher: Publisher) -> None:
    (path,) = expand_inputs(config(publisher))
    publisher.failures[next(name for name in publisher.files if name.endswith(".warc.gz"))] = 1000
    with pytest.raises(UserError, match="the store failed"):
        captions(path)


def test_a_crawl_that_is_not_there(publisher: Publisher) -> None:
    wrong = ExtractConfig(source="warc", inputs=("CC-MAIN-2013-01",), path_prefix=publisher.base)
    with pytest.raises(UserError, match=r"CC-MAIN-2013-01/warc\.paths\.gz: no such file"):
        expand_inputs(wrong)
    with pytest.raises(UserError, match="warc or wat or crawl_index"):
        expand_inputs(ExtractConfig(source="url_list", inputs=(CRAWL,)))
