"""Two object stores on loopback: moto's S3 server and an emulator of Google Cloud Storage, both noting what they are
asked.

In: nothing. Out: running servers on free ports, in threads of the test's process, so that they answer other processes
too.
"""

import contextlib
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from gcp_storage_emulator import server as gcs
from gcp_storage_emulator.storage import Storage
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Store", "google_store", "s3_store"]

KEY, SECRET = "AKIAEXAMPLEEXAMPLE42", "example+secret/that+nobody+may+write+down"


@dataclass
class Store:
    """A running server: the scheme of its URLs, its address, and (verb, object, bytes sent) of every request.

    ``before`` is called with verb and object of each request and may end the process, or wait; what it returns, if not
    None, is answered as the HTTP status instead. ``after`` is the same once S3 has done what was asked.
    """

    scheme: str
    address: str = ""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    before: Callable[[str, str], int | None] = lambda verb, name: None
    after: Callable[[str, str], int | None] = lambda verb, name: None
    reason: tuple[str, str] = ("InternalError", "told to fail")  # what S3 answers then: a code and a message
    make_bucket: Callable[[str], None] = lambda name: None

    def kinds(self) -> Counter[str]:
        """How many requests of each kind."""
        return Counter(verb for verb, _, _ in self.asked)

    def of(self, verb: str, name: str) -> list[str]:
        """The objects, by a part of their names, that requests of one kind were for."""
        return [found for kind, found, _ in self.asked if kind == verb and name in found]


def _s3_verb(method: str, key: str, query: str) -> str:
    names = set(re.findall(r"(?:^|&)([^=&]+)", query))
    if "uploads" in names:
        return "begin upload" if method == "POST" else "list uploads"
    if "uploadId" in names:
        return {"PUT": "upload part", "POST": "end upload", "DELETE": "abort upload"}.get(method, method)
    if "delete" in names:
        return "delete"
    if not key:
        return {"GET": "list", "HEAD": "bucket", "PUT": "make bucket"}.get(method, method)
    return {"GET": "get", "HEAD": "head", "PUT": "put", "DELETE": "delete"}.get(method, method)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def s3_store() -> Iterator[Store]:
    """moto's server, as ``python -m moto.server`` runs it."""
    store = Store("s3")
    inner = DomainDispatcherApplication(create_backend_app)

    def fail(status: int, start_response: Any) -> Iterable[bytes]:
        start_response(f"{status} Told to", [("Content-Type", "application/xml")])
        code, message = store.reason
        return [f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()]

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        verb = _s3_verb(environ["REQUEST_METHOD"], key, environ["QUERY_STRING"])
        status = store.before(verb, key)
        if status is not None:
            return fail(status, start_response)
        sent, answered = 0, []

        def counting(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal sent
            sent = int(dict(headers).get("Content-Length", 0)) if environ["REQUEST_METHOD"] == "GET" else 0
            answered[:] = [line, headers]
            return lambda data: None

        answer = list(inner(environ, counting))
        store.asked.append((verb, key, sent))
        status = store.after(verb, key)
        if status is not None:
            return fail(status, start_response)
        start_response(*answered)
        return answer

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _google_verb(method: str, path: str, query: str) -> tuple[str, str]:
    name = path.partition("/o/")[2]
    if "uploadType" in query or "upload_id" in query:
        return ("begin upload" if method == "POST" else {"PUT": "upload part"}.get(method, "abort upload")), name
    if path.endswith(("/o", "/o/")):
        return "list", ""
    if path.startswith("/batch"):
        return "delete", ""
    if not name:
        return "bucket", ""
    return ("get" if path.startswith("/download") or "alt=media" in query else "head") if method == "GET" else {
        "DELETE": "delete"
    }.get(method, method), name


@contextlib.contextmanager
def google_store() -> Iterator[Store]:
    """The emulator of Google Cloud Storage."""
    store = Store("gs")
    storage = Storage(use_memory_fs=True)

    class Handler(gcs.RequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: Any) -> None:
            super().__init__(storage, *args)

        def log_message(self, form: str, *args: object) -> None:
            pass

        def parse_request(self) -> bool:
            parsed = super().parse_request()
            if parsed:
                path, _, query = self.path.partition("?")
                verb, name = _google_verb(self.command, path, query)
                store.asked.append((verb, name, 0))
                status = store.before(verb, name)
                if status is not None:
                    self.send_error(status)
                    return False
            return parsed

        def do_DELETE(self) -> None:  # noqa: N802
            found = parse_qs(self.path.partition("?")[2]).get("upload_id")
            if found is None:
                super().do_DELETE()
                return
            # Taking back an upload: the real store does it and answers so, the emulator knows nothing of it.
            storage.delete_resumable_file_obj(found[0])
            self.send_response(499, "Client Closed Request")
            self.send_header("Content-Length", "0")
            self.end_headers()

    for name in ("gcp_storage_emulator", "api"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that hung up: gcsfs asks two questions at once and drops the slower answer

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.address = f"http://127.0.0.1:{server.server_port}"
    store.make_bucket = lambda name: gcs.buckets.create_bucket(name, storage) and None
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
