"""What is kept out of the shards: copies, pictures of earlier runs, pictures of evaluation sets; each with its reason
and match."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.tables.schema import JOINED, REJECTS
from tests.pipeline.dedup.altered_pictures import photograph
from tests.pipeline.small_site import serve

EARLIER = range(10)
NEW = range(10, 16)


def draw(number: int, size: tuple[int, int] = (288, 256)) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 255, (9, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((288, 256), Image.Resampling.BICUBIC).resize(size)


def build(folder: Path) -> None:
    for name in ("site", "evaluation/class"):
        (folder / name).mkdir(parents=True)
    for number in [*EARLIER, *NEW]:
        draw(number).save(folder / "site" / f"{number}.png")
    (folder / "site" / "copy-of-2.png").write_bytes((folder / "site" / "2.png").read_bytes())
    for number in (3, 10):
        draw(number, (144, 128)).save(folder / "site" / f"small-{number}.jpg", quality=90)
    # Shapes and detail, mirrored: of an earlier run's picture, and of an evaluation picture.
    photograph(1).save(folder / "site" / "photo.png")
    ImageOps.mirror(photograph(1)).save(folder / "site" / "turned-photo.jpg", quality=90)
    ImageOps.mirror(photograph(2)).crop((4, 9, 240, 180)).save(folder / "site" / "known-photo.jpg", quality=90)
    photograph(2).save(folder / "evaluation" / "class" / "photo.jpg", quality=90)
    draw(11, (144, 128)).save(folder / "evaluation" / "class" / "eleven.jpg", quality=90)
    queries = pa.table({"query": ["fox"], "surface": ["fox"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]})
    pq.write_table(queries, folder / "queries.parquet")


def loudness(images: Sequence[Image.Image], captions: Sequence[str]) -> list[float]:
    return [float(caption.rpartition(" ")[2]) for caption in captions]


def paint(images: Sequence[Image.Image]) -> list[Image.Image]:
    return [Image.new("RGB", image.size, (10, 200, 30)) for image in images]


def run(
    folder: Path, url: str, name: str, rows: list[tuple[str, str]], more: str, hooks: str, *options: str
) -> RunFolder:
    columns = {"URL": [url + file for file, _ in rows], "TEXT": [caption for _, caption in rows]}
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / f"{name}.toml").write_text(
        f'queries = "{folder}/queries.parquet"\n{more}'
        f'[extract]\nsource = "url_list"\ninputs = ["{folder}/{name}.parquet"]\n'
        '[text]\ndetector = "off"\n[http]\nallow_loopback = true\ndelay = 0.0\n[balance]\nmode = "none"\n'
        f'[package]\nnear_duplicates = 6\nnear_altered = true\nevaluation_sets = ["{folder}/evaluation"]\n{hooks}'
    )
    assert main(["run", str(folder / f"{name}.toml"), "--output", str(folder / name), *options]) == 0
    return RunFolder(str(folder / name))


def rejects(made: RunFolder, stage: str) -> dict[str, tuple[str, str]]:
    rows = read_table(made.rejects(stage), REJECTS).to_pylist()
    return {row["url"].rpartition("/")[2]: (row["reason"], row["detail"]) for row in rows}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_everything_that_is_there_already_is_told_apart(tmp_path: Path, workers: str) -> None:
    build(tmp_path)
    with serve(tmp_path / "site") as site:
        first = [(f"{number}.png", f"a fox on hill number {number}") for number in EARLIER]
        first.append(("photo.png", "a fox in the mist 0"))
        earlier = run(tmp_path, site.url, "first", first, "", "")
        asked = len(site.asked)
        rows = [("0.png", "a fox on hill number 0"), ("1.png?utm_source=x", "another text for the fox")]
        rows += [(name, f"a fox called {name[:-4]} 1") for name in ("copy-of-2.png", "small-3.jpg", "small-10.jpg")]
        rows += [(f"{number}.png", f"a fox on hill number {number}") for number in NEW]
        rows += [("turned-photo.jpg", "a fox in the mist 1"), ("known-photo.jpg", "a fox in the mist 2")]
        more = f'earlier_runs = ["{earlier.root}"]\n'
        hooks = f'[package.hooks]\nscores = {{ loud = "{__name__}:loudness" }}\nedits = ["{__name__}:paint"]\n'
        hooks += "maximum = { loud = 14.5 }\n"
        made = run(tmp_path, site.url, "second", rows, more, hooks, "--workers", workers)
        again = [path for path in site.asked[asked:] if path in ("/0.png", "/1.png?utm_source=x")]
    assert again == []  # known by their addresses, so not fetched
    known = rejects(made, "match")
    assert {name: reason for name, (reason, _) in known.items()} == {
        "0.png": "earlier_pair",
        "1.png?utm_source=x": "earlier_url",
    }
    dropped = rejects(made, "package")
    assert {name: reason for name, (reason, _) in dropped.items()} == {
        "copy-of-2.png": "earlier_image",
        "small-3.jpg": "near_earlier_image",
        "small-10.jpg": "near_duplicate",
        "turned-photo.jpg": "near_earlier_image",
        "11.png": "in_evaluation_set",
        "known-photo.jpg": "in_evaluation_set",
        "15.png": "high_loud",
    }
    assert dropped["15.png"][1] == "loud 15.0000"
    assert dropped["11.png"][1].endswith("evaluation/class/eleven.jpg")
    assert dropped["known-photo.jpg"][1].endswith("evaluation/class/photo.jpg")
    joined = {row["url"].rpartition("/")[2]: row["sha256"] for row in read_table(made.joined, JOINED).to_pylist()}
    assert sorted(joined) == ["10.png", "12.png", "13.png", "14.png"]
    # Of a picture and its copy the one with more pixels stays, and the ledger names it.
    assert joined["10.png"][:16] in dropped["small-10.jpg"][1]
    # Scores are stored with the pairs, and the pictures in the shards are those that the edit made.
    table = pq.read_table(f"{made.shards}/00000.parquet")
    scores = {row["url"].rpartition("/")[2]: row["scores"] for row in table.to_pylist()}
    assert scores["12.png"] == [{"name": "loud", "score": 12.0}]
    with tarfile.open(f"{made.shards}/00000.tar") as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        pictures = [stream.read() for name, stream in members.items() if name.endswith(".jpg") and stream]
    assert len(pictures) == 4
    for picture in pictures:
        red, green, blue = Image.open(io.BytesIO(picture)).getpixel((50, 50))
        assert red < 40 and green > 170 and blue < 60
