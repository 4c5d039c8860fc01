"""WARC, ARC and WAT files: pairs, image bodies, consent, and every way a record can be broken."""

import gzip
import random
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.net.body import BadEncodingError, BodyTooLargeError
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.inputs import expand_inputs
from pipeline.read.payload import decode_payload
from pipeline.read.tables import Extracted, Held
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat
from pipeline.tables.schema import CANDIDATES, REJECTS
from tests.pipeline.read.archive_records import http_block, warc_record, wat_record
from tests.small_run import paint
from webimagetext.errors import UserError

EXTRACT, HTTP = ExtractConfig(source="warc"), HttpConfig()
PAGE = (
    b"<html lang=en><img src=x.jpg alt='a dog runs'>"
    b"<figure><img src=y.jpg><figcaption>Two cats sleep</figcaption></figure>"
)
Archive = Callable[..., str]


def rows(pieces: list[Extracted]) -> list[tuple[str, str]]:
    for piece in pieces:
        assert piece.candidates.schema == CANDIDATES
        assert piece.rejects.schema == REJECTS
    return [(row["url"], row["caption"]) for piece in pieces for row in piece.candidates.to_pylist()]


def reasons(pieces: list[Extracted]) -> Counter[str]:
    return Counter(reason for piece in pieces for reason in piece.rejects.column("reason").to_pylist())


def read(path: str, **options: Any) -> list[Extracted]:
    return list(read_warc(path, ExtractConfig(source="warc", **options), HTTP))


def page(number: int, block: bytes | None = None) -> bytes:
    return warc_record("response", f"http://h/{number}/", block if block is not None else http_block(PAGE))


def pairs_of(number: int) -> list[tuple[str, str]]:
    return [(f"http://h/{number}/x.jpg", "a dog runs"), (f"http://h/{number}/y.jpg", "Two cats sleep")]


@pytest.mark.parametrize("plain", [True, False])
def test_pages_and_images(archive: Archive, plain: bool) -> None:
    image = warc_record("response", "http://h/1/x.jpg", http_block(b"JPEG", "image/jpeg"))
    style = warc_record("response", "http://h/s.css", http_block(b"a{}", "text/css"))
    ((piece),) = read(archive(page(1), image, style, page(2), plain=plain))
    assert rows([piece]) == pairs_of(1) + pairs_of(2)
    (body,) = piece.bodies
    assert (body.url, body.content_type, body.body, body.consent) == (
        "http://h/1/x.jpg",
        "image/jpeg",
        b"JPEG",
        "allowed",
    )
    assert read(archive(image), archive_images=False)[0].bodies == []
    assert not reasons([piece])
    assert Held("http://h/s.css", "wrong_type") in piece.held
    assert "http://h/1/x.jpg" not in [held.url for held in piece.held]


def test_a_resource_record_is_read_too(archive: Archive) -> None:
    assert rows(read(archive(warc_record("resource", "http://h/1/", PAGE, "text/html")))) == pairs_of(1)


BROKEN: dict[str, tuple[bytes, str]] = {
    "revisit": (warc_record("revisit", "http://h/", http_block(b"")), "revisit"),
    "not found": (page(9, http_block(PAGE, status="404 Not Found")), "http_404"),
    "broken chunks": (page(9, http_block(b"5\r\nhello\r\nzz\r\n", Transfer_Encoding="chunked")), "bad_encoding"),
    "broken gzip": (page(9, http_block(b"\x1f\x8bnonsense", Content_Encoding="gzip")), "bad_encoding"),
    "broken brotli": (page(9, http_block(b"\xff\xff\xff", Content_Encoding="br")), "bad_encoding"),
    "broken coding": (page(9, http_block(b"\xff\xfe" * 30, Content_Encoding="br")), "bad_encoding"),
    "bomb": (page(9, http_block(gzip.compress(bytes(9_000_000)), Content_Encoding="gzip")), "too_large"),
    "empty": (page(9, http_block(b"")), "empty_body"),
    "no headers": (page(9, b"\x00\x01 no http at all"), "no_http_headers"),
    "noai": (page(9, http_block(PAGE, X_Robots_Tag="noai")), "refused_by_x_robots_tag"),
    "meta": (page(9, http_block(b"<meta name=tdm-reservation content=1>" + PAGE)), "refused_by_tdm_meta"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_counted_and_the_next_one_read(name: str, archive: Archive) -> None:
    record, reason = BROKEN[name]
    pieces = read(archive(page(1), record, page(2)))
    assert rows(pieces) == pairs_of(1) + pairs_of(2)
    assert reasons(pieces)[reason] == 1
    if not reason.startswith("refused"):  # a page, which no image is
        assert reason in [held.reason for piece in pieces for held in piece.held]


@pytest.mark.parametrize("plain", [True, False])
def test_damage_in_the_middle_costs_the_records_it_hits(archive: Archive, plain: bool, tmp_path: Path) -> None:
    path = Path(archive(*map(page, range(5)), plain=plain))
    content = bytearray(path.read_bytes())
    record = len(content) // 5
    content[record + 20 : record + 60] = b"#" * 40
    path.write_bytes(content)
    pieces = read(str(path))
    found = rows(pieces)
    assert all(pair in found for number in (0, 2, 3, 4) for pair in pairs_of(number))
    assert reasons(pieces)["broken_record"] >= 1


def test_lengths_that_lie(archive: Archive) -> None:
    short = page(1).replace(b"Content-Length: ", b"Content-Length: 1", 1)
    pieces = read(archive(short, page(2)))
    assert set(pairs_of(2)) <= set(rows(pieces))
    cut = read(archive(page(1), page(2)[:-60]))
    assert rows(cut) == pairs_of(1)
    assert sum(reasons(cut).values()) == 1


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert rows(read(str(tmp_path / "empty"))) == []
    strange = {"text": b"hello\n" * 1000, "gzip": gzip.compress(b"<html>saved under a wrong name")}
    strange |= {"zstd": zstandard.compress(b"hello"), "html": b"<html><body>a page"}
    for name, content in strange.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: is no WARC, ARC or WAT file"):
            read(str(tmp_path / name))
        with pytest.raises(UserError, match=rf"{name}: is no WARC, ARC or WAT file"):
            list(read_wat(str(tmp_path / name), EXTRACT, HTTP))
    damaged = bytearray(gzip.compress(page(1)))
    damaged[10:14] = b"\xff" * 4
    (tmp_path / "damaged").write_bytes(damaged)
    assert reasons(read(str(tmp_path / "damaged")))["broken_record"] >= 1, "of a file that may be an archive"
    (tmp_path / "arc").write_bytes(b"filedesc://x")
    assert rows(read(str(tmp_path / "arc"))) == []
    with pytest.raises(UserError, match="no such file"):
        read(str(tmp_path / "missing"))


@pytest.mark.parametrize("dictionary", ["none", "packed", "plain"])
def test_archives_packed_by_zstandard(dictionary: str, tmp_path: Path) -> None:
    records = [page(number) for number in range(9)]
    words, head = None, b""
    if dictionary != "none":
        samples = [page(number) + bytes([number % 251]) * (number % 40) for number in range(400)]
        words = zstandard.train_dictionary(4096, samples)
        held = words.as_bytes() if dictionary == "plain" else zstandard.compress(words.as_bytes())
        head = b"\x5d\x2a\x4d\x18" + len(held).to_bytes(4, "little") + held
    packer = zstandard.ZstdCompressor(dict_data=words)
    frames = [packer.compress(record) for record in records]
    packed = head + b"".join(frames)
    path = tmp_path / "test.warc.zst"
    path.write_bytes(packed)
    assert rows(read(str(path))) == [pair for number in range(9) for pair in pairs_of(number)]
    path.write_bytes(packed[: -len(frames[-1]) // 2])
    cut = read(str(path))
    assert rows(cut) == [pair for number in range(8) for pair in pairs_of(number)]
    assert reasons(cut)["truncated_record"] >= 1


@pytest.mark.parametrize(
    ("body", "transfer", "content", "expected"),
    [
        (b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "chunked", "", b"hello world"),
        (b"<html>stored without chunks", "chunked", "", b"<html>stored without chunks"),
        (b"stored without gzip", "", "gzip", b"stored without gzip"),
        (gzip.compress(b"hello", mtime=0), "", "x-gzip", b"hello"),
        (b"\x0b\x02\x80hello\x03", "", "br", b"hello"),
        (b"hello", "", "identity", b"hello"),
    ],
)
def test_payloads(body: bytes, transfer: str, content: str, expected: bytes) -> None:
    assert decode_payload(body, transfer, content, 100) == expected


def test_a_page_is_read_as_far_as_its_coding_is_whole(archive: Archive) -> None:
    words = random.Random(2).randbytes(30_000).hex().encode()
    cut = gzip.compress(PAGE + b"<p>" + words)[:-9_000]
    pieces = read(archive(page(1, http_block(cut, Content_Encoding="gzip")), page(2)))
    assert rows(pieces) == pairs_of(1) + pairs_of(2)
    assert not reasons(pieces)
    chunked = b"%x\r\n%b\r\nffff\r\n%b" % (len(PAGE), PAGE, b"<p>cut")
    assert rows(read(archive(page(4, http_block(chunked, Transfer_Encoding="chunked"))))) == pairs_of(4)
    picture = warc_record("response", "http://h/p.png", http_block(cut, "image/png", Content_Encoding="gzip"))
    assert reasons(read(archive(picture))) == Counter({"bad_encoding": 1})
    plain = page(3, http_block(PAGE, Content_Encoding="br"))
    assert rows(read(archive(plain))) == pairs_of(3)


def test_records_and_answers_without_a_type(archive: Archive) -> None:
    nameless = page(1).replace(b"WARC-Type: response\r\n", b"")
    untyped = page(2, http_block(PAGE).replace(b"Content-Type: text/html\r\n", b""))
    picture = paint(3)
    loose = warc_record("response", "http://h/a", http_block(picture).replace(b"Content-Type: text/html\r\n", b""))
    false = warc_record("response", "http://h/b", http_block(picture))
    other = warc_record("response", "http://h/c", http_block(b"a=1&b=2").replace(b"Content-Type: text/html\r\n", b""))
    pieces = read(archive(nameless, untyped, loose, false, other))
    assert rows(pieces) == pairs_of(1) + pairs_of(2)
    assert [(body.url, body.body) for piece in pieces for body in piece.bodies] == [
        ("http://h/a", picture),
        ("http://h/b", picture),
    ]
    held = [each for piece in pieces for each in piece.held if each.url == "http://h/c"]
    assert held == [Held("http://h/c", "wrong_type")]


def test_payloads_have_a_cap() -> None:
    for body, coding in ((bytes(101), ""), (gzip.compress(bytes(101)), "gzip")):
        with pytest.raises(BodyTooLargeError):
            decode_payload(body, "", coding, 100)
    with pytest.raises(BadEncodingError):
        decode_payload(gzip.compress(b"hello")[:-4], "", "gzip", 100)


def test_wat_files(archive: Archive) -> None:
    links = [
        {"path": "IMG@/src", "url": "x.jpg", "alt": "a dog runs"},
        {"path": "IMG@/src", "url": "y.jpg", "alt": "cat", "title": "the cat sleeps"},
        {"path": "IMG@/src", "url": "z.jpg", "alt": ""},
        {"path": "IMG@/srcset", "url": "s.jpg 1x, l.jpg 2x", "alt": "a wide view"},
        {"path": "A@/href", "url": "x.html", "text": "no image"},
        {"path": "IMG@/src", "url": 7, "alt": "wrong type"},
        {"path": "IMG@/src", "url": "/i/blank.gif", "alt": "a stand-in"},
        {"path": "IMG@/src", "url": "/i/drawn.svg", "alt": "a drawing"},
        "not a link",
    ]
    graph = [{"property": "og:image", "content": "/o.jpg"}, {"property": "og:title", "content": "an owl looks on"}]
    refused = {"Head": {"Metas": [{"name": "robots", "content": "noimageai"}]}, "Links": links}
    path = archive(
        wat_record("http://h/a/", {"Head": {"Base": "/b/", "Title": "T", "Metas": graph}, "Links": links}),
        wat_record("http://h/refused", refused),
        wat_record("http://h/header", {"Links": links}, **{"X-Robots-Tag": "noai"}),
        wat_record("http://h/gone", {"Links": links}, status="404"),
        warc_record("metadata", "http://h/", b"{broken", "application/json"),
        warc_record("metadata", "http://h/", b"[1, 2]", "application/json"),
    )
    pieces = list(read_wat(path, EXTRACT, HTTP))
    assert rows(pieces) == [
        ("http://h/b/x.jpg", "a dog runs"),
        ("http://h/b/y.jpg", "the cat sleeps"),
        ("http://h/b/l.jpg", "a wide view"),
        ("http://h/o.jpg", "an owl looks on"),
    ]
    assert reasons(pieces) == Counter(
        {
            "no_text": 1,
            "placeholder": 1,
            "vector_picture": 1,
            "refused_by_meta_robots": 1,
            "refused_by_x_robots_tag": 1,
            "http_404": 1,
            "broken_json": 1,
        }
    )


def test_inputs(tmp_path: Path) -> None:
    names = [f"part-{number:03}.warc.gz" for number in range(200)]
    (tmp_path / "warc.paths.gz").write_bytes(gzip.compress("\n".join(names).encode()))
    listed = ExtractConfig(inputs=(str(tmp_path / "warc.paths.gz"),), path_prefix="https://example.org/")
    assert expand_inputs(listed) == [f"https://example.org/{name}" for name in names]
    tenth = expand_inputs(ExtractConfig(inputs=listed.inputs, sample=0.1))
    third = expand_inputs(ExtractConfig(inputs=listed.inputs, sample=0.3))
    assert 5 < len(tenth) < 40
    assert set(tenth) < set(third)
    assert expand_inputs(ExtractConfig(inputs=(f"{tmp_path}/*.gz",))) == [str(tmp_path / "warc.paths.gz")]
    for inputs in ((), (f"{tmp_path}/*.arc",)):
        with pytest.raises(UserError, match="extract"):
            expand_inputs(ExtractConfig(inputs=inputs))


@pytest.fixture(scope="session")
def corpus(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of real and broken archives, unpacked."""
    folder = tmp_path_factory.mktemp("warc")
    with tarfile.open(shared_data / "warc.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "warc"


def test_an_archive_and_its_arc_twin_give_the_same(corpus: Path) -> None:
    (warc,) = corpus.glob("oduwsdl__ipwb/*blackbook.warc.gz")
    ours, twin = (read(str(path)) for path in (warc, corpus / "archivesunleashed__aut" / "example.arc.gz"))
    assert len(rows(ours)) > 250
    assert sorted(rows(ours)) == sorted(rows(twin))
    kinds = (
        "image/",
        "text/plain",
    )  # pictures, and what servers call text, such as robots.txt, which decoding leaves out
    bodies = [
        sorted(
            (body.url, body.body) for piece in pieces for body in piece.bodies if body.content_type.startswith(kinds)
        )
        for pieces in (ours, twin)
    ]
    assert Counter(body.content_type.partition("/")[0] for piece in ours for body in piece.bodies)["image"] == 55
    assert bodies[0] == bodies[1]
    assert reasons(ours) == reasons(twin)


def test_no_file_of_the_corpus_is_lost(corpus: Path) -> None:
    files = [path for path in corpus.rglob("*") if path.is_file() and re.search(r"\.w?arc(\.gz|\.bad)?$", path.name)]
    assert len(files) > 90
    total: Counter[str] = Counter()
    for path in sorted(files):
        try:
            pieces = read(str(path))
        except UserError as refused:
            assert "is no WARC" in str(refused)
            total["no archive"] += 1
            continue
        total.update(reasons(pieces))
        total["pairs"] += len(rows(pieces))
        total["bodies"] += sum(len(piece.bodies) for piece in pieces)
    assert total["no archive"] == 1, "one begins with words of no format"
    assert total["pairs"] > 2_500
    assert total["bodies"] > 200
    assert total["revisit"] > 200
