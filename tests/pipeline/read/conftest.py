"""Fixtures for tests of the sources: configurations, archives built record by record, and a site on loopback."""

import gzip
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.net.config import HttpConfig

sys.path.insert(0, str(Path(__file__).parent))  # for archive_records

Site = Callable[[dict[str, "str | bytes | int | tuple[str, bytes]"]], str]


@pytest.fixture
def quick() -> HttpConfig:
    """Requests without a delay to loopback."""
    return HttpConfig(delay=0.0, allow_loopback=True, backoff=0.01, deadline=5.0, concurrency_per_host=8)


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., str]:
    """Writes records into a WARC file, each in a gzip member of its own unless ``plain``, and returns its path."""

    def write(*records: bytes, plain: bool = False) -> str:
        path = tmp_path / ("test.warc" if plain else "test.warc.gz")
        path.write_bytes(b"".join(records if plain else map(gzip.compress, records)))
        return str(path)

    return write


@pytest.fixture
def site() -> Iterator[tuple[Site, list[str]]]:
    """(serve, log): ``serve`` starts a web server on loopback for pages by path and returns its origin; ``log`` lists
    its requests.

    A page is text or bytes (HTML), a status, or (media type, bytes); a media type "location" makes a redirect.
    """
    servers: list[http.server.ThreadingHTTPServer] = []
    log: list[str] = []

    def serve(pages: dict[str, str | bytes | int | tuple[str, bytes]]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                log.append(self.path)
                page = pages.get(self.path, 404)
                kind, body = page if isinstance(page, tuple) else ("text/html", page)
                status = body if isinstance(body, int) else 302 if kind == "location" else 200
                content = body.encode() if isinstance(body, str) else b"" if isinstance(body, int) else body
                self.send_response(status)
                self.send_header(*(("Location", content.decode()) if kind == "location" else ("Content-Type", kind)))
                content = b"" if kind == "location" else content
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve, log
    for server in servers:
        server.shutdown()
        server.server_close()
