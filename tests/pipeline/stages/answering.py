"""The part of a small web server that is alike in tests: how it answers, and that it runs beside them."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Answering", "serving"]


class Answering(BaseHTTPRequestHandler):
    """Answers in one go, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, media_type: str, body: bytes) -> None:
        """Sends an answer whole."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing to print."""


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Serves while the block runs."""
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()
