"""Builds the records of test archives."""

import zlib

__all__ = ["http_block", "warc_record"]


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
