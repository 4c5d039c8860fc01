"""Every way of packing and of damaging a bz2 file."""

import bz2
import random
from pathlib import Path

import pytest

from query_builder.sources.bz2_blocks import find_markers
from query_builder.sources.piece import CorruptInputError, Gap, Piece
from query_builder.sources.pieces import container, pieces_from
from webimagetext.errors import UserError

DRAW = random.Random(4)
TEXT = " ".join(DRAW.choices(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"], k=400_000)).encode()
SINGLE = bz2.compress(TEXT, 1)
MULTI = b"".join(bz2.compress(TEXT[at : at + 200_000]) for at in range(0, len(TEXT), 200_000))


def read(path: Path, start: int = 0) -> list[Piece | Gap]:
    return list(pieces_from(str(path), start))


@pytest.mark.parametrize(("packed", "times"), [(SINGLE, 1), (MULTI, 1), (SINGLE + MULTI, 2), (MULTI + b"\0" * 100, 1)])
def test_ranges_of_bytes_give_the_text_once(tmp_path: Path, packed: bytes, times: int) -> None:
    path = tmp_path / "a.bz2"
    path.write_bytes(packed)
    parts = []
    step = len(packed) // 7
    for start in range(0, len(packed), step):
        for piece in read(path, start):
            assert isinstance(piece, Piece)
            if piece.offset < start + step:
                parts.append(piece.data)
    assert b"".join(parts) == TEXT * times


def test_markers_are_found_at_every_bit() -> None:
    for shift in range(8):
        number = 0x314159265359 << (40 + shift)
        data = number.to_bytes(12)
        assert find_markers(data) == [(12 * 8 - 48 - 40 - shift, True)]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-20_000], "cut off within this block"),
        (lambda data: data[:-2], "cut off within this stream's check sum"),
        (lambda data: data[:60_000] + bytes([data[60_000] ^ 4]) + data[60_001:], "this bz2 block is damaged"),
        (lambda data: data + b"hello", "what follows the last bz2 stream"),
        (lambda data: data[:4] + b"XXXXXX" + data[10:], "first block's signature"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, damage: object, reason: str) -> None:
    path = tmp_path / "a.bz2"
    path.write_bytes(damage(MULTI))  # type: ignore[operator]
    gaps = [piece for piece in read(path) if isinstance(piece, Gap)]
    assert len(gaps) == 1
    assert reason in gaps[0].reason
    assert 0 <= gaps[0].offset <= len(MULTI)


def test_what_follows_a_damaged_block_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bz2"
    at = len(MULTI) // 2
    path.write_bytes(MULTI[:at] + bytes([MULTI[at] ^ 1]) + MULTI[at + 1 :])
    pieces = [piece for piece in read(path) if isinstance(piece, Piece)]
    assert 0 < len(TEXT) - sum(len(piece.data) for piece in pieces) <= 200_000


def test_files_that_are_no_dump_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="empty"):
        container(str(tmp_path / "empty"))
    (tmp_path / "wide").write_bytes("<mediawiki>".encode("utf-16"))
    with pytest.raises(UserError, match="UTF-16"):
        container(str(tmp_path / "wide"))
    with pytest.raises(UserError, match="no such file"):
        container(str(tmp_path / "absent"))
    (tmp_path / "a.bz2").write_bytes(b"BZh9" + b"rubbish" * 10)
    assert any(isinstance(piece, Gap) for piece in read(tmp_path / "a.bz2"))
    assert CorruptInputError("a", 5, "why").offset == 5
