"""A crawl that is killed in the middle of a bucket asks again at most for the pages that were under way, and ends with
the bytes of one that nobody disturbed."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.fetch.spool import Spool
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from pipeline.net.client import Answer
from pipeline.net.consent import Consent
from pipeline.read.journal import known_visit, note_visit
from pipeline.read.pages import Page, Pair
from pipeline.read.visitor import Visited
from tests.pipeline.stages.answering import Answering, serving

PAGES, LANES = 60, 2


class Server(ThreadingHTTPServer):
    """One host whose front page links to all others; ``kill_at``: the request for a page at which ``victim`` is
    killed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.kill_at = 0
        self.victim: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Killed clients are no news."""


class _Handler(Answering):
    server: Server

    def do_GET(self) -> None:  # noqa: N802 (the name that the server calls)
        name = self.path.strip("/")
        with self.server.lock:
            self.server.asked.append(self.path)
            pages = sum(path.strip("/").isdigit() for path in self.server.asked)
            if self.server.victim is not None and pages and pages == self.server.kill_at:
                os.killpg(self.server.victim.pid, signal.SIGKILL)
        links = "".join(f'<a href="/{number}">on</a>' for number in range(1, PAGES)) if name == "0" else ""
        page = f'<title>Day {name}</title><img src="/{name}.png" alt="an owl on day {name}">{links}'
        body = page.encode() if name.isdigit() else b""
        self.answer(200 if body else 404, "text/html", body)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    with serving(running):
        yield running


def crawl(server: Server, output: Path) -> int:
    """One command; its exit status."""
    port = server.server_address[1]
    config = output.with_suffix(".toml")
    config.write_text(
        f'[extract]\nseeds = ["http://127.0.0.1:{port}/0"]\n'
        f"[http]\nallow_loopback = true\ndelay = 0.01\nconcurrency_per_host = {LANES}\n"
    )
    words = [sys.executable, "-m", "pipeline", "extract", str(config), "--output", str(output)]
    server.victim = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    return server.victim.wait(timeout=120)


@pytest.mark.slow
def test_only_what_was_under_way_is_asked_again(server: Server, tmp_path: Path) -> None:
    assert crawl(server, tmp_path / "whole") == 0
    whole = Counter(server.asked)
    assert sum(whole.values()) == PAGES + 3
    server.asked.clear()
    for kill_at in (20, 45):
        server.kill_at = kill_at
        assert crawl(server, tmp_path / "killed") == -signal.SIGKILL
    server.kill_at = 0
    assert crawl(server, tmp_path / "killed") == 0
    again = Counter(server.asked) - whole
    pages = {path: count for path, count in again.items() if path.strip("/").isdigit()}
    assert sum(pages.values()) <= 2 * LANES, again
    assert sum((again - Counter(pages)).values()) <= 2 * 3  # policy files, which each process asks for
    runs = [RunFolder(str(tmp_path / name)) for name in ("whole", "killed")]
    assert len({manifest_digest(run.candidates) for run in runs}) == 1
    assert len({manifest_digest(run.rejects("extract")) for run in runs}) == 1
    names = [{path.relative_to(run.root) for path in Path(run.root).rglob("*")} for run in runs]
    assert names[0] == names[1] and not any("journals" in str(name) for name in names[1])


def test_a_visit_comes_back_as_it_was(tmp_path: Path) -> None:
    """But for what nobody reads any more."""
    pair = Pair("http://h/a.jpg", "an owl", [("alt", "an owl"), ("title", "half a \ud800 character")], 640, None)
    whole = Visited(
        "http://h/",
        "h",
        2,
        Answer(
            "http://h/", "http://h/x", 200, {"a": ("b",)}, b"body", "sitemap", "detail", "allowed", "robots.txt: none"
        ),
        Page(
            [pair],
            ["http://h/l"],
            "en",
            "Owls",
            [("robots", "all")],
            [("http://h/i", "no_text")],
            "http://h/c",
            "http://h/r",
        ),
        Consent("allowed", "meta: none", "words"),
        [("http://h/1", 3)],
        [(dataclasses.replace(pair, width=None), "http://h/p")],
        4711,
    )
    path = str(tmp_path / "a.spool")
    with Spool(path, "1") as journal:
        note_visit(journal, whole)
        journal.add({"url": "http://h/broken"}, b'{"host": "h"}')
    whole.answer.headers, whole.answer.body, whole.page.links, whole.page.metas = {}, b"", [], []
    with Spool(path, "1") as journal:
        assert known_visit(journal, "http://h/") == whole
        assert known_visit(journal, "http://h/broken") is None and "http://h/broken" not in journal
        assert known_visit(journal, "http://h/other") is None
    with Spool(path, "2") as journal:
        assert known_visit(journal, "http://h/") is None
