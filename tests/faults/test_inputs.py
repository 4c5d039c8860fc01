"""Damage to any kind of file that is read from outside: named with a remedy, or counted; never a traceback, and nothing
is lost in silence. What the table in docs/reliability.md says of each kind is what happens."""

import bz2
import gzip
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.__main__ import main as pipeline
from pipeline.config import RunConfig
from pipeline.dedup.evaluation import EvaluationSet
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.tables import Extracted
from pipeline.read.url_list import read_url_list
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat
from pipeline.text.phrases import read_phrases
from query_builder.cli import main as query_builder
from query_builder.importing import collect, import_to
from query_builder.lists import read_list
from query_builder.sources.dump import plan_shards, read_pages, read_site_info
from query_builder.sources.page import Ledger
from query_builder.sources.pageviews import ViewsTask, count_views, read_ledger, views_path
from query_builder.sources.wordnet import read_wordnet
from tests.faults.outcomes import DAMAGES, Read, outcomes_of, rows_of
from tests.pipeline.read.archive_records import ARC_HEAD, arc_record, http_block, warc_record, wat_record
from tests.query_builder.conftest import dump, page
from tests.small_run import paint
from trainer.evaluate.__main__ import main as evaluate
from trainer.run import main as train
from webimagetext.errors import UserError
from webimagetext.settings import from_toml

TABLE = rows_of("What is read from outside")
WORDS = random.Random(3)
HTTP = HttpConfig()


def sentence() -> str:
    """Some words, which compress badly."""
    return " ".join(f"deer{WORDS.randrange(10**6):x}" for _ in range(9))


# Dumps and page views.


def pages_text() -> bytes:
    return dump(page(f"Story {number}", f"A {sentence()} of the Café.") for number in range(60)).encode()


def read_dump(path: Path) -> Read:
    found, ledger = [], Ledger()
    read_site_info(str(path))
    for shard in plan_shards((str(path),)):
        for batch in read_pages(shard, skip_corrupt=False, ledger=ledger):
            found += [(each.title, each.target, batch.buffer[each.start : each.end]) for each in batch.pages]
    return Read(found)


def views_text() -> bytes:
    rows = [f"en.wikipedia {sentence().replace(' ', '_')} {n} desktop {n * 7 + 1} A{n}" for n in range(300)]
    return "\n".join([*rows, ""]).encode()


def read_views(path: Path) -> Read:
    import numpy as np

    work, sums, ledger = path.parent / "work", Counter[int](), Counter[str]()
    shutil.rmtree(work, ignore_errors=True)
    for shard in plan_shards((str(path),)):
        count_views(ViewsTask(shard, "en.wikipedia", str(work), False))
        with np.load(views_path(str(work), shard.number)) as arrays:
            sums.update(dict(zip(arrays["keys"].tolist(), arrays["views"].tolist(), strict=True)))
        ledger += read_ledger(str(work), shard.number)
    if not ledger["taken"]:  # as the build does, which knows all shards of the file
        raise UserError(
            f"{path}: not one row of en.wikipedia that can be read in it", "give page views of en.wikipedia"
        )
    return Read(sums, ledger["unreadable"] + ledger["of other projects"])


# Archives and lists.


def image_records() -> list[bytes]:
    found = []
    for number in range(12):
        alt = f"a {sentence()} runs"
        found.append(
            warc_record("response", f"http://h/{number}/", http_block(f"<img src=x.jpg alt='{alt}'>".encode()))
        )
        found.append(warc_record("response", f"http://h/{number}/x.jpg", http_block(paint(number), "image/jpeg")))
    return found


def arc_records() -> list[bytes]:
    found = [ARC_HEAD]
    for number in range(12):
        page = http_block(f"<img src=x.jpg alt='a {sentence()} runs'>".encode())
        found.append(arc_record(f"http://h/{number}/", page) + b"\n")
        found.append(
            arc_record(f"http://h/{number}/x.jpg", http_block(paint(number), "image/jpeg"), "image/jpeg") + b"\n"
        )
    return found


def wat_records() -> list[bytes]:
    links = [[{"path": "IMG@/src", "url": f"/{n}.jpg", "alt": f"a {sentence()} runs"}] for n in range(20)]
    return [wat_record(f"http://h/{n}/", {"Links": link}) for n, link in enumerate(links)]


def of_pieces(pieces: list[Extracted]) -> Read:
    """What a list or an archive gave; one that gave nothing at all is told of by the stage that reads it, as empty."""
    rows = [(row["url"], row["caption"]) for piece in pieces for row in piece.candidates.to_pylist()]
    bodies = [(body.url, body.body) for piece in pieces for body in piece.bodies]
    return Read((rows, bodies), sum(piece.rejects.num_rows for piece in pieces))


def read_archive(path: Path) -> Read:
    reader = read_wat if ".wat" in path.name else read_warc
    return of_pieces(list(reader(str(path), ExtractConfig(source="warc"), HTTP)))


def csv_text() -> bytes:
    # Short, so that damage meets the ends of lines too.
    rows = [f"http://h/{number}.jpg,a {sentence()[:12]} runs" for number in range(300)]
    return "\n".join(["url,caption", *rows, ""]).encode()


def json_text() -> bytes:
    return "".join(json.dumps({"url": f"http://h/{n}.jpg", "text": sentence()}) + "\n" for n in range(300)).encode()


def parquet_list(checked: bool) -> bytes:
    table = pa.table({"URL": [f"http://h/{n}.jpg" for n in range(900)], "TEXT": [sentence() for _ in range(900)]})
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, write_page_checksum=checked, row_group_size=300)
    return stream.getvalue().to_pybytes()


def read_urls(path: Path) -> Read:
    return of_pieces(list(read_url_list(str(path), ExtractConfig(source="url_list"))))


# What settings name.

CONFIGURATION = b'seed = 7\nqueries = "q.parquet"\n[extract]\nseeds = ["http://h/"]\n[balance]\nt = 20\n'


def query_list(folder: Path) -> bytes:
    (folder / "texts.txt").write_text("".join(f"{sentence()}\n" for _ in range(200)))
    import_to(str(folder / "made.parquet"), [str(folder / "texts.txt")])
    return (folder / "made.parquet").read_bytes()


def wordnet(folder: Path, source: str) -> bytes:
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return (folder / "data.noun").read_bytes()


def hashes_table() -> bytes:
    rows = {"sha256": [f"{WORDS.getrandbits(256):064x}" for _ in range(50)], "phash": [f"{n:016x}" for n in range(50)]}
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table(rows), stream, write_page_checksum=True)
    return stream.getvalue().to_pybytes()


def pictures_tar() -> bytes:
    import io
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(8):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(data := paint(number))
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def read_evaluation(path: Path) -> Read:
    known = EvaluationSet.read([str(path)])
    return Read(list(zip(known.names, known.sha256, known.phashes.tolist(), strict=True)), len(known.unreadable))


def rows_in_common(before: Any, after: Any) -> bool:
    """Whether all but two of the rows, or of those of each part, are as they were, and none is lost in silence."""
    if isinstance(before, tuple):
        return all(map(rows_in_common, before, after))
    lost = [row for row in before if row not in after]
    return len(lost) <= 2 and len(after) >= len(before) - 1


def beginning(before: Any, after: Any) -> bool:
    """Whether what came of a file that is cut is what stands before the cut: the row that it lies in may be shorter."""
    if isinstance(before, tuple):
        return all(map(beginning, before, after))
    return sum(row not in before for row in after) <= 1 and len(after) <= len(before)


def sums_in_common(before: Counter[int], after: Counter[int]) -> bool:
    return sum(before[key] != after[key] for key in {*before, *after}) <= 4


def anything(before: Any, after: Any) -> bool:
    """For files that no rule of rows holds for: a text that reads well is the text."""
    return True


zstd = zstandard.ZstdCompressor(write_checksum=True).compress
Case = tuple[str, Callable[[Path], bytes], Callable[[Path], Read], Callable[[Any, Any], bool]]
# For each row of the table: the file's name, what is written into it, and how it is read.
CASES: dict[str, Case] = {
    "dump, `.bz2`": ("d.xml.bz2", lambda _: bz2.compress(pages_text()), read_dump, rows_in_common),
    "dump, `.gz`": ("d.xml.gz", lambda _: gzip.compress(pages_text(), mtime=0), read_dump, rows_in_common),
    "dump, `.zst` with checksums": ("d.xml.zst", lambda _: zstd(pages_text()), read_dump, rows_in_common),
    "dump, plain": ("d.xml", lambda _: pages_text(), read_dump, rows_in_common),
    "page views, `.bz2`": ("v.bz2", lambda _: bz2.compress(views_text()), read_views, sums_in_common),
    "page views, `.gz`": ("v.gz", lambda _: gzip.compress(views_text(), mtime=0), read_views, sums_in_common),
    "page views, plain": ("v", lambda _: views_text(), read_views, sums_in_common),
    "WARC, `.gz`": (
        "a.warc.gz",
        lambda _: b"".join(gzip.compress(record, mtime=0) for record in image_records()),
        read_archive,
        rows_in_common,
    ),
    "WARC, plain": ("a.warc", lambda _: b"".join(image_records()), read_archive, rows_in_common),
    "ARC, `.gz`": (
        "a.arc.gz",
        lambda _: b"".join(gzip.compress(record, mtime=0) for record in arc_records()),
        read_archive,
        rows_in_common,
    ),
    "ARC, plain": ("a.arc", lambda _: b"".join(arc_records()), read_archive, rows_in_common),
    "WAT, `.gz`": (
        "a.warc.wat.gz",
        lambda _: b"".join(gzip.compress(record, mtime=0) for record in wat_records()),
        read_archive,
        rows_in_common,
    ),
    "list, `.csv`": ("l.csv", lambda _: csv_text(), read_urls, rows_in_common),
    "list, `.jsonl`": ("l.jsonl", lambda _: json_text(), read_urls, rows_in_common),
    "list, packed": ("l.csv.gz", lambda _: gzip.compress(csv_text(), mtime=0), read_urls, rows_in_common),
    "list, packed by zstd with checksums": ("l.csv.zst", lambda _: zstd(csv_text()), read_urls, rows_in_common),
    "list, Parquet with checksums": ("l.parquet", lambda _: parquet_list(True), read_urls, rows_in_common),
    "list, Parquet without": ("l.parquet", lambda _: parquet_list(False), read_urls, anything),
    "query list": ("q.parquet", query_list, lambda path: Read(read_list(str(path)).to_pylist()), rows_in_common),
    "own texts": (
        "t.txt",
        lambda _: "".join(f"{sentence()}\n" for _ in range(200)).encode(),
        lambda path: Read([row.query for row in collect([str(path)]).rows]),
        rows_in_common,
    ),
    "list of phrases": (
        "p.txt",
        lambda _: "".join(f"{sentence()}\n" for _ in range(50)).encode(),
        lambda path: Read(sorted(read_phrases(str(path)))),
        anything,
    ),
    "evaluation set, Parquet": ("e.parquet", lambda _: hashes_table(), read_evaluation, rows_in_common),
    "evaluation set, tar": ("e.tar", lambda _: pictures_tar(), read_evaluation, rows_in_common),
    "configuration": (
        "c.toml",
        lambda _: CONFIGURATION,
        lambda path: Read(from_toml(RunConfig, str(path))),
        anything,
    ),
}  # fmt: skip


def test_every_row_has_a_test() -> None:
    assert {*CASES, "WordNet's files"} == set(TABLE)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", CASES)
def test_what_is_read_from_outside(kind: str, damage: str, tmp_path: Path) -> None:
    name, make, read, slight = CASES[kind]
    WORDS.seed(f"{kind} {damage}")
    path = tmp_path / name
    path.write_bytes(make(tmp_path))
    alike = beginning if damage == "cut" and slight is not anything else slight
    found = outcomes_of(path, damage, lambda: read(path), alike, remedy=kind != "configuration")
    assert found == TABLE[kind][damage]


@pytest.mark.parametrize("damage", DAMAGES)
def test_wordnet(damage: str, wordnet_folder: str, tmp_path: Path) -> None:
    folder, found = tmp_path / "wordnet", set[str]()
    shutil.copytree(wordnet_folder, folder)
    for path in sorted(folder.iterdir()):
        names = "wordnet"  # a folder without one of its files is none
        found |= outcomes_of(path, damage, lambda: Read(read_wordnet(str(folder))), anything, names)
    assert found == TABLE["WordNet's files"][damage]


def given(kind: str, folder: Path) -> str:
    """The path of something that is no file."""
    if kind == "pipe":
        os.mkfifo(folder / "pipe.csv")
        return str(folder / "pipe.csv")
    if kind == "folder":
        (folder / "folder.csv").mkdir()
        return str(folder / "folder.csv")
    return "/dev/zero"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device would be read without end, and a pipe waited for."""
    path, config = given(kind, tmp_path), tmp_path / "run.toml"
    queries = tmp_path / "q.txt"
    queries.write_text("a deer\n")
    config.write_text(f'queries = "{queries}"\n[extract]\nsource = "url_list"\ninputs = ["{path}"]\n')
    pages = tmp_path / "pages.toml"
    pages.write_text(f'queries = "{path}"\n[extract]\nseeds = ["http://127.0.0.1:9/"]\n')
    output = ["--output", str(tmp_path / "run")]
    for words in (["run", path, *output], ["run", str(config), *output], ["run", str(pages), *output]):
        assert pipeline(words) == 2
        error = capsys.readouterr().err
        assert path in error and "Traceback" not in error, error
    made = ["--output", str(tmp_path / "made.parquet")]
    for words in (["build", "--dump", path, *made], ["import", path, *made], ["inspect", path]):
        assert query_builder(words) == 2
        error = capsys.readouterr().err
        assert f"error: {path}: is a" in error, error
    for body in (
        lambda: train(["--train-data", path, "--output", str(tmp_path / "model")]),
        lambda: train(["--config", path, "--train-data", "a.tar", "--output", str(tmp_path / "model")]),
        lambda: evaluate(["retrieval", "--checkpoint", f"{path}", "--data", path]),
    ):
        with pytest.raises(UserError, match=path):
            body()
