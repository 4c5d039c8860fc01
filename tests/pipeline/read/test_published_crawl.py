"""A crawl read by its name from a web server that publishes it as Common Crawl does, and that fails now and then."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.inputs import expand_inputs
from pipeline.read.warc import read_warc
from pipeline.tables.schema import CANDIDATES
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.read.publisher import Publisher
from webimagetext import stores
from webimagetext.command import run_command
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


NEWS = "crawl-data/CC-NEWS/2026/05"
ARCHIVES = 6


@pytest.fixture
def news(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A month of news: a few archives, and the list of their paths."""
    monkeypatch.setattr(stores, "_PAUSES", (0.01, 0.01, 0.01))
    archives = {}
    for number in range(ARCHIVES):
        page = http_block(f"<img src=p.jpg alt='news of the day {number}'>".encode())
        archives[f"{NEWS}/CC-NEWS-2026050{number}-1.warc.gz"] = gzip.compress(
            warc_record("response", f"http://paper-{number}.example.org/", page)
        )
    served = Publisher({f"/{name}": content for name, content in archives.items()})
    served.files[f"/{NEWS}/warc.paths.gz"] = gzip.compress("\n".join(archives).encode() + b"\n")
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_a_month_of_news_by_name_by_its_list_and_by_a_copy_of_it(news: Publisher, tmp_path: Path) -> None:
    expected = sorted(f"{news.base}{name[1:]}" for name in news.files if name.endswith(".warc.gz"))
    by_name = ExtractConfig(source="warc", inputs=("CC-NEWS-2026-05",), path_prefix=news.base)
    by_list = ExtractConfig(source="warc", inputs=(f"{news.base}{NEWS}/warc.paths.gz",))
    copy = tmp_path / "may.paths"
    copy.write_bytes(gzip.decompress(news.files[f"/{NEWS}/warc.paths.gz"]))
    by_copy = ExtractConfig(source="warc", inputs=(str(copy),), path_prefix=news.base)
    assert expand_inputs(by_name) == expand_inputs(by_list) == expand_inputs(by_copy) == expected
    elsewhere = ExtractConfig(source="warc", inputs=by_list.inputs, path_prefix="s3://commoncrawl/")
    assert expand_inputs(elsewhere)[0].startswith(f"s3://commoncrawl/{NEWS}/CC-NEWS-")
    assert expand_inputs(ExtractConfig(inputs=(str(copy),)))[0].startswith("crawl-data/")
    with pytest.raises(UserError, match="WARC files alone"):
        expand_inputs(ExtractConfig(source="wat", inputs=by_name.inputs))
    with pytest.raises(UserError, match=r"2013/05/warc\.paths\.gz: no such file"):
        expand_inputs(ExtractConfig(source="warc", inputs=("CC-NEWS-2013-05",), path_prefix=news.base))


def test_a_run_over_the_news_goes_on_with_the_files_that_were_not_read(news: Publisher, tmp_path: Path) -> None:
    queries = {"query": ["news"], "surface": ["news"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]}
    pq.write_table(pa.table(queries), tmp_path / "queries.parquet")
    (tmp_path / "run.toml").write_text(
        f'queries = "{tmp_path}/queries.parquet"\n'
        f'[extract]\nsource = "warc"\ninputs = ["CC-NEWS-2026-05"]\narchive_images = false\n'
        f'path_prefix = "{news.base}"\n'
    )
    words = ["extract", f"{tmp_path}/run.toml", "--output", f"{tmp_path}/run"]
    archives = {name for name in news.files if name.endswith(".warc.gz")}
    last = max(archives)
    news.failures[last] = 1000
    assert run_command(lambda: main(words)) != 0
    news.failures.clear()
    read_before = {name for name in news.given if name.endswith(".warc.gz")}
    assert read_before and last not in read_before
    news.given.clear()
    assert main(words) == 0
    assert {name for name in news.given if name.endswith(".warc.gz")} == archives - read_before
    kept = read_table(RunFolder(f"{tmp_path}/run").candidates, CANDIDATES).column("caption").to_pylist()
    assert sorted(kept) == [f"news of the day {number}" for number in range(ARCHIVES)]
