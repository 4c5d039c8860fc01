"""Our decoder of bz2 blocks gives what Python's gives, or nothing."""

import bz2
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from query_builder.sources.bz2_blocks import find_markers
from query_builder.sources.bz2_decoder import LANES, BlockDecoder
from query_builder.sources.piece import Piece
from query_builder.sources.pieces import pieces_from

DRAW = random.Random(7)
WORDS = " ".join(DRAW.choices(["alpha", "beta", "γάμμα", "delta", "====", "    "], k=60_000)).encode()
FIBONACCI = b"".join(bytes([65 + k]) * n for k, n in enumerate((1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377)))
TEXTS = {
    "one letter": b"x",
    "runs of four to 259": b"".join(b"ab"[n % 2 :][:1] * n for n in range(1, 300)),
    "a run at the end": b"abc" + b"d" * 4,
    "all letters": bytes(range(256)) * 40,
    "noise": DRAW.randbytes(150_000),
    "words": WORDS,
    "lengths of codes far apart": bytes(DRAW.sample(FIBONACCI * 20, 20 * len(FIBONACCI))),
}


def decode(packed: bytes, decoder: BlockDecoder) -> list[bytes | None]:
    """All blocks, LANES at a time; each must end where the next marker is."""
    markers = find_markers(packed)
    following = {at: then for (at, _), (then, _) in itertools.pairwise(markers)}
    starts = [at for at, is_block in markers if is_block]
    texts: list[bytes | None] = []
    for first in range(0, len(starts), LANES):
        for start, found in zip(starts[first:], decoder.decode(packed, starts[first : first + LANES]), strict=False):
            assert found is None or found[1] == following[start]
            texts.append(found and found[0])
    return texts


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("level", [1, 9])
def test_it_gives_what_pythons_decoder_gives(name: str, level: int) -> None:
    texts = decode(bz2.compress(TEXTS[name], level), BlockDecoder())
    assert b"".join(text or b"" for text in texts) == TEXTS[name]


def test_many_blocks_of_different_lengths_beside_each_other() -> None:
    parts = [WORDS[: DRAW.randrange(1, 90_000)] for _ in range(LANES + 3)]
    decoder = BlockDecoder()
    assert decode(b"".join(map(bz2.compress, parts)), decoder) == parts
    assert decode(bz2.compress(b"again"), decoder) == [b"again"]


def test_a_block_that_swells_beyond_the_room_is_left_to_python(tmp_path: Path) -> None:
    blanks = b" " * 3_000_000
    assert decode(bz2.compress(blanks), BlockDecoder()) == [None]
    path = tmp_path / "blanks.bz2"
    path.write_bytes(bz2.compress(blanks))
    assert b"".join(piece.data for piece in pieces_from(str(path), 0) if isinstance(piece, Piece)) == blanks


def test_damage_never_gives_another_text() -> None:
    text = WORDS[:3000]
    packed, decoder = bz2.compress(text), BlockDecoder()
    for bit in range(32, 8 * len(packed)):
        broken = bytearray(packed)
        broken[bit // 8] ^= 128 >> bit % 8
        try:
            right = bz2.decompress(bytes(broken))
        except (OSError, ValueError):
            right = b""
        found = decoder.decode(bytes(broken), [32])[0]
        assert found is None or found[0] in (text, right)
    assert decoder.decode(packed[: len(packed) // 2], [32]) == [None]


def test_bytes_that_are_no_block_are_none() -> None:
    decoder, noise = BlockDecoder(), np.random.default_rng(3)
    for size in (11, 40, 400, 4000):
        for fill in (noise.integers(0, 256, size, np.uint8).tobytes(), bytes(size), b"\xff" * size):
            assert decoder.decode(b"1AY&SY" + fill, [0]) == [None]


def test_an_end_of_what_is_read_ahead_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bz2"
    path.write_bytes(b"".join(bz2.compress(WORDS[at : at + 30_000]) for at in range(0, len(WORDS), 30_000)))
    whole = list(pieces_from(str(path), 0))
    size = path.stat().st_size
    for end in (0, 1, size // 3, size, 2 * size):
        assert list(pieces_from(str(path), 0, end)) == whole
