"""A whole run on the small site, by the command line: what the tests of the flow share, whatever engine or store they
run it on."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from query_builder.normalize import normalize
from tests.pipeline import small_site

__all__ = ["TABLES", "Job", "digests", "serve_job"]

TABLES = ("candidates", "matched", "selected", "reserve", "joined", "shards", "holdout")
QUERIES = [
    "red",
    "green",
    "blue",
    "yellow",
    "circle",
    "square",
    "triangle",
    "white field",
    "on a black field",
    "never seen",
]


class Job:
    """The site, a configuration for it, and runs of it.

    ``asked`` are the paths that each run, by its name, last asked the site for.
    """

    def __init__(self, folder: Path, site: small_site.Site) -> None:
        self.folder, self.site = folder, site
        self.asked: dict[str, list[str]] = {}
        names = sorted(map(normalize, QUERIES))
        ids = pa.array(range(len(names)), pa.uint32())
        sources = pa.array([["synset"]] * len(names))
        table = pa.table({"query": names, "surface": names, "id": ids, "sources": sources})
        pq.write_table(table, folder / "queries.parquet")
        self.config = folder / "run.toml"
        self.config.write_text(
            f'queries = "{folder}/queries.parquet"\nseed = 7\n'
            f'[extract]\nseeds = ["{site.url}"]\n'
            "[http]\nallow_loopback = true\ndelay = 0.0\nretries = 0\n"
            "[balance]\nt = 2\nreserve = 1.0\n"
            "[package]\nholdout = 0.25\nholdout_distance = -1\nsamples_per_shard = 6\n"
        )

    def run(self, name: str, *options: str, beam: tuple[str, ...] = ()) -> RunFolder:
        output = str(self.folder / name)
        words = ["run", str(self.config), "--output", output, *options, *(("--", *beam) if beam else ())]
        before = len(self.site.asked)
        assert main(words) == 0
        self.asked[name] = self.site.asked[before:]
        return RunFolder(output)

    def copy(self, run: RunFolder, name: str) -> RunFolder:
        """A copy of a run under another name, for a test that changes what is there."""
        shutil.copytree(run.root, self.folder / name)
        return RunFolder(str(self.folder / name))


def digests(run: RunFolder) -> dict[str, str]:
    return {name: manifest_digest(run.path(name)) for name in TABLES}


@contextlib.contextmanager
def serve_job(folder: Path) -> Iterator[Job]:
    """Builds the site in ``folder``, serves it while the block runs, and gives the job."""
    small_site.build_site(folder / "site")
    with small_site.serve(folder / "site") as site:
        yield Job(folder, site)
