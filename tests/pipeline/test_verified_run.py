"""A list that states hashes: pairs whose picture is another one by now are counted rejects."""

import csv
import hashlib
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job
from tests.pipeline.small_site import CAPTIONS


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_picture_that_is_another_one_by_now_is_dropped(job: Job, tmp_path: Path, kind: str) -> None:
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["url", "caption", "Checksum"])
        for number, caption in enumerate(CAPTIONS[:6]):
            data = (job.folder / "site" / "images" / f"{number:03}.png").read_bytes()
            stated = {1: "0" * 8, 2: ""}.get(number, hashlib.new(kind, data).hexdigest().upper())
            rows.writerow([f"{job.site.url}images/{number:03}.png", caption, stated])
    (tmp_path / "run.toml").write_text(
        f'queries = "{job.folder}/queries.parquet"\n'
        f'[extract]\nsource = "url_list"\ninputs = ["{tmp_path}/list.csv"]\nverify_hash = ["checksum", "{kind}"]\n'
        f"[image]\nencode_format = 'webp'\nmd5 = {str(kind == 'md5').lower()}\n"
        "[http]\nallow_loopback = true\ndelay = 0.0\n"
    )
    assert main(["run", str(tmp_path / "run.toml"), "--output", str(tmp_path / "run")]) == 0
    run = RunFolder(str(tmp_path / "run"))
    with tarfile.open(f"{run.shards}/00000.tar") as shard:
        assert [name.partition(".")[2] for name in shard.getnames()] == ["webp", "txt", "json"] * 5
    assert main(["check", run.root]) == 0
    samples = Path(run.report).read_text().count("data:image/jpeg")
    assert samples > 0
    stored = pq.read_table(f"{run.shards}/00000.parquet").to_pylist()
    assert sorted(row["caption"] for row in stored) == sorted(CAPTIONS[n] for n in (0, 2, 3, 4, 5))
    lost = pq.read_table(run.rejects("package")).to_pylist()
    assert [(row["reason"], row["url"][-7:]) for row in lost] == [("hash_mismatch", "001.png")]
    assert lost[0]["detail"].startswith("the list says 00000000, received was ")
