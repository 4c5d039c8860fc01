"""A real web server on loopback that serves pictures, trouble, and a record of what was asked."""

import io
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from pipeline.net.config import HttpConfig


def picture(number: int, size: tuple[int, int] = (400, 300)) -> bytes:
    """A JPEG that differs for every number."""
    generator = np.random.default_rng(number)
    small = Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    stream = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


class ImageServer(ThreadingHTTPServer):
    """``/image/N.jpg`` is a picture; other paths misbehave as their names say. ``asked`` counts requests by path."""

    daemon_threads = True
    picture = staticmethod(picture)
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)  # every 127.x.y.z is a host of its own
        self.asked: Counter[str] = Counter()
        self.jitter = 0.0  # seconds an answer may take, at random
        self.failing = True  # whether /recovering/ fails
        self.base = f"http://127.0.0.1:{self.server_address[1]}"

    def urls(self, count: int) -> list[str]:
        return [f"{self.base}/image/{number}.jpg" for number in range(count)]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    server: ImageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        time.sleep(random.random() * self.server.jitter)
        kind, name = ([*self.path.strip("/").split("/"), ""])[:2]
        if kind in ("image", "recovering") and not (kind == "recovering" and self.server.failing):
            self._answer(200, picture(int(name.split(".")[0])), "image/jpeg")
        elif kind == "recovering":
            self._answer(404 if name == "gone.jpg" else 503, b"later", "text/plain")
        elif kind == "page":
            self._answer(200, b"<!doctype html>", "text/html")
        elif kind == "broken":
            self._answer(200, picture(1)[:3000], "image/jpeg")
        elif kind == "text-as-image":
            self._answer(200, b"no picture", "image/jpeg")
        elif kind == "noai":
            self._answer(200, picture(2), "image/jpeg", {"X-Robots-Tag": "noai"})
        elif kind == "busy":
            self._answer(429, b"", "text/plain")
        elif kind == "slow":
            time.sleep(3)
            self._answer(200, picture(3), "image/jpeg")
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, media: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are counted, not printed."""


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def http() -> HttpConfig:
    """Quick enough for a test, on loopback."""
    return HttpConfig(delay=0, concurrency_per_host=8, retries=0, deadline=5, host_failures=1000, allow_loopback=True)
