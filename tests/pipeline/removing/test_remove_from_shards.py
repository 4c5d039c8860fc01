"""Samples taken out of shards that img2dataset wrote, or that lie by themselves."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.audit.check import check_folder
from tests.small_run import paint

FAILED = "HTTP Error 404: Not Found"


def _rows(shard: int) -> list[dict[str, object]]:
    """Rows as img2dataset writes them, the failed ones too."""
    rows: list[dict[str, object]] = []
    for number in range(5):
        good = number != 2
        rows.append(
            {
                "url": f"https://{'a' if number % 2 else 'b'}.example/{shard}/{number}.jpg",
                "caption": f"picture {number}",
                "key": f"{shard:05d}{number:04d}",
                "status": "success" if good else "failed_to_download",
                "error_message": None if good else FAILED,
                "sha256": f"{shard:032x}{number:032x}" if good else None,
            }
        )
    return rows


def _shard(folder: Path, shard: int, long_name: str = "") -> None:
    rows = _rows(shard)
    with tarfile.open(folder / f"{shard:05d}.tar", "w") as archive:
        for number, row in enumerate(rows):
            if row["status"] != "success":
                continue
            for ending, data in (("jpg", paint(number)), ("json", json.dumps(row).encode()), ("txt", b"a picture")):
                about = tarfile.TarInfo(f"{row['key']}{long_name}.{ending}")
                about.size, about.mtime = len(data), 1_700_000_000 + number
                archive.addfile(about, io.BytesIO(data))
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{shard:05d}.parquet", row_group_size=2, compression="snappy")
    stats = {"count": 5, "successes": 4, "failed_to_download": 1, "failed_to_resize": 0, "duration": 1.5}
    stats |= {"status_dict": {"success": 4, FAILED: 1}}
    (folder / f"{shard:05d}_stats.json").write_text(json.dumps(stats))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(3):
        _shard(folder, shard)
    (folder / "sizes.json").write_text(json.dumps({f"{shard:05d}.tar": 4 for shard in range(3)}))
    return folder


def _remove(folder: Path, option: str, *entries: str) -> int:
    (folder.parent / "list.txt").write_text("\n".join(entries))
    return main(["remove", str(folder), option, str(folder.parent / "list.txt")])


def _state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


def test_samples_go_out_of_img2datasets_shards(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _state(shards)
    assert (
        _remove(shards, "--urls", "https://b.example/1/0.jpg", "https://b.example/1/2.jpg", "https://c.example/") == 0
    )
    assert "2 pairs taken out; 1 of 3 shards" in capsys.readouterr().out
    after = _state(shards)
    assert {name for name in before if before[name] != after[name]} == {
        *(f"00001{ending}" for ending in (".tar", ".parquet", "_stats.json")),
        "sizes.json",
    }
    table = pq.ParquetFile(shards / "00001.parquet")
    assert table.read().to_pylist() == [row for row in _rows(1) if row["key"] not in ("000010000", "000010002")]
    assert table.metadata.row_group(0).column(0).compression == "SNAPPY"
    told = json.loads(after["00001_stats.json"])
    assert told["status_dict"] == {"success": 3, FAILED: 0} and told["duration"] == 1.5
    assert (told["count"], told["successes"], told["failed_to_download"]) == (3, 3, 0)
    assert json.loads(after["sizes.json"]) == {"00000.tar": 4, "00001.tar": 3, "00002.tar": 4}
    with tarfile.open(shards / "00001.tar") as archive:
        assert archive.getnames()[::3] == ["000010001.jpg", "000010003.jpg", "000010004.jpg"]
        assert [archive.getmember(f"00001000{number}.txt").mtime for number in (1, 4)] == [1_700_000_001, 1_700_000_004]
    assert check_folder(str(shards), readers=False).findings == []
    assert _remove(shards, "--urls", "https://b.example/1/0.jpg") == 0
    assert _state(shards) == after


def test_a_tar_without_a_table_says_itself_what_it_holds(shards: Path) -> None:
    for path in (*shards.glob("*.parquet"), *shards.glob("*_stats.json"), shards / "sizes.json"):
        path.unlink()
    assert _remove(shards, "--hosts", "b.example") == 0
    for shard in range(3):
        with tarfile.open(shards / f"{shard:05d}.tar") as archive:
            assert archive.getnames()[::3] == [f"{shard:05d}0001.jpg", f"{shard:05d}0003.jpg"]
    state = _state(shards)
    assert _remove(shards, "--hosts", "xample", "other.a.example", "a.example.org") == 0 and _state(shards) == state
    assert _remove(shards, "--hosts", "https://Example./anything") == 0  # with all hosts below it
    with tarfile.open(shards / "00000.tar") as archive:
        assert archive.getnames() == []


def test_long_names_keep_their_headers(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    _shard(folder, 0, "x" * 120)
    (folder / "00000.parquet").unlink()
    (folder / "00000_stats.json").unlink()
    keys = [f"{row['key']}{'x' * 120}" for row in _rows(0)]
    assert _remove(folder, "--keys", keys[0]) == 0
    with tarfile.open(folder / "00000.tar") as archive:
        assert [name.partition(".")[0] for name in archive.getnames()[::3]] == [keys[1], keys[3], keys[4]]
        stream = archive.extractfile(f"{keys[4]}.jpg")
        assert stream is not None and stream.read() == paint(4)


def test_pictures_in_tables_go_too(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = [{**row, "jpg": paint(number)} for number, row in enumerate(_rows(0)) if row["status"] == "success"]
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    assert _remove(folder, "--hashes", str(rows[1]["sha256"])) == 0
    assert pq.read_table(folder / "00000.parquet").to_pylist() == [rows[0], *rows[2:]]
    assert check_folder(str(folder), readers=False).findings == []


def test_a_broken_shard_is_named_and_left(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = (shards / "00001.tar").read_bytes()[:3000]
    (shards / "00001.tar").write_bytes(cut)
    assert _remove(shards, "--hosts", "b.example") == 2
    assert "00001.tar: is damaged" in capsys.readouterr().err
    assert (shards / "00001.tar").read_bytes() == cut and len(pq.read_table(shards / "00001.parquet")) == 5
    assert main(["remove", str(shards)]) == 2  # and the next command goes on from there
    _shard(shards, 1)
    assert main(["remove", str(shards)]) == 0
    assert len(pq.read_table(shards / "00001.parquet")) == 2 == len(pq.read_table(shards / "00002.parquet"))
