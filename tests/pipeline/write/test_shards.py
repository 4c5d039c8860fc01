"""Shards: what other readers get from them, that equal rows give equal bytes, and damage is named."""

import io
import json
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from pipeline.keeping.folder import key_of
from pipeline.tables.schema import JOINED, SHARD
from pipeline.write.sample import sample_fields
from pipeline.write.shards import shard_rows, write_index, write_shard
from pipeline.write.tar import TarWriter
from webimagetext import files
from webimagetext.errors import UserError

# webdataset leaves it to the garbage collector to close what it opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

QUERIES = [f"query {number}" for number in range(10)]


def picture(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (number % 256, 10, 200)).save(stream, "JPEG")
    return stream.getvalue()


def make_store(folder: str, samples: int) -> pa.Table:
    """An image store of two tars, and rows that refer to it in mixed order."""
    rows = []
    for part in range(2):
        with files.write_atomic(files.join(folder, f"part-{part}.tar")) as stream:
            tar = TarWriter(stream)
            for number in range(part, samples, 2):
                data = picture(number)
                offset = tar.add(f"{number}.jpg", data)
                rows.append(
                    {
                        "pair_id": (number * 0x9E3779B97F4A7C15 + 5) % 2**64,
                        "url": f"https://example.org/{number}.png",
                        "caption": f"Ein Bild, no. {number} – «naïve»",
                        "texts": [{"kind": "alt", "text": f"alt {number}"}],
                        "page_url": "https://example.org/",
                        "query_ids": [number % 10, 9],
                        "drawn_by": [9],
                        "probability": 0.5,
                        "consent": "allowed",
                        "consent_evidence": "robots.txt: none",
                        "image_consent": "allowed" if number % 2 else None,
                        "image_consent_evidence": "headers: none" if number % 2 else None,
                        "file": f"part-{part}.tar",
                        "offset": offset,
                        "length": len(data),
                        "width": 40,
                        "height": 30,
                        "exif": "{}",
                        "sha256": f"{number:064x}",
                        "phash": 2**64 - 1 - number,
                        "p_english": 0.75,
                    }
                )
            tar.close()
    shuffled = np.random.default_rng(0).permutation(samples)
    return pa.Table.from_pylist(rows, schema=JOINED).take(shuffled)


def test_readers_get_everything_back(tmp_path: Path) -> None:
    rows = make_store(f"{tmp_path}/images", 600)
    entries = write_shard(f"{tmp_path}/shards", 3, rows, f"{tmp_path}/images", QUERIES)
    assert [entry["file"] for entry in entries] == ["00003.tar", "00003.parquet", "00003_stats.json"]
    for entry in entries:
        path = f"{tmp_path}/shards/{entry['file']}"
        assert (entry["bytes"], entry["sha256"]) == (files.size(path), files.digest(path))
    dataset = webdataset.WebDataset(f"{tmp_path}/shards/00003.tar", shardshuffle=False).decode("pil")
    samples = list(dataset)
    expected = rows.to_pylist()
    assert [sample["__key__"] for sample in samples] == [key_of(row["pair_id"]) for row in expected]
    with tarfile.open(tmp_path / "shards/00003.tar") as archive:
        names = archive.getnames()
        assert names[:3] == [f"{samples[0]['__key__']}.{suffix}" for suffix in ("jpg", "txt", "json")]
        first = archive.extractfile(names[0])
        assert first is not None and first.read() == picture(int(expected[0]["sha256"], 16))
    for sample, row in zip(samples, expected, strict=True):
        assert sample["txt"] == row["caption"]
        assert sample["json"]["queries"] == [QUERIES[query] for query in row["query_ids"]]
        assert sample["json"]["phash"] == f"{row['phash']:016x}"
        assert sample["jpg"].size == (40, 30)
    table = pq.read_table(tmp_path / "shards/00003.parquet")
    assert table.schema.equals(SHARD)
    assert [sample_fields(row) for row in table.to_pylist()] == [sample["json"] for sample in samples]
    evidence = dict(zip(table["url"].to_pylist(), table["consent_evidence"].to_pylist(), strict=True))
    assert evidence["https://example.org/1.png"] == "page: robots.txt: none; image: headers: none"
    assert evidence["https://example.org/2.png"] == "page: robots.txt: none"
    statistics = json.loads((tmp_path / "shards/00003_stats.json").read_text())
    assert (statistics["count"], statistics["status_dict"], statistics["queries"]) == (600, {"success": 600}, 10)


@pytest.mark.parametrize("format_", ["tar", "parquet", "both"])
def test_equal_rows_give_equal_bytes(tmp_path: Path, format_: str) -> None:
    rows = make_store(f"{tmp_path}/images", 300)
    first = write_shard(f"{tmp_path}/a", 0, rows, f"{tmp_path}/images", QUERIES, format_)
    rechunked = pa.concat_tables([rows.slice(0, 7), rows.slice(7)])
    assert write_shard(f"{tmp_path}/b", 0, rechunked, f"{tmp_path}/images", QUERIES, format_) == first
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {path.name for path in (tmp_path / "b").iterdir()}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    table = pq.read_table(tmp_path / "a/00000.parquet")
    assert ("00000.tar" in names) == (format_ != "parquet") and ("jpg" in table.column_names) == (format_ != "tar")
    if format_ != "tar":
        numbers = [int(content, 16) for content in table["sha256"].to_pylist()]
        assert [entry["bytes"] for entry in table["jpg"].to_pylist()] == [picture(number) for number in numbers]
        assert table["jpg"][0]["path"].as_py() == table["key"][0].as_py() + ".jpg"


@pytest.mark.parametrize("noted", [[None, None], [None, "robots.txt: none"]])
def test_pairs_without_evidence(noted: list[str | None]) -> None:
    rows = pa.Table.from_pylist(
        [
            {"pair_id": pair, "query_ids": [], "consent_evidence": text, "image_consent_evidence": None}
            for pair, text in enumerate(noted)
        ],
        schema=pa.schema([field.with_nullable(True) for field in JOINED]),
    )
    expected = [None if text is None else f"page: {text}" for text in noted]
    assert shard_rows(rows, {}).column("consent_evidence").to_pylist() == expected


def test_a_shard_without_samples(tmp_path: Path) -> None:
    rows = pa.Table.from_batches([], schema=JOINED)
    write_shard(f"{tmp_path}/shards", 0, rows, f"{tmp_path}/images", QUERIES, "both")
    with tarfile.open(tmp_path / "shards/00000.tar") as archive:
        assert not archive.getnames()
    assert pq.read_table(tmp_path / "shards/00000.parquet").num_rows == 0


def test_any_file_system(tmp_path: Path) -> None:
    local = make_store(f"{tmp_path}/images", 300)
    remote = make_store("memory://test-shards/images", 300)
    here = write_shard(f"{tmp_path}/shards", 1, local, f"{tmp_path}/images", QUERIES)
    there = write_shard("memory://test-shards/shards", 1, remote, "memory://test-shards/images", QUERIES)
    assert here == there
    assert fsspec.filesystem("memory").size("/test-shards/shards/00001.tar") == here[0]["bytes"]


def test_index(tmp_path: Path) -> None:
    rows = make_store(f"{tmp_path}/images", 20)
    entries = [
        entry
        for index, start in enumerate((0, 5))
        for entry in write_shard(
            f"{tmp_path}/shards", index, rows.slice(start, 5 + start), f"{tmp_path}/images", QUERIES
        )
    ]
    written = write_index(f"{tmp_path}/shards", entries[::-1], "name of the set")
    assert [entry["file"] for entry in written] == ["sizes.json", "index.json"]
    assert json.loads((tmp_path / "shards/sizes.json").read_text()) == {"00000.tar": 5, "00001.tar": 10}
    index_ = json.loads((tmp_path / "shards/index.json").read_text())
    assert {key: index_[key] for key in ("__kind__", "wids_version", "name")} == {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": "name of the set",
    }
    for number, shard in enumerate(index_["shardlist"]):
        path = tmp_path / "shards" / shard["url"]
        assert (path.name, path.stat().st_size) == (f"0000{number}.tar", shard["filesize"])
        with tarfile.open(path) as archive:
            assert len(archive.getnames()) == 3 * shard["nsamples"] == 15 * (number + 1)


def test_damage_to_the_store_is_named(tmp_path: Path) -> None:
    rows = make_store(f"{tmp_path}/images", 10)
    path = tmp_path / "images/part-1.tar"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"part-1\.tar: is damaged: it ends before byte"):
        write_shard(f"{tmp_path}/shards", 0, rows, f"{tmp_path}/images", QUERIES)
    path.unlink()
    with pytest.raises(UserError, match=r"part-1\.tar: is damaged: it is missing"):
        write_shard(f"{tmp_path}/shards", 0, rows, f"{tmp_path}/images", QUERIES)
    assert not (tmp_path / "shards/00000.tar").exists()
