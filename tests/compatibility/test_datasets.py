"""The shards, and the whole run folder by its card, load unchanged in the datasets library, without a network."""

from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder

# It leaves it to the garbage collector to close what it opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.mark.parametrize("streaming", [False, True])
def test_tars_load_as_webdataset(run: RunFolder, captions: set[str], tmp_path: Path, streaming: bool) -> None:
    from datasets import load_dataset

    files = {"train": f"{run.shards}/*.tar"}
    pairs = load_dataset("webdataset", data_files=files, split="train", streaming=streaming, cache_dir=str(tmp_path))
    samples = list(pairs)
    assert {sample["txt"] for sample in samples} == captions
    assert len(samples) == 25
    assert all(sample["jpg"].size == (320, 240) for sample in samples)
    assert all(sample["json"]["queries"] == ["dog", "red", "a"] for sample in samples)


def test_the_run_folder_loads_by_its_card(run: RunFolder, captions: set[str], tmp_path: Path) -> None:
    from datasets import load_dataset

    parts = load_dataset(run.root, cache_dir=str(tmp_path))
    assert {name: part.num_rows for name, part in parts.items()} == {"train": 25, "test": 5}
    assert set(parts["train"]["txt"]) == captions


def test_parquet_files_load_as_a_table(run: RunFolder, captions: set[str], tmp_path: Path) -> None:
    from datasets import load_dataset

    rows = load_dataset("parquet", data_files=f"{run.shards}/[0-9]*.parquet", split="train", cache_dir=str(tmp_path))
    assert set(rows["caption"]) == captions
    assert rows.column_names[:4] == ["url", "caption", "key", "status"]
