"""The shards load unchanged in open_clip's training and evaluation loaders, whose size comes from our sizes.json."""

from pathlib import Path

import pytest

from benchmarks.peers import PEERS, run_in_peers
from pipeline.keeping.folder import RunFolder


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_open_clip_reads_every_sample(run: RunFolder, captions: set[str]) -> None:
    source = Path(__file__).with_name("open_clip_loader.py")
    found = run_in_peers(source, f"{run.shards}/{{00000..00001}}.tar")
    for part in ("train", "evaluation"):
        assert set(found[part]["captions"]) == captions
        assert len(found[part]["captions"]) == 25
        assert found[part]["shapes"] == [[3, 224, 224]]
    assert found["train"]["samples"] == 25
