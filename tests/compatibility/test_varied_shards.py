"""Shards as real runs give them, in the datasets library: optional fields empty at first and filled later, hashes of
any size."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.tables.schema import JOINED
from pipeline.write.shards import write_index, write_shard
from tests.small_run import paint
from webimagetext import files

# It leaves it to the garbage collector to close what it opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

OPTIONAL = {
    "page_url": "https://h/page", "page_language": "en", "p_english": 0.5, "marks": ["email"], "source": "pages",
    "drawn_by": [0], "probability": 0.25, "consent": "allowed", "consent_evidence": "robots.txt: none", "exif": "{}",
    "scores": [{"name": "own", "score": 0.5}], "texts": [{"kind": "alt", "text": "t"}],
    "declared_width": 5, "original_width": 40, "phash": 2**64 - 1,
}  # fmt: skip
SAMPLES = 8  # the library infers from the first five


def make_shard(folder: Path, seed: int) -> list[dict[str, Any]]:
    """One shard, as tar and Parquet with pictures, whose optional fields are empty up to a random row each."""
    draw = random.Random(seed)
    data = paint(seed)
    with files.write_atomic(f"{folder}/images/part.tar") as stream:
        stream.write(data)
    filled_from = {name: draw.randint(0, SAMPLES) for name in OPTIONAL}
    rows = [
        {
            "pair_id": draw.getrandbits(64), "url": f"https://h/{number}.png", "caption": f"picture {number} naïve «x»",
            "query_ids": [number % 2], "file": "part.tar", "offset": 0, "length": len(data), "width": 40, "height": 30,
            "sha256": f"{number:064x}", "phash": draw.getrandbits(64),
            **{
                name: value if number >= filled_from[name] else draw.choice([None, [] if isinstance(value,
                list) else None])
                for name, value in OPTIONAL.items()
            },
        }
        for number in range(SAMPLES)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=JOINED)
    entries = write_shard(f"{folder}/shards", 0, table, f"{folder}/images", ["dog", "cat"], "both")
    write_index(f"{folder}/shards", entries)
    return rows


@pytest.mark.parametrize("seed", range(100))
def test_a_random_run_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    rows = make_shard(tmp_path, seed)
    cache = str(tmp_path / "cache")
    pairs = datasets.load_dataset("webdataset", data_files=f"{tmp_path}/shards/*.tar", split="train", cache_dir=cache)
    assert sorted(pairs["txt"]) == sorted(row["caption"] for row in rows)
    assert {sample["phash"] for sample in pairs["json"]} == {
        "" if row["phash"] is None else f"{row['phash']:016x}" for row in rows
    }
    table = datasets.load_dataset("parquet", data_files=f"{tmp_path}/shards/*.parquet", split="train", cache_dir=cache)
    assert isinstance(table.features["jpg"], datasets.Image) and table[0]["jpg"].size == (40, 30)
    assert np.asarray(table[0]["jpg"]).shape == (30, 40, 3)
    assert [row["marks"] for row in table] == [row["marks"] for row in rows]
