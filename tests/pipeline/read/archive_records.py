"""Builds the records of test archives."""

import json
import zlib
from typing import Any

__all__ = ["ARC_HEAD", "arc_record", "http_block", "warc_record", "wat_record"]

ARC_HEAD = b"filedesc://a.arc 0.0.0.0 20260101000000 text/plain 12\n1 0 a\nURL a\n\n"


def warc_record(kind: str, url: str, block: bytes, content_type: str = "application/http; msgtype=response") -> bytes:
    """One WARC record."""
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
    head += (
        f"WARC-Record-ID: <urn:uuid:{zlib.crc32(f'{kind} {url}'.encode()):032x}>\r\nContent-Type: {content_type}\r\n"
    )
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def http_block(body: bytes, content_type: str = "text/html", status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP response; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def arc_record(url: str, block: bytes, media: str = "text/html") -> bytes:
    """One record of an ARC file, without the empty line that stands behind most."""
    return f"{url} 10.0.0.1 20260101000000 {media} {len(block)}\n".encode() + block


def wat_record(url: str, html: dict[str, Any], status: str = "200", **headers: str) -> bytes:
    """A WAT record: what Common Crawl publishes of a page."""
    response = {"Response-Message": {"Status": status}, "Headers": headers, "HTML-Metadata": html}
    payload = {"HTTP-Response-Metadata": response}
    envelope = {"WARC-Header-Metadata": {"WARC-Target-URI": url}, "Payload-Metadata": payload}
    return warc_record("metadata", url, json.dumps({"Envelope": envelope}).encode(), "application/json")
