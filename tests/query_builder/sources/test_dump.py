"""The pages of a dump, the same for any shards, and what is said of one that is not whole."""

import bz2
import gzip
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from query_builder.sources import dump
from query_builder.sources.dump import PAGE_KINDS, Shard, plan_shards, read_pages
from query_builder.sources.page import Ledger
from query_builder.sources.piece import CorruptInputError

HEAD, END = "<mediawiki>\n<siteinfo></siteinfo>\n", "</mediawiki>\n"


def page(number: int, text: str = "a b", namespace: int = 0, redirect: str = "") -> str:
    to = f'<redirect title="{redirect}" />' if redirect else ""
    return f"<page>\n<title>P{number}</title>\n<ns>{namespace}</ns>{to}\n<text>{text}</text>\n</page>\n"


def read(path: Path, shards: list[Shard], *, skip: bool = False) -> tuple[list[tuple[str, str | None, str]], Ledger]:
    """Title, redirect and text of each page, shard after shard, and what the ledger says."""
    ledger, found = Ledger(), []
    for shard in shards:
        for batch in read_pages(shard, skip_corrupt=skip, ledger=ledger):
            for each in batch.pages:
                found.append((each.title, each.target, batch.buffer[each.start : each.end].decode()))
    return found, ledger


def cut(path: Path, cuts: list[int]) -> list[Shard]:
    size = path.stat().st_size
    bounds = itertools.pairwise([0, *cuts, size])
    return [Shard(number, str(path), start, end, size) for number, (start, end) in enumerate(bounds)]


def test_any_cut_gives_every_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query_builder.sources.pieces.PLAIN_PIECE", 40)
    monkeypatch.setattr(dump, "BATCH", 100)
    texts = ["", "x", "y" * 150, "é &amp;lt; z", "w" * 30]
    pages = [page(n, text, namespace=int(n == 1)) for n, text in enumerate(texts)] + [
        page(9, "r", redirect="A &amp; B")
    ]
    path = tmp_path / "dump.xml"
    path.write_text(HEAD + "".join(pages) + END)
    expected = [(f"P{n}", None, text) for n, text in enumerate(texts) if n != 1] + [("P9", "A & B", "r")]
    whole, ledger = read(path, cut(path, []))
    assert whole == expected
    assert (ledger["articles"], ledger["redirects"], ledger["xml_bytes"]) == (4, 1, path.stat().st_size)
    for at in range(1, path.stat().st_size - len(END)):
        found, ledger = read(path, cut(path, [at]))
        assert found == expected, at
        counts = {"articles": 4, "redirects": 1, "pages in other namespaces": 1}
        assert ledger == {"pages": 6, **counts, "xml_bytes": path.stat().st_size}


@pytest.mark.parametrize("piece", range(30, 60))
def test_a_whole_file_is_whole_however_its_batches_fall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("query_builder.sources.pieces.PLAIN_PIECE", piece)
    monkeypatch.setattr(dump, "BATCH", 2 * piece)
    path = tmp_path / "dump.xml"
    path.write_text(HEAD + page(0) + page(1) + END)
    assert len(read(path, cut(path, []))[0]) == 2


@pytest.mark.parametrize(
    ("content", "said", "counted"),
    [
        (HEAD + page(0) + "<page>\n<title>P1", "within a page", "pages cut off"),
        (HEAD + page(0), "without </mediawiki>", "files without their end"),
        (HEAD + page(0)[:-8] + page(1) + END, "begins within another", "malformed pages"),
        (HEAD + page(0) + "<page></page>" + END, "without a title", "malformed pages"),
    ],
)
def test_what_is_not_whole_is_said_or_counted(tmp_path: Path, content: str, said: str, counted: str) -> None:
    path = tmp_path / "dump.xml"
    path.write_text(content)
    with pytest.raises(CorruptInputError, match=said):
        read(path, cut(path, []))
    found, ledger = read(path, cut(path, []), skip=True)
    assert (len(found), ledger[counted]) == (1, 1)
    assert ledger["pages"] == sum(ledger[kind] for kind in PAGE_KINDS)


def test_a_file_that_ends_in_a_page_of_the_shard_before_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("query_builder.sources.pieces.PLAIN_PIECE", 16)
    path = tmp_path / "dump.xml"
    path.write_text(HEAD + page(0) + "<page>\n<title>P1</title> and on and on and on and on")
    at = len(HEAD + page(0)) + 20
    with pytest.raises(CorruptInputError, match="within a page"):
        read(path, cut(path, [at])[:1])
    found, ledger = read(path, cut(path, [at])[:1], skip=True)
    assert (len(found), ledger["pages cut off"]) == (1, 1)


def test_damage_costs_the_pages_it_lies_in(tmp_path: Path) -> None:
    streams = [bz2.compress(part.encode()) for part in (HEAD, *(page(n, f"{n} " * 2000) for n in range(6)), END)]
    path = tmp_path / "dump.xml.bz2"
    damaged = bytearray(streams[3])
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(b"".join([*streams[:3], bytes(damaged), *streams[4:]]))
    for count in (1, 2, 3):
        shards = plan_shards((str(path),), path.stat().st_size // count)
        with pytest.raises(CorruptInputError):
            read(path, shards)
        found, ledger = read(path, shards, skip=True)
        assert [title for title, _, _ in found] == ["P0", "P1", "P3", "P4", "P5"]
        assert ledger["damaged stretches"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress], ids=["gzip", "zstd", "bz2"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97, 0.9999])
def test_a_file_that_is_cut_off_says_so(tmp_path: Path, pack: Callable[[bytes], bytes], share: float) -> None:
    """Whatever it is packed with and however it is divided: what is left of it is not taken for all of it."""
    words = random.Random(3)
    pages = [page(n, " ".join(str(words.random()) for _ in range(200))) for n in range(400)]
    whole = pack((HEAD + "".join(pages) + END).encode())
    path = tmp_path / "dump.xml.packed"
    path.write_bytes(whole[: int(len(whole) * share)])
    for count in (1, 2, 5):
        shards = plan_shards((str(path),), path.stat().st_size // count)
        with pytest.raises(CorruptInputError, match=r"cut off|ends with|not complete|cannot be decompressed"):
            read(path, shards)
        found, ledger = read(path, shards, skip=True)
        assert len(found) == ledger["articles"] == ledger["pages"] < 400 + (share > 0.99)
        told = ("damaged stretches", "files without their end", "pages cut off")
        assert sum(ledger[kind] for kind in told) >= 1, (count, ledger)
