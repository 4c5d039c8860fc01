"""The check of shards that have no manifest, such as those of img2dataset."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from tests.small_run import paint

KEYS = ["000000000", "000000001", "000000003"]


def members() -> dict[str, bytes]:
    found = {}
    for number, key in enumerate(KEYS):
        found[f"{key}.jpg"] = paint(number)
        found[f"{key}.json"] = json.dumps({"key": key, "caption": "a"}).encode()
        found[f"{key}.txt"] = b"a"
    return found


def write(folder: Path, content: dict[str, bytes], rows: list[str], successes: int = len(KEYS)) -> None:
    """A shard as img2dataset lays it out: a row for each address, also for those that failed."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "00000.tar", "w") as archive:
        for name, data in content.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    table = {"key": [*rows, "000000002"], "status": ["success"] * len(rows) + ["failed_to_download"]}
    pq.write_table(pa.table(table), folder / "00000.parquet")
    (folder / "00000_stats.json").write_text(json.dumps({"count": 4, "successes": successes}))


def checked(folder: Path, *options: str) -> int:
    return main(["check", str(folder), "--no-readers", *options])


def test_whole_shards_of_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "shards", members(), KEYS)
    assert checked(tmp_path / "shards", "--json", f"{tmp_path}/report.json") == 0
    assert "3 samples in shards: all as it was written" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["whole"], report["kind"], report["samples"], report["findings"]) == (True, "shards", 3, [])


Change = Callable[[dict[str, bytes]], None]
FAULTS: dict[str, tuple[Change, str]] = {
    "picture": (
        lambda held: held.update({"000000001.jpg": held["000000001.jpg"][:400]}),
        "000000001 cannot be decoded",
    ),
    "no picture": (lambda held: held.pop("000000001.jpg") and None, "000000001 has 0 pictures"),
    "apart": (lambda held: held.update({"000000000.txt": held.pop("000000000.txt")}), "side by side"),
    "metadata": (lambda held: held.update({"000000001.json": b'{"key": "000000003"}'}), "its metadata is of 000000003"),
    "text": (lambda held: held.update({"000000001.txt": b"\xff"}), "its texts cannot be read"),
    "sample": (lambda held: [held.pop(f"000000003.{end}") for end in ("jpg", "json", "txt")] and None, "1 samples of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_samples_that_are_not_whole(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = members()
    FAULTS[fault][0](content)
    write(tmp_path / "shards", content, KEYS)
    assert checked(tmp_path / "shards") == 2
    told = capsys.readouterr().out
    assert f"damaged: {tmp_path}/shards/00000.tar: " in told and FAULTS[fault][1] in told


def test_files_that_do_not_agree_or_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = tmp_path / "shards"
    write(shards, members(), KEYS, successes=4)
    assert checked(shards) == 2
    assert "00000_stats.json: it says 4 samples of 00000.tar, which has 3" in capsys.readouterr().out
    write(shards, members(), KEYS)
    whole = (shards / "00000.tar").read_bytes()
    end = -(-len(whole.rstrip(b"\0")) // 512) * 512  # of the last member
    for length in (0, 100, 512 * 3, 512 * 9, end, len(whole) - 1):
        (shards / "00000.tar").write_bytes(whole[:length])
        assert checked(shards) == 2, length
        assert "00000.tar: it ends or breaks off" in capsys.readouterr().out, length
    write(shards, members(), KEYS)
    for content in (b"", b"[]", b"{", b'{"00000.tar": 2}', b'{"00000.tar": 3, "00001.tar": 5}'):
        (shards / "sizes.json").write_bytes(content)
        assert checked(shards) == 2, content
    (shards / "sizes.json").unlink()
    table = (shards / "00000.parquet").read_bytes()
    (shards / "00000.parquet").write_bytes(table[:-3])
    assert checked(shards) == 2
    assert "00000.parquet: not a readable Parquet file" in capsys.readouterr().out


def test_a_folder_without_shards_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "none", tmp_path):
        assert checked(folder) == 2
        assert "no such folder, or nothing in it" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("a")
    assert checked(tmp_path) == 2
    assert "there are no shards in it" in capsys.readouterr().out
    assert main(["check"]) == 2
