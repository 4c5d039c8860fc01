"""A host that is done with its pages of a round goes on with those of the next ones while another is still asked; what
comes of the crawl is what came without that."""

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.fetch.journals import open_journal
from pipeline.fetch.spool import Spool
from pipeline.hashing import hash_strings
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from pipeline.net.client import Answer
from pipeline.read.ahead import Ahead
from pipeline.read.config import ExtractConfig
from pipeline.read.visitor import Visited
from pipeline.stages import crawl
from tests.pipeline.stages.answering import Answering, serving

DEEP = 7
SLOW, QUICK = "127.0.1.1", "127.0.1.2"


class Server(ThreadingHTTPServer):
    """A quick host with a chain of pages, of which the last leads to two more, and a slow one with a few, one of which
    leads into the middle of the chain. The slow host's first page is answered when the quick one has been asked for its
    second, and its second when the chain has come to its end; or both at once, where that is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)
        self.asked: list[tuple[str, str]] = []
        self.begun, self.reached = threading.Event(), threading.Event()
        self.at_once = False
        self.waited = True

    def page(self, host: str, name: str) -> str:
        """The links of a page."""
        if host == SLOW:
            if name in "01" and not self.at_once:
                self.waited &= (self.begun if name == "0" else self.reached).wait(20)
            quick = f"http://{QUICK}:{self.server_address[1]}"
            return {"0": '<a href="/1">on</a>', "1": f'<a href="/2">on</a><a href="{quick}/5">there</a>'}.get(name, "")
        if name == "1":
            self.begun.set()
        if name == str(DEEP):
            self.reached.set()
        return f'<a href="/{int(name) + 1}">on</a><a href="/0">back</a>' if int(name) < DEEP + 3 else ""


class _Handler(Answering):
    server: Server

    def do_GET(self) -> None:  # noqa: N802 (the name that the server calls)
        host, name = self.headers["Host"].split(":")[0], self.path.strip("/")
        self.server.asked.append((host, name))
        body = ""
        if name.isdigit():
            body = f'<title>{name}</title><img src="/{name}.png" alt="an owl on day {name}">'
            body += self.server.page(host, name)
        self.answer(200 if body else 404, "text/html", body.encode())


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    with serving(running):
        yield running


def crawled(server: Server, output: Path, *words: str) -> tuple[str, list[tuple[str, str]]]:
    """The digest of the candidates of a crawl, and what was asked for."""
    server.asked.clear()
    port = server.server_address[1]
    config = output.with_suffix(".toml")
    config.write_text(
        f'[extract]\nseeds = ["http://{SLOW}:{port}/0", "http://{QUICK}:{port}/0"]\ndepth = 30\n'
        "[http]\nallow_loopback = true\ndelay = 0.0\n"
    )
    assert main(["extract", str(config), "--output", str(output), *words]) == 0
    run = RunFolder(str(output))
    assert not list(output.glob("**/ahead"))
    return manifest_digest(run.candidates), [entry for entry in server.asked if entry[1].isdigit()]


def test_a_quick_host_goes_on_and_nothing_changes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, asked = crawled(server, tmp_path / "ahead", "--extract.max-pages", "100000")
    assert server.waited  # the chain came to its end in the second round of the slow host
    assert set(Counter(asked).values()) == {1}
    assert {int(name) for host, name in asked if host == QUICK} == set(range(DEEP + 4))
    monkeypatch.setattr(crawl._Crawling, "_ahead", lambda self, name: None)
    server.at_once = True
    assert crawled(server, tmp_path / "rounds", "--extract.max-pages", "100000")[0] == digest


def test_a_page_that_is_nearer_than_it_seemed_is_taken_as_one(tmp_path: Path) -> None:
    """Its links are as much nearer; of the last level, whose links were not read, it is asked for again."""
    config = ExtractConfig(depth=4)
    journal = partial(open_journal, str(tmp_path), "a", "form")
    ahead = Ahead(journal, lambda: (np.zeros(0, np.uint64), Counter()), config, 10, is_there=False)
    for depth in (3, 4):
        answer = Answer(f"http://a/{depth}", status=200)
        ahead.note(Visited(f"http://a/{depth}", "a", depth, answer, links=[("http://a/x", depth + 1)]))
    nearer = ahead.visit_of("http://a/3", 2)
    assert nearer is not None and (nearer.depth, nearer.links) == (2, [("http://a/x", 3)])
    same = ahead.visit_of("http://a/4", 4)
    assert same is not None and same.depth == 4
    assert ahead.visit_of("http://a/4", 2) is ahead.visit_of("http://a/3", 0) is ahead.visit_of("http://a/5", 1) is None
    ahead.close()


def test_no_more_is_asked_ahead_than_budgets_leave_room_for(tmp_path: Path) -> None:
    """Nor what an earlier round has asked for, nor anything of another host."""
    visits = [Visited("http://a/0", "a", 0, Answer("http://a/0"), links=[(f"http://a/{n}", 1) for n in range(4)])]
    visits[0].links += [("http://b/0", 1), ("http://a/1", 2)]
    known = hash_strings(pa.array(["http://a/0"]))

    def found(most: int, of_host: int) -> list[tuple[str, int]]:
        config = ExtractConfig(max_pages_per_host=of_host)
        ahead = Ahead(Spool, lambda: (known, Counter(a=1)), config, most, is_there=False)  # type: ignore[arg-type]
        ahead.prepare()
        return ahead.next_pages("a", visits) + ahead.next_pages("a", visits)

    assert found(3, 7) == [("http://a/1", 1), ("http://a/2", 1), ("http://a/3", 1)]
    assert found(2, 7) == found(3, 6) == []


def test_a_budget_that_may_bind_lets_nothing_be_asked_ahead(server: Server, tmp_path: Path) -> None:
    """All that is asked for has its row."""
    server.at_once = True
    _, asked = crawled(server, tmp_path / "few", "--extract.max-pages", "5")
    assert len(asked) == 5
