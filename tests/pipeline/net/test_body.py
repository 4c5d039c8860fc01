"""Decoding of compressed bodies within a cap."""

import gzip
import random
import zlib

import pytest

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
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("gzip", gzip.compress(TEXT) + b"\0\0\0padding"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),
    ],
)
def test_every_encoding_asked_for(encoding: str, body: bytes, piece: int) -> None:
    assert decode(encoding, body, piece) == TEXT


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nonsense"])
def test_encodings_not_asked_for(encoding: str) -> None:
    with pytest.raises(BadEncodingError):
        BodyDecoder(encoding, 10)


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
