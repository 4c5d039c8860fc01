"""A crawl of several hosts that link to each other: the same in this process as in graphs, with one worker or two, and
round by round what one list of all pages gives."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.engines import engine
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, iter_batches, manifest_digest
from pipeline.net.client import Memory
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import crawl_bucket
from pipeline.read.crawls import current_crawl, round_folder
from pipeline.read.frontier import admit, seed_frontier
from tests.pipeline.stages.answering import Answering, serving

HOSTS, PAGES = 7, 60
BUDGETS = {"depth": 5, "max_pages": 1000, "max_pages_per_host": 20, "scope": "any"}


class _Handler(Answering):
    def do_GET(self) -> None:  # noqa: N802 (the name that the server calls)
        host, port = self.headers["Host"].split(":")
        name = self.path.strip("/")
        draw = random.Random(f"{host} {name}")
        links = [
            f'<a href="http://127.0.1.{draw.randrange(1, HOSTS + 1)}:{port}/{draw.randrange(PAGES)}">on</a>'
            for _ in range(draw.randrange(5))
        ]
        page = f'<img src="/{name}.png" alt="an owl, number {name} of {host}">{"".join(links)}'
        body = page.encode() if name.isdigit() else b""
        self.answer(200 if body else 404, "text/html", body)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where every host of 127.0.1.x answers."""
    server = ThreadingHTTPServer(("", 0), _Handler)
    with serving(server):
        yield server.server_address[1]


def seeds(port: int) -> list[str]:
    return [f"http://127.0.1.{host}:{port}/{host}" for host in (1, 2, 5)]


def frontiers(folder: str) -> list[list[str]]:
    """The pages asked for in each round of the crawl in a run folder."""
    run = RunFolder(folder)
    crawl = current_crawl(run)
    assert crawl is not None
    found: list[list[str]] = []
    while is_complete(pages := round_folder(crawl, len(found), "pages")):
        urls = [url for batch in iter_batches(pages, ["url"]) for url in batch.column("url").to_pylist()]
        found.append(sorted(urls))
    return found


def crawled(folder: Path, port: int, *words: str) -> tuple[list[list[str]], str]:
    """The rounds of a crawl and the digest of its candidates."""
    config = folder.with_suffix(".toml")
    told = "\n".join(f"{name} = {json.dumps(value)}" for name, value in {"seeds": seeds(port), **BUDGETS}.items())
    config.write_text(f"[extract]\n{told}\n[http]\nallow_loopback = true\ndelay = 0\n")
    assert main(["extract", str(config), "--output", str(folder), *words]) == 0
    return frontiers(str(folder)), manifest_digest(RunFolder(str(folder)).candidates)


@pytest.mark.slow
def test_rounds_are_the_same_here_and_in_graphs(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, digest = crawled(tmp_path / "here", port)
    monkeypatch.setattr(engine, "HERE_UP_TO", 0)
    assert crawled(tmp_path / "graphs", port) == (rounds, digest)
    assert crawled(tmp_path / "workers", port, "--workers", "2") == (rounds, digest)
    assert rounds == of_one_list(port)
    asked = [url for of_round in rounds for url in of_round]
    assert len(asked) == len(set(asked)) > 90 and len(rounds) > 3
    assert max(Counter(url.split("/")[2] for url in asked).values()) == BUDGETS["max_pages_per_host"]


def of_one_list(port: int) -> list[list[str]]:
    """The simple way: all pages in one bucket, and all that was asked for in one set."""
    extract = ExtractConfig(seeds=tuple(seeds(port)), **BUDGETS)  # type: ignore[arg-type]
    frontier, asked, rounds, memory = seed_frontier(extract), set[str](), list[list[str]](), Memory()
    http = HttpConfig(allow_loopback=True, delay=0)
    while frontier.num_rows:
        urls = frontier.column("url").to_pylist()
        rounds.append(sorted(urls))
        asked |= set(urls)
        by_host = Counter(url.split("/")[2].split(":")[0] for url in asked)
        links: pa.Table = crawl_bucket(frontier, http, extract, memory=memory).links
        frontier = admit(links, asked, extract, asked=len(asked), asked_by_host=by_host)
    return rounds


def test_a_crawl_ends_before_a_round_and_goes_on(port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the pages that one command may ask for: what it has is collected, what is open told, and in the end it is the
    crawl that one command makes."""
    whole = crawled(tmp_path / "whole", port)
    run = RunFolder(str(tmp_path / "parts"))
    rounds: list[list[str]] = []
    for number in range(len(whole[0])):
        rounds, digest = crawled(tmp_path / "parts", port, "--extract.max-requests", "1")
        assert rounds == whole[0][: number + 1]
        last = number == len(whole[0]) - 1
        told = capsys.readouterr().err
        assert is_complete(run.candidates) == last == (digest == whole[1]) == ("not finished" not in told)
        if not last:
            of_host = Counter(url.split("/")[2].split(":")[0] for url in whole[0][number + 1])
            assert f"not finished: {of_host.total()} pages are open" in told
            assert "; extract.max_requests = 1)" in told and f": {max(of_host.values())}" in told
    asked = sum(map(len, whole[0][:2]))
    assert crawled(tmp_path / "two", port, "--extract.max-requests", str(asked))[0] == whole[0][:2]
    # With other settings it begins anew; the unfinished one goes when that is whole.
    assert (
        crawled(tmp_path / "two", port, "--extract.depth", "1")[0]
        == crawled(tmp_path / "one", port, "--extract.depth", "1")[0]
    )
    assert len(list(Path(RunFolder(str(tmp_path / "two")).crawl).iterdir())) == 2


def test_a_crawl_ends_when_its_hours_are_over(port: int, tmp_path: Path) -> None:
    rounds, _ = crawled(tmp_path / "run", port, "--extract.max-hours", "1e-9")
    assert len(rounds) == 1
    assert len(crawled(tmp_path / "run", port, "--extract.max-hours", "1")[0]) > 3
