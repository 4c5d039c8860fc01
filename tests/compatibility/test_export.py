"""What other projects make of an export: readers of tables and links, the hub's own card, and img2dataset's download of
the links, from which pairs are taken back."""

from pathlib import Path

import pytest

from benchmarks.peers import PEERS, run_in_peers
from pipeline.__main__ import main
from pipeline.audit.check import check_folder
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import samples_in
from tests.pipeline.small_job import Job

# webdataset leaves it to the garbage collector to close what it opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

READERS = Path(__file__).with_name("export_readers.py")
needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")


@pytest.fixture(scope="module")
def exported(job: Job, first: RunFolder) -> Path:
    output = job.folder / "for-others"
    assert main(["export", first.root, "--output", str(output)]) == 0
    return output


def test_datasets_loads_the_folder_by_its_card(first: RunFolder, exported: Path, tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    counts = {"train": samples_in(first.shards), "test": samples_in(first.holdout)}
    pairs = datasets.load_dataset(str(exported), cache_dir=str(tmp_path))
    assert {name: part.num_rows for name, part in pairs.items()} == counts
    assert isinstance(pairs["train"].features["image"], datasets.Image)
    assert pairs["train"][0]["image"].size == (160, 120) and pairs["train"][0]["queries"]
    streamed = datasets.load_dataset(str(exported), split="test", streaming=True)
    assert sum(min(row["image"].size) > 0 for row in streamed) == counts["test"]
    links = datasets.load_dataset(str(exported), "links", cache_dir=str(tmp_path))
    assert {name: part.num_rows for name, part in links.items()} == counts
    assert "image" not in links["train"].column_names and links["train"][0]["url"].startswith("http")


def test_the_hub_takes_the_card(exported: Path) -> None:
    from huggingface_hub import DatasetCard, metadata_load

    data = DatasetCard.load(exported / "README.md").data
    assert (data.license, data.license_name, data.language) == ("other", "rights-of-the-authors", ["en"])
    assert data.size_categories == ["n<1K"] and "text-to-image" in (data.task_categories or [])
    assert [config["config_name"] for config in metadata_load(exported / "README.md")["configs"]] == [
        "default",
        "links",
    ]


@pytest.mark.peers
@needs_peers
def test_six_readers_count_the_same(first: RunFolder, exported: Path) -> None:
    found = run_in_peers(READERS, exported, "-")
    assert found["errors"] == [] and found["version"] == "http://mlcommons.org/croissant/1.1"
    assert found["counted"] == dict.fromkeys(found["counted"], samples_in(first.shards)) and len(found["counted"]) == 6
    assert found["sizes"] == [[160, 120], [160, 120]]


@pytest.mark.slow
@pytest.mark.peers
@needs_peers
def test_img2dataset_downloads_the_links_and_a_pair_is_taken_back(
    first: RunFolder, exported: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq
    import webdataset

    run_in_peers(READERS, exported, tmp_path / "shards")
    shards = tmp_path / "shards"
    assert check_folder(str(shards)).findings == []
    rows = [row for path in sorted(shards.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [row["status"] for row in rows] == ["success"] * samples_in(first.shards)
    (tmp_path / "list.txt").write_text(rows[0]["url"])
    assert main(["remove", str(shards), "--urls", str(tmp_path / "list.txt")]) == 0
    tars = sorted(map(str, shards.glob("*.tar")))
    left = [sample["json"]["url"] for sample in webdataset.WebDataset(tars, shardshuffle=False).decode()]
    assert sorted(left) == sorted(row["url"] for row in rows if row["url"] != rows[0]["url"])
    assert check_folder(str(shards)).findings == []
