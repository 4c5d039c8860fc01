"""The programs that people load shards with, on the shards of a real run: each counts the same samples.

The demonstration's own, where it has been made beside this checkout (`make demo`); else those of a crawl of the small
site.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webdataset

from benchmarks.peers import PEERS, run_in_peers
from pipeline.audit.summary import SAMPLE_PICTURES
from tests.pipeline.small_job import serve_job

# It leaves it to the garbage collector to close what it opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo-run"
READERS = Path(__file__).with_name("table_readers.py")


@pytest.fixture(scope="module", params=["tar", "both", "parquet"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run: with tars the demonstration's where there is one; in the other formats the small site's."""
    if request.param == "tar" and (DEMO / "shards" / "_SUCCESS").exists() and (DEMO / "README.md").exists():
        yield DEMO
        return
    with serve_job(tmp_path_factory.mktemp("consumers")) as job:
        run = job.run("run", "--package.format", request.param)
        yield Path(run.root)


@pytest.fixture(scope="module")
def sizes(real: Path) -> dict[str, int]:
    """Samples of the two parts by sizes.json, which counts what lies beside it."""
    parts = {}
    for name in ("shards", "holdout"):
        counted = json.loads((real / name / "sizes.json").read_text())
        ending = ".tar" if list((real / name).glob("*.tar")) else ".parquet"
        assert sorted(counted) == sorted(path.name for path in (real / name).glob(f"*{ending}"))
        parts[name] = sum(counted.values())
    assert min(parts.values()) > 0
    return parts


def has_tars(real: Path) -> bool:
    return bool(list((real / "shards").glob("*.tar")))


def load(*arguments: Any, **options: Any) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(*arguments, **options)


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_the_tars(real: Path, sizes: dict[str, int], tmp_path: Path, streaming: bool) -> None:
    if not has_tars(real):
        return
    files = {"train": f"{real}/shards/*.tar", "test": f"{real}/holdout/*.tar"}
    parts = load("webdataset", data_files=files, streaming=streaming, cache_dir=str(tmp_path))
    found = {name: list(part) for name, part in parts.items()}
    assert {name: len(samples) for name, samples in found.items()} == {
        "train": sizes["shards"],
        "test": sizes["holdout"],
    }
    for sample in [*found["train"], *found["test"]]:
        assert sample["txt"] == sample["json"]["caption"] and min(sample["jpg"].size) > 0
        assert len(sample["json"]["phash"]) == 16 and sample["json"]["queries"]


def test_datasets_reads_the_folder_by_its_card(real: Path, sizes: dict[str, int], tmp_path: Path) -> None:
    parts = load(str(real), cache_dir=str(tmp_path))
    assert {name: part.num_rows for name, part in parts.items()} == {"train": sizes["shards"], "test": sizes["holdout"]}
    assert min(parts["train"][0]["jpg"].size) > 0


def test_datasets_reads_the_parquet_files(real: Path, sizes: dict[str, int], tmp_path: Path) -> None:
    rows = load("parquet", data_files=f"{real}/shards/*.parquet", split="train", cache_dir=str(tmp_path))
    assert rows.num_rows == sizes["shards"]
    if "jpg" in rows.column_names:
        assert min(rows[0]["jpg"].size) > 0


def test_webdataset_reads_the_tars(real: Path, sizes: dict[str, int]) -> None:
    if not has_tars(real):
        return
    tars = sorted(map(str, (real / "shards").glob("*.tar")))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))
    assert len(samples) == sizes["shards"]
    assert all(sample["json"]["key"] == sample["__key__"] for sample in samples)


def test_the_card_is_one_that_the_hub_accepts(real: Path) -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(real / "README.md").data
    assert data.language == ["en"] and data.pretty_name == real.name
    assert {"image-text", "webdataset" if has_tars(real) else "parquet"} <= set(data.tags or [])
    assert "image-to-text" in (data.task_categories or []) and data.license == "other"


def test_the_report_has_pictures(real: Path, sizes: dict[str, int]) -> None:
    shown = (real / "report.html").read_text().count("data:image/jpeg;base64,")
    assert shown == min(SAMPLE_PICTURES, sizes["shards"])


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_table_readers_count_the_same_by_the_glob_that_people_type(real: Path, sizes: dict[str, int]) -> None:
    found = run_in_peers(READERS, real)
    assert found["errors"] == []
    counted = found["counted"]
    assert set(counted) >= {"duckdb", "polars", "pandas", "mlcroissant", "img2dataset"}
    assert counted == dict.fromkeys(counted, sizes["shards"])


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_the_queries_that_the_documents_show_find_the_drops(real: Path, tmp_path: Path) -> None:
    """The two statements of docs/results.md, with their folder replaced by the run's."""
    shown = re.findall(r'^duckdb\.sql\("(.*)"\)$', (ROOT / "docs" / "results.md").read_text(), re.MULTILINE)
    assert len(shown) == 2
    (tmp_path / "statements.json").write_text(json.dumps([text.replace("my-run", str(real)) for text in shown]))
    by_reason, samples = run_in_peers(Path(__file__).with_name("statements.py"), tmp_path / "statements.json")["rows"]
    steps = json.loads((real / "funnel.json").read_text())["steps"]
    stated: Counter[str] = Counter()
    for step in steps:
        stated.update(step["rejects"] if step["name"] not in ("crawl", "fetch") else {})
    found: Counter[str] = Counter()
    for _, reason, count in by_reason:
        found[reason] += count
    assert {reason: found[reason] for reason in stated} == dict(stated) and stated
    assert len(samples) == min(50, stated["other_language"])


def test_nothing_but_data_has_the_ending_of_data(real: Path) -> None:
    """In every folder of a run, what a pattern like *.parquet finds is rows of one schema."""
    import pyarrow.parquet as pq

    for folder in {path.parent for path in real.rglob("*.parquet")} - {real}:
        if "model" in folder.parts:
            continue
        schemas = {tuple(pq.read_schema(path).names) for path in folder.glob("*.parquet")}
        assert len(schemas) == 1, folder


def test_the_trainer_reads_what_was_written(real: Path, sizes: dict[str, int]) -> None:
    from trainer.data.sources import Library

    ending = "tar" if has_tars(real) else "parquet"
    shards = Library().find((f"{real}/shards/*.{ending}",))
    assert sum(shard.size or 0 for shard in shards) == sizes["shards"]
