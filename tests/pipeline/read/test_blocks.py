"""Rows that are read by the block give what they give one by one, whatever is in them; and the pieces of a file, put
together, the file."""

import csv
import dataclasses
import io
import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.read import blocks, list_file, pieces, url_list
from pipeline.read.blocks import Blocks
from pipeline.read.config import ExtractConfig
from pipeline.read.delimited import DelimitedRows, lines_of
from pipeline.read.json_lines import is_json, json_row
from pipeline.read.pieces import Piece, lines_within, pieces_of
from pipeline.read.url_list import read_url_list
from pipeline.tables.schema import CANDIDATES
from webimagetext.errors import UserError

LIST = ExtractConfig(source="url_list")
KEEPING = dataclasses.replace(LIST, keep_columns=("Height", "page_url", "TEXT"))
URLS = [
    *(f"https://img{n}.example.com/a/{n}.jpg" for n in range(8)),
    *(
        "http://h.example:8080/x?y=1&z=%20",
        "HTTPS://Example.COM/A.png",
        "https://h.example",
        "https://h.example/a/../b",
    ),
    *(
        "https://h.example/a//b",
        "https://h.example/.hidden",
        "https://h.example/#part",
        " https://h.example/blank ",
        "",
    ),
    *("ftp://h.example/a", "no address", "//h.example/a", "https://h.example/ö.jpg", "https://müller.example/a"),
    *(
        "https://h.example/" + "a" * 4100,
        "https://h.example/" + "a" * 4080,
        "http://[::1]/a",
        "https://h.example/a b",
        "https://h.example/a\\b",
    ),
]
TEXTS = [
    *(f"an owl by the harbour, number {n}" for n in range(8)),
    *("owl", "owl.jpg", "an owl.jpg", "https://h.example/a", "www.h.example", "see https://h.example", "", " ", "42"),
    *("two  blanks", " in front", "behind ", "fish &amp; chips", "fish & chips", "AT&T", "Grüße aus Köln", "梟の写真"),
    *(
        "a\u00adb soft",
        "zero\u200bwidth",
        "x" * 2000,
        "x" * 2001,
        "&amp;owl and owl",
        "https://localhost",
        "a " * 1200,
        "a\x0bb",
        "\x1bred",
        "e.g. this: one",
        "1/2",
        "a:b",
    ),
    *("�", "non\u00a0breaking blank", "'quoted'", "5 € only", "null", "NaN", "None", "true"),
]
PAGES = ["https://h.example/page", "", "page ö", "x" * 4097, "~", "a b"]
SIDES = ["", "640", "0", "1000000", "999999", "-3", "12.5", "1e3", "wide", "007", " 5", "9999999999"]


def found(path: Path | Piece, extract: ExtractConfig = LIST) -> tuple[list[Any], list[Any]]:
    """Candidates and rejects, sorted."""
    given = list(read_url_list(path if isinstance(path, Piece) else str(path), extract))
    assert all(one.candidates.schema.equals(CANDIDATES) for one in given)
    candidates = [row for one in given for row in one.candidates.to_pylist()]
    rejects = [tuple(row.values()) for one in given for row in one.rejects.to_pylist()]
    return sorted(candidates, key=lambda row: (row["pair_id"], str(row))), sorted(rejects, key=str)


def outcome(path: Path, extract: ExtractConfig) -> object:
    """The same, or the words with which the file is refused."""
    try:
        return found(path, extract)
    except UserError as refused:
        return str(refused)


def turn_off(patch: pytest.MonkeyPatch) -> None:
    """Leaves the rows to the way that reads them one by one."""
    patch.setattr(blocks, "_plain", lambda table, columns: None)
    patch.setattr(list_file, "_read_delimited", lambda stream, cut, piece: DelimitedRows(cut).read(stream))
    patch.setattr(list_file, "_read_json_lines", lambda stream, *_: map(json_row, filter(is_json, lines_of(stream))))


def rows(seed: int, count: int) -> list[list[str]]:
    draw = random.Random(seed)

    def mostly(values: list[str], usual: int) -> str:
        return draw.choice(values[:usual] if draw.random() < 0.6 else values)

    return [
        [mostly(URLS, 8), mostly(TEXTS, 8), draw.choice(PAGES), draw.choice(SIDES), draw.choice(SIDES)]
        for _ in range(count)
    ]


TEXT = pa.string()
NAMES = ["URL", "TEXT", "page_url", "width", "height"]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.txt"])
@pytest.mark.parametrize("head", [True, False])
def test_lines_by_the_block_and_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bool
) -> None:
    """Small blocks, so that some have nothing but plain lines, some a broken one, a quote or bytes of no encoding."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 3000)
    comma = name.endswith(".csv")
    lines = [(",".join if comma else "\t".join)(row).encode() for row in rows(1, 1500)]
    if comma:
        lines = [line for line in lines if line.count(b",") == 4]
    draw = random.Random(2)
    for place in draw.sample(range(400, len(lines)), 12):
        lines[place] = draw.choice(
            [b"", b"\t\t", b"only one", b"\xff\xfe\x80\t" * 4, b"a\0b" + lines[place], lines[place] + b"\r"]
        )
    for place in draw.sample(range(len(lines) - 300, len(lines)), 9):
        lines[place] = b'"' + lines[place] if draw.random() < 0.3 else lines[place].replace(b"a", b'"', 2)
    first = [(b"," if comma else b"\t").join(field.encode() for field in NAMES)] if head else [lines[0]]
    if not head:
        first = [(b"," if comma else b"\t").join([b"https://h.example/1", b"an owl", b"", b"", b""])]
    path = tmp_path / name
    path.write_bytes(b"\n".join([*first, *lines]) + draw.choice([b"", b"\n"]))
    quick = found(path, KEEPING)
    turn_off(monkeypatch)
    assert quick == found(path, KEEPING)
    assert len(quick[0]) > 200 and len(quick[1]) > 100


def hostile_csv(seed: int) -> bytes:
    """Rows as a writer of CSV puts them, over several lines too, and among them what none would write."""
    draw = random.Random(seed)
    lines: list[bytes] = [",".join(NAMES).encode() + b"\n"] if draw.random() < 0.8 else []
    for row in rows(seed, draw.randrange(20, 300)):
        if draw.random() < 0.4:
            row[1] = row[1].replace(" ", draw.choice([", ", '"', "\n", " ", "\r\n", "\r"]), 3)
        stream = io.StringIO(newline="")
        quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        csv.writer(stream, quoting=quoting, lineterminator=draw.choice(["\n", "\r\n"])).writerow(row)
        line = stream.getvalue().encode()
        if draw.random() < 0.04:
            line = draw.choice(
                [
                    b'"' + line,
                    line.replace(b'"', b"", 1),
                    line.replace(b",", b'",', 1),
                    line[:-1] + b'"\n',
                    b"\n",
                    b"\xef\xbb\xbf" + line,
                    b"\xff\xfe" + line,
                    line[: len(line) // 2],
                    b'""\n',
                    b'a"b' + line,
                    b'"a"b' + line,
                    line.replace(b"a", b"\x00"),
                    line.replace(b"a", b"\xff"),
                    b"x" * 1100000 + b"\n",
                    b'"open\n',
                    b" \n",
                ]
            )
        lines.append(line)
    return b"".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_any_csv_by_the_block_and_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", random.Random(seed).choice([300, 3000, 100_000]))
    path = tmp_path / "a.csv"
    path.write_bytes(hostile_csv(seed))
    quick = outcome(path, KEEPING)
    turn_off(monkeypatch)
    assert quick == outcome(path, KEEPING)


@pytest.mark.parametrize("quoted", ["", '"'])
def test_a_mark_of_an_encoding_within_a_file_is_part_of_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: str
) -> None:
    """Also where a block begins with it."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    path = tmp_path / "a.csv"
    path.write_text(f"caption,url\n\ufeffan owl,{quoted}http://h/1.jpg{quoted}\na fox,http://h/2.jpg\n")
    quick = found(path, KEEPING)
    turn_off(monkeypatch)
    assert quick == found(path, KEEPING) and len(quick[0]) == 2


def test_a_row_that_goes_on_is_no_other_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that would be rows by their cells, but have no address, are part of a caption that began before."""
    path = tmp_path / "a.csv"
    path.write_text('url,caption\nhttp://h/1.jpg,"an owl\nby day,by night\nin a tree"\nhttp://h/2.jpg,a "fox" here\n')
    for size in (1, 20, 40, 1000):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        candidates, rejects = found(path)
        assert [row["caption"] for row in sorted(candidates, key=lambda row: str(row["url"]))] == [
            "an owl by day,by night in a tree",
            'a "fox" here',
        ] and not rejects


def test_quoted_rows_take_the_quick_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those around one that does not."""
    slow: list[object] = []
    monkeypatch.setattr(url_list, "_add", lambda rows, row, columns, place: slow.append((place, row)))
    lines = [f'https://h.example/{n}.jpg,"an ""owl"", number {n}",,640,' for n in range(500)]
    lines[77] = 'https://h.example/77.jpg,"an owl\nof two lines",,1,'
    (tmp_path / "a.csv").write_text("\n".join([",".join(NAMES), *lines]) + "\n")
    assert len(found(tmp_path / "a.csv")[0]) == 499
    assert [place for place, _ in slow] == [f"{tmp_path}/a.csv:78"]
    rows_of_json = [{"url": f"https://h.example/{n}.jpg", "text": f'an "owl" {n}', "width": 7.0} for n in range(500)]
    rows_of_json[99]["text"] = "Grüße aus Köln"
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows_of_json)))
    slow.clear()
    candidates, _ = found(tmp_path / "a.jsonl")
    assert len(candidates) == 499 and [place for place, _ in slow] == [f"{tmp_path}/a.jsonl:100"]
    assert {row["declared_width"] for row in candidates} == {7}


VALUES = [
    *("640", 640, 0, -3, 10**6, 2**70, 12.5, 1e300, float("nan"), float("inf"), True, None, [], ["an owl of a list"]),
    *({"a": 1}, "\ud800 half", "Grüße aus Köln", ""),
]


def hostile_json(seed: int) -> bytes:
    """Rows of JSON with the same names mostly, of any values, and lines that are none."""
    draw = random.Random(seed)
    lines = [b"\xef\xbb\xbf"] if draw.random() < 0.3 else []
    usual = draw.sample(NAMES, 5)
    for row in rows(seed, draw.randrange(20, 300)):
        told: dict[str, object] = {name: row[NAMES.index(name)] for name in usual}
        told |= {name: draw.choice([640, 480, None]) for name in ("width", "height")}
        if draw.random() < 0.2:
            told[draw.choice([*NAMES, "caption", "more", "Text"])] = draw.choice(VALUES)
        if draw.random() < 0.1:
            del told[draw.choice(usual)]
        line = json.dumps(told, ensure_ascii=draw.random() < 0.7).encode("utf-8", "surrogatepass")
        if draw.random() < 0.06:
            line = draw.choice(
                [
                    b"",
                    b" ",
                    b"\xc2\xa0",
                    b"null",
                    b"[]",
                    b"{}",
                    b"7",
                    line + line,
                    line + b" x",
                    b" " + line,
                    line + b" \r",
                    line[:-1],
                    b"\xff" + line,
                    line.replace(b"a", b"\xff"),
                    b"[" * 5000,
                    b'{"URL":' * 5000,
                    line + b"\xc2\xa0",
                    b'{"URL": 1, "URL": "https://h.example/2", "TEXT": "an owl twice"}',
                    b"x" * 1100000,
                    b"\xff\xfe" + line,
                    line.replace(b"{", b'{"URL": NaN, ', 1),
                    b"{" + b" " * 999990 + line[1:],
                    b'{"": ""}',
                ]
            )
        lines.append(line)
    content = b"\n".join(lines).replace(b"\xef\xbb\xbf\n", b"\xef\xbb\xbf", 1)
    return content + draw.choice([b"", b"\n"])


@pytest.mark.parametrize("seed", range(60))
def test_any_json_lines_by_the_block_and_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", random.Random(seed).choice([300, 3000, 100_000]))
    path = tmp_path / "a.jsonl"
    path.write_bytes(hostile_json(seed))
    for extract in (LIST, KEEPING):
        with monkeypatch.context() as patch:
            quick = outcome(path, extract)
            turn_off(patch)
            assert quick == outcome(path, extract)


@pytest.mark.parametrize("sides", ["text", "whole", "real", "none"])
@pytest.mark.parametrize("texts", ["one", "two", "large", "binary"])
def test_parquet_by_the_block_and_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sides: str, texts: str
) -> None:
    monkeypatch.setattr(list_file, "TABLE_ROWS", 100)
    given = list(zip(*rows(3, 700), strict=True))
    draw = random.Random(4)

    def column(values: Any, kind: pa.DataType = TEXT) -> pa.Array:
        mask = np.array([draw.random() < 0.1 for _ in values])
        return pa.array([value.encode() if kind == pa.binary() else value for value in values], kind, mask=mask)

    kind = {"large": pa.large_string(), "binary": pa.binary()}.get(texts, pa.string())
    columns = {"URL": column(given[0]), "TEXT": column(given[1], kind), "page_url": column(given[2])}
    if texts == "two":
        columns["caption"] = column(given[1][::-1])
    numbers = [draw.choice([0, 5, 640, -1, 999_999, 1_000_000, 2**40]) for _ in range(700)]
    if sides == "text":
        columns |= {"width": column(given[3]), "height": column(given[4])}
    elif sides != "none":
        columns |= dict.fromkeys(("width", "height"), column(numbers, pa.int64() if sides == "whole" else pa.float64()))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**columns, "nested": [[{"a": n}] for n in range(700)]}), path, row_group_size=90)
    quick = found(path, KEEPING)
    turn_off(monkeypatch)
    assert quick == found(path, KEEPING)
    assert len(quick[0]) > 150 and len(quick[1]) > 50


def test_plain_rows_take_the_quick_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would say nothing."""
    slow: list[object] = []
    monkeypatch.setattr(url_list, "_add", lambda rows, row, columns, place: slow.append(place))
    path = tmp_path / "a.tsv"
    lines = [f"{url}\t{text}\t{page}\t640\t" for url in URLS[:8] for text in TEXTS[:8] for page in ("", PAGES[0])]
    lines[77] = "https://h.example/ö.jpg\tan owl\t\t\t"
    path.write_text("\n".join(["\t".join(NAMES), *lines]) + "\n")
    candidates, rejects = found(path)
    assert len(candidates) == 127 and not rejects and slow == [f"{path}:78"]
    assert candidates[0]["declared_width"] == 640 and candidates[0]["declared_height"] is None
    assert {row["page_url"] for row in candidates} == {None, PAGES[0]}
    assert candidates[0]["texts"] == [{"kind": "text", "text": candidates[0]["caption"]}]


def test_blocks_are_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(5)
    for size in (1, 2, 7, 64, 10_000):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        for _ in range(20):
            content = b"".join(draw.choice([b"\n", b"a", b"bc\t", b"\r\n", b"d\n"]) for _ in range(draw.randrange(60)))
            given = list(Blocks(io.BytesIO(content)))
            assert b"".join(given) == content
            assert all(block.endswith(b"\n") for block in given[:-1])


def test_every_line_lies_in_one_piece() -> None:
    draw = random.Random(6)
    for _ in range(200):
        lines = [b"x" * draw.randrange(12) + b"\n" for _ in range(draw.randrange(1, 12))]
        content = b"".join(lines)[: None if draw.random() < 0.5 else -1]
        edges = sorted({0, len(content), *(draw.randrange(len(content) + 1) for _ in range(draw.randrange(4)))})
        read = []
        for start, stop in itertools.pairwise(edges):
            within, size, part = (
                lines_within(io.BytesIO(content), Piece("a", start, stop)),
                draw.choice([1, 3, 100]),
                b"",
            )
            while more := within.read(size):
                part += more
            read.append(part)
        assert b"".join(read) == content
        assert all(part.endswith(b"\n") for part in [part for part in read if part][:-1])


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl", "a.parquet"])
def test_pieces_of_a_list_are_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    given = rows(7, 3000)
    if name == "a.tsv":
        monkeypatch.setattr(pieces, "PIECE_BYTES", 20_000)
        path.write_text("\n".join(["\t".join(NAMES), *map("\t".join, given)]) + "\n")
    elif name == "a.jsonl":
        monkeypatch.setattr(pieces, "PIECE_BYTES", 20_000)
        path.write_text("\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in given))
    else:
        monkeypatch.setattr(pieces, "PIECE_ROWS", 700)
        table = pa.table(dict(zip(NAMES, map(list, zip(*given, strict=True)), strict=True)))
        pq.write_table(table, path, row_group_size=300)
    cut = pieces_of(str(path))
    assert len(cut) > 3 and len({piece.span for piece in cut}) == len(cut)
    whole = found(path)
    parts = [found(piece) for piece in cut]
    together = [sorted((row for part in parts for row in part[kind]), key=str) for kind in (0, 1)]
    if name != "a.parquet":  # the numbers of rows are those in the piece
        told = "from byte"
        assert any(told in str(row) for row in together[1])
        assert together[0] == sorted(whole[0], key=str) and len(together[1]) == len(whole[1])
    else:
        assert together == [sorted(whole[0], key=str), sorted(whole[1], key=str)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.tsv.gz"])
def test_what_cannot_be_cut_is_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 10)
    (tmp_path / name).write_bytes(b"url\tcaption\n" * 50)
    assert pieces_of(str(tmp_path / name)) == [Piece(str(tmp_path / name))]
    (tmp_path / "a.tsv").write_text("url\tcaption\n" * 50, encoding="utf-16")
    assert pieces_of(str(tmp_path / "a.tsv"))[0].is_whole
