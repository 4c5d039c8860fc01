"""Decoding of compressed bodies within a cap."""

import gzip
import random
import zlib

import pytest
import zstandard

from pipeline.net.body import BadEncodingError, BodyDecoder, BodyTooLargeError

TEXT = bytes(range(256)) * 50


def decode(encoding: str, body: bytes, piece: int, **options: bool) -> bytes:
    decoder = BodyDecoder(encoding, 20_000, **options)
    for at in range(0, len(body), piece):
        decoder.feed(body[at : at + piece])
    return decoder.finish()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("X-GZIP", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\0\0\0padding"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),
    ],
)
def test_every_encoding_asked_for(encoding: str, body: bytes, piece: int) -> None:
    assert decode(encoding, body, piece) == TEXT


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_encodings_not_asked_for(piece: int) -> None:
    assert decode("zstd", zstandard.compress(TEXT), piece) == TEXT
    assert decode("br", b"\x0b\x02\x80hello\x03", piece) == b"hello"
    for encoding, body in (("zstd", b"\xff" * 99), ("br", b"\xff" * 99), ("zstd", zstandard.compress(TEXT)[:-9])):
        with pytest.raises(BadEncodingError):
            decode(encoding, body, piece)
    with pytest.raises(BodyTooLargeError):
        decode("zstd", zstandard.compress(bytes(20_001)), piece)
    with pytest.raises(BadEncodingError):
        BodyDecoder("gzip, gzip", 10)


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("encoding", ["utf-8", "none", "image/jpeg", "gzip", "deflate", "br", "zstd", "identity, br"])
@pytest.mark.parametrize("body", [b"\xff\xd8\xff\xe0" + TEXT, b"\x89PNG\r\n\x1a\n" + TEXT, b"<html>" * 20, b"short"])
def test_a_coding_that_a_body_does_not_have(encoding: str, body: bytes, piece: int) -> None:
    assert decode(encoding, body, piece) == body


def test_what_there_is_of_a_broken_body() -> None:
    packed = gzip.compress(random.Random(1).randbytes(9_000))
    with pytest.raises(BadEncodingError):
        decode("gzip", packed[:5_000], 100)
    part = decode("gzip", packed[:5_000], 100, partial=True)
    assert 4_000 < len(part) < 5_000
    assert random.Random(1).randbytes(9_000).startswith(part)
    broken = packed[:5_000] + b"\0" * 500 + packed[5_500:]
    assert decode("gzip", broken, 100, partial=True)[:4_000] == part[:4_000]
    with pytest.raises(BadEncodingError):
        decode("gzip", b"\x1f\x8b\x08\0 nothing that could be unpacked", 100, partial=True)


def test_the_cap_counts_decoded_bytes() -> None:
    with pytest.raises(BodyTooLargeError):
        decode("gzip", gzip.compress(bytes(20_001)), 100)
    assert len(decode("gzip", gzip.compress(bytes(20_000)), 100)) == 20_000
    assert decode("gzip", gzip.compress(bytes(50_000)), 100, cut=True) == bytes(20_000)


def test_many_members_end_somewhere() -> None:
    assert len(decode("gzip", gzip.compress(b"x") * 5_000, 64_000)) == 64


def test_no_input_escapes_the_errors() -> None:
    numbers = random.Random(3)
    whole = gzip.compress(TEXT)
    for _ in range(500):
        broken = bytearray(whole[: numbers.randrange(1, len(whole))])
        broken[numbers.randrange(len(broken))] = numbers.randrange(256)
        try:
            decode(numbers.choice(["gzip", "deflate"]), bytes(broken), 50)
        except (BadEncodingError, BodyTooLargeError):
            continue
