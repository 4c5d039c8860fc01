"""A web server on loopback that misbehaves in every way a crawler meets: one path for each way.

Run it alone (``python hostile_server.py``) to look at it with another client, or use :class:`HostileServer` in a test.
It speaks raw HTTP, because no decent server library would send these answers.
"""

import asyncio
import contextlib
import gzip
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Self

BOMB = gzip.compress(bytes(64_000_000), 9)  # 62 KB that become 64 MB
PAGE = b"<html><body><img src='/image.png' alt='a small grey picture'></body></html>"

Writer = asyncio.StreamWriter
Behaviour = Callable[[Writer], Awaitable[None]]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> Behaviour:
    """An honest answer; an underscore in a header's name stands for a hyphen."""
    headers.setdefault("Content_Length", str(len(body)))
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items() if value)
    return raw(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def raw(content: bytes) -> Behaviour:
    """Exactly these bytes."""

    async def send(writer: Writer) -> None:
        writer.write(content)
        await writer.drain()

    return send


def stream(head: bytes, piece: bytes, pause: float) -> Behaviour:
    """A head, then the same piece for ever."""

    async def send(writer: Writer) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return send


def redirect(location: str) -> Behaviour:
    """A redirect."""
    return answer(status="302 Found", Location=location)


async def _silent(_writer: Writer) -> None:
    await asyncio.sleep(3600)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

BEHAVIOURS: dict[str, Behaviour] = {
    "/page": answer(PAGE, Content_Type="text/html"),
    "/gzip": answer(gzip.compress(PAGE), Content_Type="text/html", Content_Encoding="gzip"),
    "/raw-deflate": answer(zlib.compress(PAGE)[2:-4], Content_Type="text/html", Content_Encoding="deflate"),
    "/drip": stream(CHUNKED, b"1\r\nx\r\n", 0.1),
    "/endless": stream(CHUNKED, b"10000\r\n" + bytes(65536) + b"\r\n", 0),
    "/endless-without-length": stream(OK + b"Connection: close\r\n\r\n", bytes(65536), 0),
    "/endless-headers": stream(OK, b"X-More: and more\r\n", 0),
    "/endless-interim": stream(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "/silent": _silent,
    "/gzip-bomb": answer(BOMB, Content_Encoding="gzip"),
    "/gzip-bomb-twice": answer(gzip.compress(BOMB), Content_Encoding="gzip, gzip"),
    "/gzip-cut": answer(gzip.compress(bytes(range(256)) * 100)[:-40], Content_Encoding="gzip"),
    "/gzip-false": answer(b"\x1f\x8b\x08 is not gzip", Content_Encoding="gzip"),
    "/brotli-false": answer(b"\xff\xfe" * 30, Content_Encoding="br"),
    "/length-huge": answer(b"x", Content_Length="99999999999"),
    "/length-too-long": answer(b"only this", Content_Length="1000", Connection="close"),
    "/length-too-short": answer(b"hello and much more that was not announced", Content_Length="5"),
    "/length-negative": answer(b"x", Content_Length="-5"),
    "/header-huge": answer(PAGE, X_Huge="h" * 1_000_000),
    "/headers-many": raw(OK + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"Content-Length: 1\r\n\r\nx"),
    "/garbage": raw(b"\x00\xff\x13not http at all\r\n\r\n"),
    "/chunk-size-false": raw(CHUNKED + b"zzzz\r\nhello\r\n0\r\n\r\n"),
    "/disconnect": raw(b""),
    "/empty": answer(b""),
    "/loop": redirect("/loop"),
    "/loop-growing": redirect("/loop-growing?more"),
    "/to-page": redirect("/page"),
    "/to-private": redirect("http://10.0.0.1/secret"),
    "/to-metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "/to-file": redirect("file:///etc/passwd"),
    "/to-data": redirect("data:text/html,hello"),
    "/to-ftp": redirect("ftp://127.0.0.1/x"),
    "/to-nothing": redirect("http://"),
    "/to-port-22": redirect("http://10.0.0.1:22/"),
    "/to-mapped": redirect("http://[::ffff:10.0.0.1]/"),
    "/to-forbidden-path": redirect("/private/page"),
    "/private/page": answer(PAGE, Content_Type="text/html"),
    "/429": answer(b"slow down", "429 Too Many Requests"),
    "/429-for-an-hour": answer(b"slow down", "429 Too Many Requests", Retry_After="3600"),
    "/503": answer(b"later", "503 Service Unavailable"),
    "/404": answer(b"no", "404 Not Found"),
    "/404-noindex": answer(b"no", "404 Not Found", X_Robots_Tag="noindex"),
    "/noai": answer(PAGE, Content_Type="text/html", X_Robots_Tag="noai"),
    "/noai-for-us": answer(PAGE, Content_Type="text/html", X_Robots_Tag="webimagetext: noai"),
    "/noai-for-others": answer(PAGE, Content_Type="text/html", X_Robots_Tag="otherbot: noai, noindex"),
    "/tdm": answer(PAGE, Content_Type="text/html", tdm_reservation="1"),
    "/zip-as-page": answer(b"PK\x03\x04", Content_Type="application/zip"),
    "/robots.txt": answer(b"User-agent: *\nDisallow: /private/\n", Content_Type="text/plain"),
    "/.well-known/tdmrep.json": answer(b'[{"location": "/reserved/*", "tdm-reservation": 1}]'),
    "/ai.txt": answer(b"User-Agent: *\nDisallow: *.mp3\n", Content_Type="text/plain"),
}


class HostileServer:
    """The server in a thread of its own; a context manager. ``behaviours`` add to or replace those above.

    ``log`` holds (time by ``clock``, path) of every request, in order of arrival.
    """

    def __init__(
        self,
        behaviours: dict[str, Behaviour] | None = None,
        address: str = "127.0.0.1",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._behaviours = BEHAVIOURS | (behaviours or {})
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0
        self.log: list[tuple[float, str]] = []

    @property
    def url(self) -> str:
        """``http://address:port``."""
        return f"http://{self._address}:{self.port}"

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [path for _, path in self.log]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._handle(reader, writer)
            tasks.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

        server = await asyncio.start_server(handle, self._address, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        while True:
            first = await reader.readexactly(1)
            if first == b"\x16":  # a TLS handshake
                writer.write(b"this is not TLS\r\n")
                return
            head = first + await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.log.append((self._clock(), path))
            behaviour = self._behaviours.get(path.partition("?")[0])
            if behaviour is None:
                behaviour = answer(b"no", "404 Not Found")
            await behaviour(writer)
            if path in (
                "/disconnect",
                "/garbage",
                "/length-too-long",
                "/gzip-cut",
                "/chunk-size-false",
                "/header-huge",
            ):
                return


if __name__ == "__main__":
    with HostileServer() as hostile:
        print("\n".join(hostile.url + path for path in BEHAVIOURS))
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
