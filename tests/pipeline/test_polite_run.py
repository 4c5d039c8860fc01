"""The request log of a whole run on two sites: no host asked faster than its delay, nothing asked that is disallowed.

Two processes crawl, round by round. What one host's requests are apart is tested exactly, by a clock of its own, in
net/test_pace; here a busy machine may note one request late and the next in time, so what counts is how long a host's
requests took in all.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in
from tests.pipeline import small_site

DELAY, CRAWL_DELAY = 0.1, 0.2


@pytest.mark.slow
def test_two_sites_are_asked_at_their_pace_and_nothing_that_they_disallow(tmp_path: Path) -> None:
    for name in ("one", "two"):
        small_site.build_site(tmp_path / name)
    robots = tmp_path / "two" / "robots.txt"
    robots.write_text(f"User-agent: *\nCrawl-delay: {CRAWL_DELAY}\nDisallow: /images/00\nDisallow: /private/\n")
    names = ["circle", "square", "triangle"]
    table = {"query": names, "surface": names, "id": pa.array(range(3), pa.uint32()), "sources": [["synset"]] * 3}
    pq.write_table(pa.table(table), tmp_path / "queries.parquet")
    with small_site.serve(tmp_path / "one") as one, small_site.serve(tmp_path / "two", "127.0.0.2") as two:
        config = tmp_path / "run.toml"
        config.write_text(
            f'queries = "{tmp_path}/queries.parquet"\n[extract]\nseeds = ["{one.url}", "{two.url}"]\n'
            f"[http]\nallow_loopback = true\ndelay = {DELAY}\nconcurrency_per_host = 4\n[package]\nholdout = 0.0\n"
        )
        assert main(["run", str(config), "--output", str(tmp_path / "run"), "--workers", "2"]) == 0
    for site, delay in ((one, DELAY), (two, CRAWL_DELAY)):
        # Load only makes this longer. Twice as fast, as two processes at one host would be, takes half of it.
        assert site.moments[-1] - site.moments[0] >= 0.75 * delay * (len(site.moments) - 1), site.url
        assert not [path for path in site.asked if path.startswith("/private/")]
        pictures = [path for path in site.asked if path.startswith("/images/")]
        assert len(pictures) == len(set(pictures))
    assert [path for path in one.asked if path.startswith("/images/00")]
    assert not [path for path in two.asked if path.startswith("/images/00")]
    # The sites show the same pictures, of which each is kept once; the first one lets all be fetched.
    assert (
        rows_in(RunFolder(str(tmp_path / "run")).joined) == rows_in(RunFolder(str(tmp_path / "run")).matched) // 2 - 1
    )
