"""Pictures kept apart: no near picture is on the other side, whatever the engine cuts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.__main__ import main
from pipeline.dedup.near import distances
from pipeline.hashing import hash_numbers
from pipeline.keeping.folder import RunFolder
from tests.pipeline.dedup.altered_pictures import ALTERATIONS, photograph
from tests.pipeline.small_job import Job
from tests.pipeline.small_site import serve


def rows(folder: str, column: str) -> pa.ChunkedArray:
    return pa.concat_tables(pq.read_table(path, columns=[column]) for path in Path(folder).glob("*.parquet"))[column]


def test_a_picture_that_is_kept_apart_has_no_near_one_in_the_shards(job: Job, first: RunFolder) -> None:
    run = job.copy(first, "apart")

    def closest() -> int:
        trained, apart = (hash_numbers(rows(folder, "phash")).to_numpy() for folder in (run.shards, run.holdout))
        return int(distances(trained[:, None], apart[None, :]).min())

    assert closest() == 0  # drawings that differ in colour alone
    job.run("apart", "--package.holdout-distance", "4")
    held = rows(run.holdout, "sha256").to_pylist()
    assert closest() > 4
    trained = rows(run.shards, "sha256").to_pylist()
    assert sorted(trained + held) == sorted(rows(run.joined, "sha256").to_pylist())
    kept = rows(run.held_out, "content").to_pylist()
    assert kept == sorted({int(content[:16], 16) for content in held})


def test_an_altered_copy_goes_to_the_side_of_its_original(tmp_path: Path) -> None:
    """By the hash a picture and its mirrored part are as far apart as any others; the sketch keeps them together."""
    (tmp_path / "site").mkdir()
    for number in range(12):
        photograph(number).save(tmp_path / "site" / f"{number}.png")
        ALTERATIONS["mirrored and cropped"](photograph(number)).save(tmp_path / "site" / f"part-{number}.png")
    names = [f"{kind}{number}.png" for number in range(12) for kind in ("", "part-")]
    pq.write_table(
        pa.table({"query": ["fox"], "surface": ["fox"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]}),
        tmp_path / "queries.parquet",
    )
    with serve(tmp_path / "site") as site:
        listed = {
            "URL": [site.url + name for name in names],
            "TEXT": [f"a fox in the mist {name[:-4]}" for name in names],
        }
        pq.write_table(pa.table(listed), tmp_path / "list.parquet")
        (tmp_path / "run.toml").write_text(
            f'queries = "{tmp_path}/queries.parquet"\n'
            f'[extract]\nsource = "url_list"\ninputs = ["{tmp_path}/list.parquet"]\n'
            '[text]\ndetector = "off"\n[balance]\nmode = "none"\n'
            "[http]\nallow_loopback = true\ndelay = 0.0\n[package]\nholdout = 0.5\n"
        )
        run = RunFolder(f"{tmp_path}/run")
        assert main(["run", f"{tmp_path}/run.toml", f"--output={run.root}"]) == 0
    trained, held = (
        {
            url.rpartition("/")[2]: content
            for url, content in zip(*(rows(folder, name).to_pylist() for name in ("url", "phash")), strict=True)
        }
        for folder in (run.shards, run.holdout)
    )
    assert held and sorted([*trained, *held]) == sorted(names)
    assert {name.removeprefix("part-") for name in trained}.isdisjoint(name.removeprefix("part-") for name in held)
    looks = {name: int(text, 16) for name, text in (trained | held).items()}
    assert all((looks[f"{n}.png"] ^ looks[f"part-{n}.png"]).bit_count() > 8 for n in range(12))
