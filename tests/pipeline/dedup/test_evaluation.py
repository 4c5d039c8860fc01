"""Evaluation pictures are found again, by content and by looks, from folders, tars and tables."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.dedup.evaluation import EvaluationPicture, EvaluationSet
from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, process
from webimagetext.errors import UserError


def jpeg(number: int, size: tuple[int, int] = (400, 300)) -> bytes:
    shapes = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(shapes).resize((400, 300), Image.Resampling.BICUBIC).resize(size).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def columns(pictures: list[bytes]) -> tuple[pa.Array, pa.Array]:
    results = [process(picture, ImageConfig()) for picture in pictures]
    found = [result for result in results if isinstance(result, Processed)]
    return pa.array([r.sha256 for r in found]), pa.array([r.phash for r in found], pa.uint64())


def test_folder_tar_and_table_give_the_same_matches(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "class"
    folder.mkdir(parents=True)
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for number in range(5):
            (folder / f"{number}.jpg").write_bytes(jpeg(number))
            archive.add(folder / f"{number}.jpg", f"{number}.JPG")
    (folder / "broken.png").write_bytes(b"no picture")
    sha256, phash = columns([jpeg(number) for number in range(5)])
    pq.write_table(pa.table({"sha256": sha256, "phash": phash}), tmp_path / "set.parquet")
    fetched = columns([jpeg(3), jpeg(1, (200, 150)), jpeg(77), jpeg(0)])
    for path, name in (
        (tmp_path / "set", f"{folder}/{{}}.jpg"),
        (tmp_path / "set.tar", f"{tmp_path}/set.tar#{{}}.JPG"),
        (tmp_path / "set.parquet", f"{tmp_path}/set.parquet#{{}}"),
    ):
        known = EvaluationSet.read([str(path)])
        assert len(known.names) == 5
        near = known.matches(*fetched, distance=6)
        assert near.to_pylist() == [name.format(3), name.format(1), None, name.format(0)]
        assert known.matches(*fetched, distance=-1).to_pylist() == [name.format(3), None, None, name.format(0)]


def test_a_folder_of_shards_is_read_by_its_tables_where_they_know_the_originals(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for stem in ("ours", "foreign"):
        with tarfile.open(shards / f"{stem}.tar", "w") as archive:
            (tmp_path / "p.jpg").write_bytes(jpeg(1 if stem == "ours" else 2, (200, 150)))
            archive.add(tmp_path / "p.jpg", "key.jpg")
    sha256, phash = columns([jpeg(1)])
    pq.write_table(pa.table({"sha256": sha256, "phash": phash}), shards / "ours.parquet")
    pq.write_table(pa.table({"caption": ["a dog"]}), shards / "foreign.parquet")
    known = EvaluationSet.read([str(shards)])
    assert known.names == (f"{shards}/foreign.tar#key.jpg", f"{shards}/ours.parquet#0")
    assert known.sha256[1] == sha256[0].as_py()
    assert EvaluationSet.of(known.table()).names == known.names
    batch = pa.RecordBatch.from_pydict({"sha256": sha256, "phash": phash})
    reasons, added = EvaluationPicture(known, -1, True)(batch)
    assert reasons.to_pylist() == ["in_evaluation_set"]
    assert added[EvaluationPicture.detail].to_pylist() == [f"{shards}/ours.parquet#0"]


def test_equal_to_comparing_with_every_picture() -> None:
    generator = np.random.default_rng(0)
    theirs = generator.integers(0, 2**64, 300, dtype=np.uint64)
    theirs[100:200] = theirs[:100] ^ np.uint64(0b1011)
    ours = theirs[generator.integers(0, 300, 500)]
    for _ in range(5):
        bit = np.uint64(1) << generator.integers(0, 64, len(ours)).astype(np.uint64)
        ours = np.where(generator.random(len(ours)) < 0.6, ours ^ bit, ours)
    known = EvaluationSet(tuple(map(str, range(300))), tuple(f"{n:064x}" for n in range(300)), theirs)
    for distance in (1, 2, 4):
        found = known.matches(pa.array(["-"] * 500), pa.array(ours), distance).to_pylist()
        apart = np.bitwise_count(ours[:, None] ^ theirs[None])
        nearest = apart.argmin(axis=1)
        expected = [str(n) if apart[row, n] <= distance else None for row, n in enumerate(nearest.tolist())]
        assert found == expected and any(expected) and not all(expected)


def test_unknown_fingerprints_match_nothing() -> None:
    known = EvaluationSet(("a",), ("00",), np.array([0], dtype=np.uint64))
    answers = known.matches(pa.array([None, "00"]), pa.array([None, None], pa.uint64()), 4)
    assert answers.to_pylist() == [None, "a"]


def test_a_set_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no picture"):
        EvaluationSet.read([str(tmp_path)])
    with pytest.raises(UserError, match="no such file"):
        EvaluationSet.read([str(tmp_path / "missing")])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="no columns"):
        EvaluationSet.read([str(tmp_path / "t.parquet")])
