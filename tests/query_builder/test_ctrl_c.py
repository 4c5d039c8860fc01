"""Ctrl-C in a build: one line and exit status 130, whatever its workers are doing."""

import random
import sys
from pathlib import Path

import pytest

from tests.interrupt import SAID, interrupted

DRAW = random.Random(4)
MOMENTS = [0, 0.02, *(DRAW.uniform(0.05, 0.8) for _ in range(3))]


@pytest.mark.parametrize("then", MOMENTS)
@pytest.mark.parametrize("workers", [1, 3])
def test_no_worker_says_anything(workers: int, then: float, small_dump: str, tmp_path: Path) -> None:
    head, *pages = small_dump.removesuffix("</mediawiki>\n").split("  <page>")
    big = tmp_path / "big.xml"
    big.write_text(head + "".join(f"  <page>{page}" for page in pages) * 2000 + "</mediawiki>\n")
    command = [sys.executable, "-m", "query_builder", "build", "--dump", str(big), "--workers", "3"]
    command += ["--shard-megabytes", "0.5", "--output", str(tmp_path / "queries.parquet")]
    # One process more looks after what the others share.
    assert interrupted(command, 1 + workers, then) == (130, SAID)
