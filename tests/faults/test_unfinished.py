"""Damage to what an interrupted run has left, before any manifest vouches for it: the same command makes it anew, and
asks nobody for what is whole."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import MANIFEST_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import rows_in, write_manifest
from tests.pipeline.small_job import Job, digests
from tests.pipeline.test_archive_flow import archive_job


def flip(path: Path) -> None:
    """Changes a bit of a value: of a Parquet file near the end of its largest column, or, where it has no row, in the
    middle; of a tar in its first picture."""
    content, place = bytearray(path.read_bytes()), 700
    if path.suffix == ".parquet" and pq.read_metadata(path).num_rows == 0:
        place = len(content) // 2
    elif path.suffix == ".parquet":
        group = pq.read_metadata(path).row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        column = max(columns, key=lambda each: each.total_compressed_size)
        first = column.dictionary_page_offset or column.data_page_offset
        place = first + column.total_compressed_size - 2
    content[place] ^= 0x08
    path.write_bytes(content)


def flip_in_footer(path: Path) -> None:
    """Changes a letter that Arrow reads over, in the name of the program that wrote a Parquet file."""
    content = bytearray(path.read_bytes())
    content[content.index(b"parquet-cpp")] ^= 0x01
    path.write_bytes(content)


FAULTS: dict[str, Callable[[Path], object]] = {
    "flip": flip,
    "flip in footer": flip_in_footer,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "delete": Path.unlink,
}


@pytest.fixture
def copy(job: Job, first: RunFolder) -> Iterator[RunFolder]:
    place = job.folder / "unfinished"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(first.root, place)
    yield RunFolder(str(place))
    shutil.rmtree(place, ignore_errors=True)


def killed_in_a_round(run: RunFolder, table: str) -> Path:
    """A crawl with all buckets of a round and nothing that says so: of the last one whose ``table`` has rows. Returns
    the largest file of that."""
    rounds = sorted(Path(run.crawl).glob("*/round-*"))
    filled = [each for each in rounds if (each / table).exists() and rows_in(str(each / table))]
    for path in rounds[rounds.index(filled[-1]) + 1 :]:
        shutil.rmtree(path)
    for name in ("candidates", "links", "rejects", "pages"):
        for file in (MANIFEST_FILE, SUCCESS_FILE):
            (filled[-1] / name / file).unlink(missing_ok=True)
    (Path(run.candidates) / SUCCESS_FILE).unlink()
    return max((filled[-1] / table).glob("part-*"), key=lambda path: path.stat().st_size)


def killed_before_the_manifest(run: RunFolder) -> Path:
    """A fetch whose parts are all there, and in no manifest. Returns its largest part's table."""
    images = Path(run.images)
    (images / SUCCESS_FILE).unlink()
    write_manifest(run.images, [])
    return max(images.glob("*.tar"), key=lambda path: path.stat().st_size).with_suffix(".parquet")


def goes_on(job: Job, run: RunFolder, first: RunFolder) -> list[str]:
    """What the same command asks the site for; the run is then as it would have been."""
    before = len(job.site.asked)
    assert main(["run", str(job.config), "--output", run.root]) == 0
    now, before_it = digests(run), digests(first)
    for found in (now, before_it):  # which refers to parts of the image store by names that may be other ones
        del found["joined"]
    assert now == before_it
    assert main(["check", run.root, "--no-readers", "--sample", "1"]) == 0
    return job.site.asked[before:]


SLOW = [pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS if not fault.startswith("flip")]


@pytest.mark.parametrize("fault", ["flip", "flip in footer", *SLOW])
@pytest.mark.parametrize("table", ["candidates", "links", "rejects", "pages"])
def test_a_bucket_of_a_crawl(table: str, fault: str, job: Job, copy: RunFolder, first: RunFolder) -> None:
    killed_in_a_round(copy, table)
    after_it = [path for path in goes_on(job, copy, first) if path.endswith(("/", ".html"))]
    FAULTS[fault](killed_in_a_round(copy, table))
    pages = [path for path in goes_on(job, copy, first) if path.endswith(("/", ".html"))]
    assert len(pages) > len(after_it) and len(set(pages)) == len(pages)


@pytest.mark.parametrize("fault", ["flip", "flip in footer", *SLOW])
@pytest.mark.parametrize("ending", [".parquet", ".tar"])
def test_a_part_of_the_image_store(ending: str, fault: str, job: Job, copy: RunFolder, first: RunFolder) -> None:
    if fault == "flip in footer" and ending == ".tar":
        pytest.skip("a tar has none")
    table = killed_before_the_manifest(copy)
    assert not [path for path in goes_on(job, copy, first) if path.startswith("/images")]
    table = killed_before_the_manifest(copy)
    shutil.rmtree(copy.shards)  # whose step reads the pictures again
    FAULTS[fault](table.with_suffix(ending))
    pictures = [path for path in goes_on(job, copy, first) if path.startswith("/images")]
    assert pictures and len(set(pictures)) == len(pictures)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_read_from_an_archive(fault: str, tmp_path: Path) -> None:
    config, run = archive_job(tmp_path), tmp_path / "run"
    words = ["run", str(config), "--output", str(run)]
    assert main(words) == 0
    shards = (run / "shards" / "00000.tar").read_bytes()
    for pattern in ("candidates/part-*", "held/part-*", "rejects/part-*"):
        for table in ("candidates", "held", "rejects"):
            (run / "sources" / table / MANIFEST_FILE).unlink()
        (run / "candidates" / SUCCESS_FILE).unlink()
        FAULTS[fault](max((run / "sources").glob(pattern), key=lambda path: path.stat().st_size))
        assert main(words) == 0, pattern
        assert main(["check", str(run), "--no-readers", "--sample", "1"]) == 0, pattern
        assert (run / "shards" / "00000.tar").read_bytes() == shards, pattern
