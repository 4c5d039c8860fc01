"""Answers whose headers are in no encoding, or say what no server should: one path for each, for HostileServer."""

from tests.pipeline.fetch.conftest import picture
from tests.pipeline.net.hostile_server import OK, PAGE, Behaviour, raw

__all__ = ["PICTURE", "STRANGE", "reply"]

PICTURE = picture(5)


def reply(headers: bytes, body: bytes = b"x", first: bytes = OK) -> Behaviour:
    """An answer with exactly these header lines."""
    return raw(first + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)


MOVED = b"HTTP/1.1 302 Found\r\n"
STRANGE: dict[str, Behaviour] = {
    "/type": reply(b"Content-Type: text/h\xe9\xfftml\r\n", PAGE),
    "/type-long": reply(b"Content-Type: " + b"\xe9" * 9_000 + b"\r\n", PAGE),
    "/other-header": reply(b"Content-Type: image/jpeg\r\nServer: caf\xe9\xff\r\nX-\xe9: 1\r\n", PICTURE),
    "/picture": reply(b"Content-Type: image/jpeg\r\nETag: \xfe\r\n", PICTURE),
    "/robots-tag": reply(b"Content-Type: image/jpeg\r\nX-Robots-Tag: \xe9\xff: noai, no\xe9\r\n", PICTURE),
    "/coding": reply(b"Content-Type: image/jpeg\r\nContent-Encoding: gz\xe9p\r\n", PICTURE),
    "/length": raw(OK + b"Content-Type: image/jpeg\r\nContent-Length: 1\xb2\r\n\r\nxx"),
    "/status-words": reply(b"Content-Type: image/jpeg\r\n", PICTURE, b"HTTP/1.1 200 caf\xe9\xff\r\n"),
    "/status-line": raw(b"HTTP/1.1 \xe9\xff\r\n\r\n"),
    "/to-latin": reply(b"Location: /caf\xe9.jpg\r\n", first=MOVED),
    "/to-utf-8": reply(b"Location: /caf\xc3\xa9.jpg\r\n", first=MOVED),
    "/to-host": reply(b"Location: http://h\xe9\xff/\r\n", first=MOVED),
    "/to-control": reply(b"Location: http://127.0.0.1\x01/\r\n", first=MOVED),
    "/later": reply(b"Retry-After: Wed, 21 Oct 99999999999 07:28:00 GMT\r\n", first=b"HTTP/1.1 429 Later\r\n"),
    "/later-latin": reply(b"Retry-After: \xb2\r\n", first=b"HTTP/1.1 503 Later\r\n"),
    "/caf%E9.jpg": reply(b"Content-Type: image/jpeg\r\n", PICTURE),
    "/caf%C3%A9.jpg": reply(b"Content-Type: image/jpeg\r\n", picture(6)),
}
