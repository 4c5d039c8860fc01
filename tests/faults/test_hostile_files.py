"""Files that somebody made to do harm: nothing in them is run, unpacked under a name of theirs, obeyed by a browser or
a terminal, or expanded."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import torch

from pipeline.audit.check import run_check
from pipeline.read.sitemap import read_sitemap
from pipeline.tables.vectors import read_vector
from query_builder.cli import main as query_builder
from query_builder.sources import download
from tests.faults.small_disk import ROOT
from tests.small_run import paint
from trainer import checkpoint
from trainer.data.sources import Library
from webimagetext.errors import UserError
from webimagetext.sealed import seal


class Harm:
    """What makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def harmed(tmp_path: Path) -> Path:
    """What is there once something of a file was run or unpacked."""
    return tmp_path / "harmed"


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_runs_no_code(tmp_path: Path, harmed: Path, legacy: bool) -> None:
    folder = tmp_path / "model/checkpoints"
    folder.mkdir(parents=True)
    content = {"step": 3, "model": {"a": torch.zeros(2)}, "more": Harm(harmed)}
    torch.save(content, folder / "step-00000003.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match="cannot be read as"):
        checkpoint.read(str(folder / "step-00000003.pt"))
    with pytest.raises(UserError):
        checkpoint.newest_whole(str(tmp_path / "model"), lambda text: None)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Harm(harmed)))
    with pytest.raises(UserError, match="cannot be read as"):
        checkpoint.read(str(tmp_path / "bare.pt"))
    assert not harmed.exists()
    torch.load(folder / "step-00000003.pt", weights_only=False)
    assert harmed.exists(), "the file of this test does no harm where it is trusted"


def test_counts_and_plans_run_no_code(tmp_path: Path, harmed: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([Harm(harmed)], object), allow_pickle=True)
    (tmp_path / "counts.npy").write_bytes(seal(stream.getvalue()))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_vector(str(tmp_path / "counts.npy"))
    assert not harmed.exists()


def hostile_tar(path: Path, harmed: Path) -> None:
    """A shard whose members' names lead out of its folder, to links and to devices."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(data)
            archive.addfile(member, io.BytesIO(data))

        for stem in (str(harmed), f"../{harmed.name}", f"a/../../{harmed.name}", "good"):
            add(f"{stem}.jpg", paint(3))
            add(f"{stem}.txt", b"a text")
            add(f"{stem}.json", json.dumps({"key": stem}).encode())
        add("link.jpg", kind=tarfile.SYMTYPE, link="/etc/passwd")
        add("link.txt", b"a text")
        add("hard.jpg", kind=tarfile.LNKTYPE, link="../../../etc/passwd")
        add("device.jpg", kind=tarfile.CHRTYPE)


def test_a_shard_is_not_unpacked_and_its_links_lead_nowhere(tmp_path: Path, harmed: Path) -> None:
    folder = tmp_path / "deep/shards"
    folder.mkdir(parents=True)
    hostile_tar(folder / "00000.tar", harmed)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    library = Library()
    pictures = []
    for shard in library.find((str(folder / "*.tar"),)):
        with library.lent(shard) as reader:
            pictures += [reader.read(number, False)[0] for number in range(len(reader))]
    library.close()
    assert paint(3) in pictures and all(b"root:" not in picture for picture in pictures)
    run_check(str(folder), 0, readers=False, note=False, report="")
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../harmed", "/tmp/webimagetext-harmed", "dict/../../harmed"])
def test_an_archive_that_is_downloaded_stays_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harmed: Path, name: str
) -> None:
    (tmp_path / "downloads").mkdir()
    archive = tmp_path / "downloads" / os.path.basename(download.WORDNET)
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with requests.Session() as session, pytest.raises((tarfile.FilterError, UserError)) as told:
        download._fetch_wordnet(session, str(tmp_path / "downloads"))
    assert isinstance(told.value, UserError), "the archive is not named"
    assert not harmed.exists() and not Path("/tmp/webimagetext-harmed").exists()


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "%s"><!ENTITY file SYSTEM "file:///etc/passwd">]>
""" % (b"&lol;" * 1000)


def test_entities_of_a_sitemap_are_not_expanded() -> None:
    content = LAUGHS + b"<urlset><url><loc>http://a.example/&lol2;</loc></url><url><loc>&file;</loc></url></urlset>"
    found = read_sitemap(content)
    assert all("lollol" not in url and "root:" not in url for url in found.pages + found.sitemaps)
    assert "http://a.example/&lol2;" in found.pages


def test_entities_of_a_dump_are_not_expanded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (
        b"<page><title>One &file;</title><ns>0</ns><revision><text>red &lol2; &file; house %d</text></revision></page>"
    )
    content = LAUGHS + b"<mediawiki><siteinfo><dbname>enwiki</dbname></siteinfo>\n"
    content += b"".join(page % number for number in range(60)) + b"</mediawiki>\n"
    (tmp_path / "dump.xml").write_bytes(content)
    words = ["build", "--dump", str(tmp_path / "dump.xml"), "--output", str(tmp_path / "q.parquet"), "--workers", "1"]
    assert query_builder([*words, "--min-word-count", "5", "--min-bigram-count", "5"]) == 0
    found = set(pq.read_table(tmp_path / "q.parquet")["query"].to_pylist())
    assert "house" in found and not found & {"root", "bin", "bash"}
    assert not [query for query in found if "lollol" in query or len(query) > 100]


ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31mred\r\u202e"
MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
def foreign_list(tmp_path: Path) -> str:
    """A query list whose texts would steer a terminal or a browser."""
    texts = [f"fox {ESCAPES} tail", f"hat {MARKUP}", "house"]
    columns = {"query": texts, "surface": texts, "id": pa.array(range(3), pa.uint32()), "sources": [["word"]] * 3}
    table = pa.table(columns).replace_schema_metadata({"settings": json.dumps({f"a{ESCAPES}": MARKUP})})
    pq.write_table(table, tmp_path / "foreign.parquet")
    return str(tmp_path / "foreign.parquet")


def is_harmless(said: str) -> bool:
    return not set(said) & set("\x1b\x07\x9b\r\u202e")


def test_a_terminal_is_not_steered(foreign_list: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.txt").write_text("house\ndog\n")
    assert query_builder(["import", str(tmp_path / "other.txt"), "--output", str(tmp_path / "other.parquet")]) == 0
    capsys.readouterr()
    for words in (
        ["inspect", foreign_list],
        ["inspect", foreign_list, "--find", "house"],
        ["diff", foreign_list, str(tmp_path / "other.parquet")],
        ["import", foreign_list, "--output", str(tmp_path / "again.parquet")],
        ["build", "--dump", f"{foreign_list}{ESCAPES}"],
    ):
        query_builder(words)
        said = capsys.readouterr()
        assert is_harmless(said.out) and is_harmless(said.err), words
    code = "from webimagetext.command import run_command\nfrom webimagetext.errors import UserError\n"
    code += f"def fail(): raise UserError({ESCAPES!r})\nrun_command(fail)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert is_harmless(done.stderr) and "\\x1b]0;owned\\x07" in done.stderr


def test_a_page_about_a_list_obeys_nothing(foreign_list: str, tmp_path: Path) -> None:
    assert query_builder(["report", foreign_list, "--output", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
