"""The shards load unchanged in webdataset: as a stream, and by place in its older releases, through the index that wids
reads."""

from pathlib import Path

import pytest
import webdataset

from benchmarks.peers import PEERS, run_in_peers
from pipeline.keeping.folder import RunFolder

# It leaves it to the garbage collector to close what they opened.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


def test_webdataset_streams_every_sample(run: RunFolder, captions: set[str]) -> None:
    pairs = webdataset.WebDataset(f"{run.shards}/{{00000..00001}}.tar", shardshuffle=False).decode("pil")
    samples = list(pairs)
    assert len(samples) == 25
    assert {sample["txt"] for sample in samples} == captions
    for sample in samples:
        assert sample["jpg"].size == (320, 240)
        assert sample["json"]["caption"] == sample["txt"]
        assert sample["json"]["key"] == sample["__key__"]


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_wids_reads_by_place(run: RunFolder, captions: set[str], tmp_path: Path) -> None:
    source = Path(__file__).with_name("wids_loader.py")
    found = run_in_peers(source, f"{run.shards}/index.json", tmp_path)
    assert found["length"] == len(found["captions"]) == 25
    assert set(found["captions"]) == captions
    assert found["sizes"] == [[320, 240]]
