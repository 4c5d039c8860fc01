"""Downloads from a server on loopback that resumes, breaks off, and lies."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import requests

from query_builder.sources.download import RemoteFile, fetch, list_dump
from webimagetext.errors import UserError

CONTENT = bytes(range(256)) * 4000
FILES = {
    "enwiki-20260101-pages-articles-multistream1.xml-p1p9.bz2": {
        "size": len(CONTENT),
        "sha1": hashlib.sha1(CONTENT).hexdigest(),
    },
    "enwiki-20260101-pages-articles-multistream-index1.txt-p1p9.bz2": {"size": 3, "sha1": "x"},
}
STATUS = {
    "jobs": {"articlesmultistreamdump": {"status": "done", "files": FILES}, "articlesdump": {"status": "waiting"}}
}


class Handler(http.server.BaseHTTPRequestHandler):
    ranges: ClassVar[list[str | None]] = []
    break_off = 0
    busy = 0

    def do_GET(self) -> None:
        kind = type(self)
        if kind.busy:
            kind.busy -= 1
            self.send_response(503)
            self.send_header("Retry-After", "3")
            self.end_headers()
            return
        body = json.dumps(STATUS).encode() if self.path.endswith("dumpstatus.json") else CONTENT
        if "absent" in self.path:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        kind.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if kind.break_off:
            kind.break_off -= 1
            self.wfile.write(body[start : start + 300_000])
            return
        self.wfile.write(body[start:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    Handler.ranges, Handler.break_off, Handler.busy = [], 0, 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_dump_is_listed_without_its_index(server: str) -> None:
    with requests.Session() as session:
        files = list_dump(session, server, "enwiki-20260101")
        assert [file.url.rsplit("/")[-1] for file in files] == [next(iter(FILES))]
        assert files[0].sha1 == hashlib.sha1(CONTENT).hexdigest()
        for bad in ("enwiki", "enwiki-latest"):
            with pytest.raises(UserError, match="not the name of a dump"):
                list_dump(session, server, bad)
        with pytest.raises(UserError, match="404"):
            list_dump(session, f"{server}/absent", "enwiki-20260101")


def test_a_broken_download_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    Handler.break_off = 2
    waits: list[float] = []
    remote = RemoteFile(f"{server}/a", len(CONTENT), hashlib.sha1(CONTENT).hexdigest())
    with requests.Session() as session:
        fetch(session, remote, str(tmp_path / "a"), waits.append)
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert len(Handler.ranges) == 3
        assert Handler.ranges[0] is None
        assert Handler.ranges[1] is not None
        assert waits == [1.0, 2.0]
        fetch(session, remote, str(tmp_path / "a"))
        assert len(Handler.ranges) == 3, "what is there is not fetched again"
        (tmp_path / "b.part").write_bytes(CONTENT)
        fetch(session, RemoteFile(f"{server}/b", len(CONTENT)), str(tmp_path / "b"))
        assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_busy_server_is_given_the_time_it_asks_for(server: str, tmp_path: Path) -> None:
    Handler.busy = 1
    waits: list[float] = []
    with requests.Session() as session:
        fetch(session, RemoteFile(f"{server}/a"), str(tmp_path / "a"), waits.append)
    assert waits == [3.0]


@pytest.mark.parametrize(("remote", "message"), [({"sha1": "0" * 40}, "SHA-1"), ({"size": 5}, "published")])
def test_a_file_that_is_not_the_published_one_is_not_kept(
    server: str, tmp_path: Path, remote: dict[str, object], message: str
) -> None:
    with requests.Session() as session, pytest.raises(UserError, match=message):
        fetch(session, RemoteFile(f"{server}/a", **remote), str(tmp_path / "a"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
