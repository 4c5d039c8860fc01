"""Zstandard files of any number of frames, whole and cut off anywhere."""

import io
import random

import pytest
import zstandard

from webimagetext.zstd import open_zstd

TEXTS = [b"", b"a", random.Random(1).randbytes(300_000), b"line\n" * 200_000]


@pytest.mark.parametrize("known_size", [True, False])
def test_all_frames_are_read(known_size: bool) -> None:
    packer = zstandard.ZstdCompressor(write_content_size=known_size)
    frames = [packer.compress(text) for text in TEXTS]
    assert open_zstd(io.BytesIO(b"".join(frames))).read() == b"".join(TEXTS)
    read = open_zstd(io.BytesIO(frames[3]))
    assert read.readline() == b"line\n" and read.read(3) == b"lin" and len(read.read()) == 5 * 199_999 - 3
    assert open_zstd(io.BytesIO(b"")).read() == b""


@pytest.mark.parametrize("cut", [1, 3, 5, 1000, 150_000, -1])
def test_a_cut_frame_is_no_end(cut: int) -> None:
    whole, more = (zstandard.compress(text) for text in TEXTS[2:])
    for before in (b"", more, more + more):
        with pytest.raises(EOFError, match="ends before its last part"):
            open_zstd(io.BytesIO(before + whole[:cut])).read()


def test_what_is_no_frame_is_an_error() -> None:
    with pytest.raises(zstandard.ZstdError):
        open_zstd(io.BytesIO(zstandard.compress(b"x") + b"and more that is none")).read()
