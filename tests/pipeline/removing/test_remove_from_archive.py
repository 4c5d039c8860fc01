"""A picture that was taken out does not come in again with the archive that holds it."""

import hashlib
from pathlib import Path

from pipeline.__main__ import main
from pipeline.audit.check import check_folder
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.tables.schema import IMAGES, SHARD
from tests.pipeline.small_archive import write_archive
from tests.pipeline.small_job import Job


def _urls(run: RunFolder) -> set[str]:
    return set(read_table(run.shards, SHARD, ["url"]).column("url").to_pylist())


def test_an_archive_brings_nothing_back(job: Job, tmp_path: Path) -> None:
    site, run = job.folder / "site", RunFolder(str(tmp_path / "run"))
    write_archive(site, tmp_path / "site.warc.gz")
    (tmp_path / "run.toml").write_text(
        f'queries = "{job.folder}/queries.parquet"\n[extract]\nsource = "warc"\ninputs = ["{tmp_path}/site.warc.gz"]\n'
        '[text]\ndetector = "off"\n[balance]\nt = 50\n'
    )
    words = ["run", str(tmp_path / "run.toml"), "--output", run.root]
    assert main(words) == 0
    before = _urls(run)
    by_url, by_hash = "http://shapes.example/images/005.png", "http://shapes.example/images/006.png"
    assert {by_url, by_hash} <= before
    (tmp_path / "urls.txt").write_text(by_url)
    (tmp_path / "hashes.txt").write_text(hashlib.sha256((site / "images/006.png").read_bytes()).hexdigest())
    lists = ["--urls", str(tmp_path / "urls.txt"), "--hashes", str(tmp_path / "hashes.txt")]
    assert main(["remove", run.root, *lists]) == 0
    assert _urls(run) == before - {by_url, by_hash}
    # With another setting of extraction the archive is read anew, pictures and all.
    assert main([*words, "--extract.image-width", "2000"]) == 0
    assert _urls(run) == before - {by_url, by_hash}
    statuses = {row["url"]: row["status"] for row in read_table(run.images, IMAGES, ["url", "status"]).to_pylist()}
    assert statuses[by_url] == statuses[by_hash] == "removed"
    assert check_folder(run.root, readers=False, note=False).findings == []
