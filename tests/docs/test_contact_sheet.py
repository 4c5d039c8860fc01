"""The contact sheet: the same pairs every time, each with its number and words, and a word where there is nothing."""

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from docs.contact_sheet import CELL, drawn, main, sheet


def write_run(folder: Path, pairs: int) -> Path:
    (folder / "shards").mkdir()
    with tarfile.open(folder / "shards" / "00000.tar", "w") as archive:
        for number in range(pairs):
            stream = io.BytesIO()
            Image.new("RGB", (300, 100), (20 * number, 0, 0)).save(stream, "JPEG")
            for suffix, data in ((".jpg", stream.getvalue()), (".txt", f"field number {number}".encode())):
                member = tarfile.TarInfo(f"{number:016x}{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return folder


def test_a_picture_stands_above_its_own_caption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, output = write_run(tmp_path, 12), tmp_path / "sheet.jpg"
    assert main([str(run), str(output), "--pairs", "11"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(set(lines)) == 11 and lines[0].startswith("1\tfield number ")
    pairs = drawn(run, 11)
    assert [caption for _, caption in pairs] == [line.partition("\t")[2] for line in lines]
    assert pairs[:5] != sorted(pairs[:5], key=lambda pair: pair[1])
    made = sheet(pairs)
    with Image.open(output) as stored:
        assert made.size == stored.size == (10 * CELL[0], 2 * CELL[1])
    for place, (picture, caption) in enumerate(pairs):
        red = made.getpixel((place % 10 * CELL[0] + 30, place // 10 * CELL[1] + 20))[0]
        assert abs(red - 20 * int(caption.rpartition(" ")[2])) < 6 and picture.size == (300, 100)


def test_a_run_without_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "s.jpg")]) == 2
    assert "there are no tars" in capsys.readouterr().err
