"""A web on loopback for the soak: ``python -m tests.faults.soak_server``, which prints its port and serves until its
standard input ends.

Every address of 127.0.0.0/8 is a host. What one answers follows from its address and the path alone. The shares of
answers are those that the download report of Conceptual Captions' 15,840 validation images has (93.5 % pictures; 404,
403, 405, 503, 400 and others; 1.8 % without an answer; 0.4 % of another type), and, of what such a report puts under
one name, some more each: connections that are reset, bodies that are cut or come slowly, redirects, answers that are
none. TLS fails because what answers is no TLS; dead hosts are addresses on which nothing listens, or nothing answers.
"""

import asyncio
import contextlib
import io
import socket
import struct
import sys

import numpy as np
from PIL import Image

from pipeline.hashing import hash64

__all__ = ["DEAD_PORT", "KINDS", "kind_of"]

# What a path is answered with, in parts of ten thousand.
KINDS: dict[str, int] = {
    "404": 208, "403": 162, "405": 71, "503": 10, "400": 9, "500": 4, "410": 3, "204": 1, "401": 1,
    "silent": 182, "html": 35, "empty": 2, "noise": 30,
    "reset": 100, "cut": 100, "slow": 100, "redirect": 100, "loop": 20, "long header": 20, "garbage": 20,
}  # fmt: skip
SILENT_HOSTS = 4  # of a hundred
TLS = b"\x16"  # how a handshake begins
DEAD_PORT = 9  # nothing listens there
PAGES, PICTURES = 8, 12  # links and pictures of a page


def kind_of(host: str, path: str) -> str:
    """How ``path`` is answered: one of KINDS, or "picture"."""
    draw = hash64(f"{host} {path}") % 10_000
    for kind, share in KINDS.items():
        if draw < share:
            return kind
        draw -= share
    return "picture"


def _is_silent(host: str) -> bool:
    return hash64(host) % 100 < SILENT_HOSTS


def _pictures() -> list[bytes]:
    rng, found = np.random.default_rng(1), []
    for side in (64, 128, 256, 512):
        stream = io.BytesIO()
        coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
        coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
        found.append(stream.getvalue())
    return found


_PICTURES = _pictures()
_HTML = b"text/html; charset=utf-8"


def _reply(status: str, media: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} Soaked\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"Content-Type: " + media + b"\r\n" + more + b"\r\n" + body


def _page(host: str, path: str) -> bytes:
    number = hash64(f"{host}{path}")
    links = "".join(f'<a href="/page/{number % 1009}-{index}">more</a>' for index in range(PAGES))
    pictures = "".join(
        f'<p>text <img src="/{number % 10007}-{index}.jpg" alt="picture {index} of {number}"></p>'
        for index in range(PICTURES)
    )
    return f"<html lang=en><title>{number}</title><body>{links}{pictures}</body></html>".encode()


async def _answer(host: str, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answers one request; returns whether the connection goes on."""
    if path in ("/robots.txt", "/ai.txt", "/.well-known/tdmrep.json"):
        rules = path == "/robots.txt" and hash64(host) % 2
        text = b"User-agent: *\nDisallow: /no/\n"
        writer.write(_reply("200", b"text/plain", text) if rules else _reply("404", _HTML, b""))
        return True
    kind = kind_of(host, path)
    picture = _PICTURES[hash64(path) % len(_PICTURES)]
    if kind == "silent":
        await reader.read()  # until the other side hangs up
        return False
    if kind == "reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    if kind == "cut":
        writer.write(_reply("200", b"image/jpeg", picture)[:-50])
        return False
    if kind == "slow":
        whole = _reply("200", b"image/jpeg", picture)
        for start in range(0, len(whole), 1 + len(whole) // 5):
            writer.write(whole[start : start + 1 + len(whole) // 5])
            await writer.drain()
            await asyncio.sleep(0.3)
    elif kind in ("redirect", "loop"):
        target = "/loop" if kind == "loop" else f"/moved{path}"
        writer.write(_reply("302", _HTML, b"", f"Location: {target}\r\n".encode()))
    elif kind == "long header":
        writer.write(_reply("200", b"image/jpeg", picture, b"X-Long: " + b"x" * 40_000 + b"\r\n"))
    elif kind == "garbage":
        writer.write(bytes(range(256)))
        return False
    elif kind == "noise":
        writer.write(_reply("200", b"image/jpeg", bytes(range(256)) * 40))
    elif kind in ("html", "empty"):
        writer.write(_reply("200", _HTML, b"<html>" if kind == "html" else b""))
    elif kind != "picture":
        writer.write(_reply(kind, _HTML, b"no"))
    elif path.startswith(("/page/", "/moved/page/")):
        writer.write(_reply("200", _HTML, _page(host, path)))
    else:
        writer.write(_reply("200", b"image/jpeg", picture))
    return True


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host = writer.get_extra_info("sockname")[0]
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
        try:
            while first := await reader.read(1):
                if first == TLS:  # what answers here is no TLS
                    writer.write(_reply("400", _HTML, b"no"))
                    return
                line = first + await reader.readline()
                while (await reader.readline()).strip():
                    pass
                if _is_silent(host):
                    await reader.read()  # until the other side hangs up
                    return
                parts = line.split()
                goes_on = len(parts) == 3 and await _answer(host, parts[1].decode("latin-1"), reader, writer)
                await writer.drain()
                if not goes_on:
                    return
        finally:
            writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
