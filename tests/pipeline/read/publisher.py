"""A web server that publishes files as Common Crawl does, and fails when it is told to."""

import http.server
import re
import threading
from collections import Counter
from typing import Any

__all__ = ["Publisher"]


class Publisher:
    """A server of files by range; ``failures`` says how many of the next requests for a path get a 503."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.failures: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.given: list[str] = []  # paths of which content was sent
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET(send=False)

            def do_GET(self, *, send: bool = True) -> None:
                content = publisher.files.get(self.path)
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if publisher.failures[self.path] > 0:
                    publisher.failures[self.path] -= 1
                    status, body = 503, b"slow down"
                elif content is None:
                    status, body = 404, b""
                elif asked:
                    publisher.ranges.append(self.path)
                    status, body = 206, content[int(asked[1]) : int(asked[2] or len(content)) + 1]
                else:
                    status, body = 200, content
                if send and status < 300:
                    publisher.given.append(self.path)
                self.send_response(status)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(body)))
                if asked and status == 206:
                    last = int(asked[1]) + len(body) - 1
                    self.send_header("Content-Range", f"bytes {asked[1]}-{last}/{len(content or b'')}")
                self.end_headers()
                if send:
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
