"""Lists of URLs with texts, in the shapes in which they are published."""

import bz2
import datetime
import gzip
import json
import lzma
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.read.config import ExtractConfig
from pipeline.read.url_list import first_addresses, read_url_list
from webimagetext.errors import UserError

Rows = list[dict[str, Any]]


def read(path: Path, **options: Any) -> tuple[Rows, Counter[str]]:
    pieces = list(read_url_list(str(path), ExtractConfig(source="url_list", **options)))
    rejects = Counter(reason for piece in pieces for reason in piece.rejects.column("reason").to_pylist())
    return [row for piece in pieces for row in piece.candidates.to_pylist()], rejects


def pairs(path: Path, **options: Any) -> list[tuple[str, str]]:
    return [(row["url"], row["caption"]) for row in read(path, **options)[0]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def to_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


YFCC = [""] * 25
YFCC[8], YFCC[9] = "A+dog+runs", "On+the+beach%2C+in+May"
YFCC[15], YFCC[16] = "http://www.example.org/photos/1/2/", "http://farm1.example.org/2_3.jpg"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "cc12m.tsv",
            'http://h/a.jpg\ta "dog runs\nhttp://h/b.jpg\ttwo cats\n',
            [("a", 'a "dog runs'), ("b", "two cats")],
        ),
        ("cc3m.tsv", "a dog runs\thttp://h/a.jpg\n", [("a", "a dog runs")]),
        ("laion.csv", '\ufeffURL,TEXT\r\nhttp://h/a.jpg,"a dog,\nruns"\r\n', [("a", "a dog, runs")]),
        ("coyo.jsonl", json.dumps({"id": 1, "url": "http://h/a.jpg", "text": "a dog"}), [("a", "a dog")]),
        (
            "redcaps.json",
            json.dumps({"annotations": [{"url": "http://h/a.jpg", "caption": "my dog"}]}),
            [("a", "my dog")],
        ),
        ("titles.csv", "image_url,title,description\nhttp://h/a.jpg,dog,the dog runs\n", [("a", "the dog runs")]),
    ],
)
def test_shapes(name: str, content: str, expected: list[tuple[str, str]], write: Any) -> None:
    assert pairs(write(name, content)) == [(f"http://h/{image}.jpg", caption) for image, caption in expected]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstandard.compress), (".xz", lzma.compress)],
)
def test_compressions(suffix: str, compress: Callable[[bytes], bytes], write: Any) -> None:
    lines = b"url\tcaption\n" + b"".join(b"http://h/%d.jpg\ta dog %d\n" % (n, n) for n in range(2_000))
    path = write(f"list.tsv{suffix}", compress(lines))
    assert len(pairs(path)) == 2_000
    damaged = write(f"cut.tsv{suffix}", compress(lines)[:-30])
    with pytest.raises(UserError, match="damaged"):
        pairs(damaged)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstandard.compress), (".xz", lzma.compress)],
)
@pytest.mark.parametrize("share", [0.4, 0.95])
def test_a_packed_list_that_is_cut_off_is_no_shorter_list(
    suffix: str, compress: Callable[[bytes], bytes], share: float, write: Any
) -> None:
    words = random.Random(6)
    whole = compress("".join(f"http://h/{n}.jpg\ta dog {words.random()}\n" for n in range(9000)).encode())
    path = write(f"cc.tsv{suffix}", whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"the file is damaged: .*end"):
        pairs(path)


def test_parquet_with_sizes_and_nulls(tmp_path: Path) -> None:
    rows = {"URL": ["http://h/a.jpg", None, "http://h/c.jpg"], "TEXT": ["a dog", "b", None], "WIDTH": [640.0, 1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "laion.parquet")
    found, rejects = read(tmp_path / "laion.parquet")
    assert [(row["url"], row["declared_width"], row["consent"]) for row in found] == [
        ("http://h/a.jpg", 640, "not_asked")
    ]
    assert rejects == Counter({"bad_url": 1, "no_text": 1})


def test_columns_belong_to_a_row(write: Any) -> None:
    lines = [
        {"url": "http://h/a.jpg", "alt": "a dog runs"},
        {"text": "a row whose address is missing"},
        {"img_url": "http://h/b.jpg", "caption": "two cats sleep", "page_url": "http://h/p"},
        {"url": "http://h/c.jpg"},
        {"url": "http://h/d.jpg", "alt": "a deer stands"},
    ]
    path = write("own.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    found, rejects = read(path)
    assert sorted((row["url"][-5], row["caption"], row["page_url"]) for row in found) == [
        ("a", "a dog runs", None),
        ("b", "two cats sleep", "http://h/p"),
        ("d", "a deer stands", None),
    ]
    assert rejects == Counter({"bad_url": 1, "no_text": 1})
    with pytest.raises(UserError, match=r"own.jsonl: no column holds the images' URLs"):
        read(write("own.jsonl", (json.dumps(lines[1]) + "\n") * 3))
    with pytest.raises(UserError, match=r"own.jsonl: no column holds texts"):
        read(write("own.jsonl", json.dumps(lines[3])))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks(encoding: str, write: Any) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    rows = [{"url": f"http://h/{name}.jpg", "text": f"ein Reh, {name}"} for name in "aäあ"]
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert [pair[1] for pair in pairs(write("own.jsonl", (mark + content).encode(encoding)))] == [
        "ein Reh, a",
        "ein Reh, ä",
        "ein Reh, あ",
    ]
    table = "url\ttext\r\n" + "".join(f"{row['url']}\t{row['text']}\r\n" for row in rows)
    assert len(pairs(write("own.tsv", (mark + table).encode(encoding)))) == 3


def test_wit(write: Any) -> None:
    names = "language page_url image_url page_title caption_reference_description caption_alt_text_description"
    cells = ["en", "http://w/p", "http://w/a.jpg", "Deer", "A roe deer in May", "deer"]
    ((row,), _) = read(
        write("wit.tsv.gz", gzip.compress(("\t".join(names.split()) + "\n" + "\t".join(cells)).encode()))
    )
    assert (row["url"], row["caption"], row["page_url"]) == ("http://w/a.jpg", "A roe deer in May", "http://w/p")


def test_binary_and_list_columns(tmp_path: Path) -> None:
    columns = {"url": [b"http://h/a.jpg"], "caption": [[b"a", b"a dog runs"]], "extra": [b"\xff\xfe"]}
    pq.write_table(pa.table(columns), tmp_path / "own.parquet")
    assert pairs(tmp_path / "own.parquet") == [("http://h/a.jpg", "a dog runs")]


KEPT = {"Aesthetic": 5.125, "license": "CC-BY", "tags": ["deer", "May"], "checked": None, "safe": True, "id": 2**70}


def test_further_columns_go_along(write: Any) -> None:
    lines = [
        {"url": "http://h/a.jpg", "text": "a dog runs", **KEPT},
        {"url": "http://h/b.jpg", "text": "two cats sleep", "license": "\x00 odd \ud800"},
    ]
    path = write("own.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    found, _ = read(path, keep_columns=("aesthetic", "LICENSE", "tags", "checked", "safe", "id"))
    assert json.loads(found[0]["columns"]) == {**KEPT, "id": str(2**70)}
    assert list(json.loads(found[0]["columns"])) == list(KEPT)
    assert json.loads(found[1]["columns"]) == {"license": "  odd \ufffd"}
    assert [row["columns"] for row in read(path)[0]] == [None, None]
    with pytest.raises(UserError, match=r"own.jsonl: has no column 'licence'"):
        first_addresses(str(path), ExtractConfig(source="url_list", keep_columns=("licence",)))


def test_further_columns_of_tables(write: Any, tmp_path: Path) -> None:
    path = write("own.csv", "url,text,score\nhttp://h/a.jpg,a dog runs,5.1\nhttp://h/b.jpg,ein früher Hase,\n")
    assert [row["columns"] for row in read(path, keep_columns=("score",))[0]] == ['{"score": "5.1"}', '{"score": ""}']
    kept = {
        "score": pa.array([0.5, math.nan]),
        "raw": [b"CC", b"\xff"],
        "when": [datetime.date(2026, 5, 1), None],
        "boxes": [[[1, 2], [3]], []],
        "inner": [{"a": 1}, None],
    }
    table = {"url": ["http://h/a.jpg", "http://h/b.jpg"], "text": ["a dog runs", "ein früher Hase"], **kept}
    pq.write_table(pa.table(table), tmp_path / "own.parquet")
    found, _ = read(tmp_path / "own.parquet", keep_columns=tuple(kept))
    assert [json.loads(row["columns"]) for row in found] == [
        {"score": 0.5, "raw": "CC", "when": "2026-05-01", "boxes": [[1, 2], [3]], "inner": "{'a': 1}"},
        {"score": None, "raw": "\ufffd", "when": None, "boxes": [], "inner": None},
    ]


def test_yfcc_titles_and_descriptions(write: Any) -> None:
    (row,) = read(write("yfcc.tsv", "\t".join(YFCC) + "\n"))[0]
    assert (row["url"], row["page_url"]) == (YFCC[16], YFCC[15])
    assert [text["text"] for text in row["texts"]] == ["A dog runs", "On the beach, in May"]


def test_columns_can_be_named(write: Any) -> None:
    path = write("own.csv", "link,words,other,page\nhttp://h/a.jpg,dog,the dog runs,http://h/\n")
    with pytest.raises(UserError, match="URLs"):
        read(path)
    with pytest.raises(UserError, match="texts"):
        read(path, url_column="link")
    (row,) = read(path, url_column="link", text_columns=("words",), page_column="page")[0]
    assert (row["caption"], row["page_url"]) == ("dog", "http://h/")


def test_broken_lines_are_counted(write: Any) -> None:
    lines = [
        '{"url": "http://h/a.jpg", "caption": "a dog"}',
        "{broken",
        "[]",
        '{"url": 5, "caption": "x"}',
        '"' + "x" * 2_000_000,
    ]
    found, rejects = read(write("list.jsonl", "\n".join(lines)))
    assert len(found) == 1
    assert rejects == Counter({"broken_line": 2, "bad_url": 1, "line_too_long": 1})
    found, rejects = read(
        write("list.tsv", "url\tcaption\nhttp://h/a.jpg\ta dog\nonly one cell\n\n" + "x" * 2_000_000 + "\n")
    )
    assert (len(found), rejects) == (1, Counter({"wrong_number_of_columns": 1, "line_too_long": 1}))


def rows_of_csv(count: int, **lines: str) -> str:
    """A CSV of ``count`` rows, some of which are other lines, by their number."""
    rows = [f"http://h/{number}.jpg,deer {number} by the pond" for number in range(count)]
    for number, line in lines.items():
        rows[int(number[1:])] = line
    return "\n".join(["url,caption", *rows, ""])


@pytest.mark.parametrize("place", [0, 20, 150, 498, 499])
def test_an_opening_quote_that_is_never_closed_costs_its_row(place: int, write: Any) -> None:
    """The first line too: a row's caption that swallows all others would be one candidate, and not a word said."""
    opened = f'http://h/{place}.jpg,"deer {place} by the pond'
    found, rejects = read(write("list.csv", rows_of_csv(500, **{f"n{place}": opened})))
    assert rejects == Counter({"broken_line": 1})
    assert [row["url"] for row in found] == [f"http://h/{n}.jpg" for n in range(500) if n != place]
    assert all(row["caption"] == f"deer {row['url'][9:-4]} by the pond" for row in found)


def test_each_quote_that_is_never_closed_costs_one_row(write: Any) -> None:
    opened = {f"n{n}": f'http://h/{n}.jpg,"deer {n} by the pond' for n in range(7, 3000, 11)}
    found, rejects = read(write("list.csv", rows_of_csv(3000, **opened)))
    assert rejects == Counter({"broken_line": len(opened)}) and len(found) == 3000 - len(opened)


def test_a_quote_that_is_never_closed_stops_at_the_next_quote_too(write: Any) -> None:
    lines = {
        "n3": 'http://h/3.jpg,"deer three',
        "n4": "only one cell",
        "n5": 'http://h/5.jpg,"a deer, and\nanother, by ""the"" pond"',
        "n6": '"http://h/6.jpg","six deer"',
        "n8": 'http://h/8.jpg,"deer "eight" runs',
    }
    found, rejects = read(write("list.csv", rows_of_csv(10, **lines)))
    captions = {row["url"][9:-4]: row["caption"] for row in found}
    assert captions == {
        **{str(n): f"deer {n} by the pond" for n in (0, 1, 2, 7, 9)},
        "5": 'a deer, and another, by "the" pond',
        "6": "six deer",
        "8": 'deer eight" runs',  # as lenient readers take it
    }
    assert rejects == Counter({"broken_line": 1, "wrong_number_of_columns": 1})


def test_rows_of_several_lines_are_rows(write: Any) -> None:
    texts = {n: "\n".join(f"line {k}, of {n}" for k in range(n)) for n in range(1, 190, 9)}
    lines = [f'http://h/{n}.jpg,"{text}"' for n, text in texts.items()]
    found, rejects = read(write("list.csv", "\n".join(["url,caption", *lines])))
    assert not rejects and len(found) == len(texts)
    assert all(row["caption"].startswith("line 0, of ") for row in found)
    # A quotation mark that goes on for longer than any caption is one that is never closed.
    endless = "\n".join(["url,caption", 'http://h/a.jpg,"a deer', *["and a deer"] * 300, 'that runs"'])
    found, rejects = read(write("endless.csv", endless))
    assert not found and rejects == Counter({"broken_line": 1, "wrong_number_of_columns": 301})


def test_a_header_whose_quote_is_never_closed(write: Any) -> None:
    found, rejects = read(write("list.csv", rows_of_csv(40).replace("url,caption", 'url,"caption')))
    assert len(found) == 40 and rejects == Counter({"broken_line": 1})


def test_lone_surrogates_are_replaced(write: Any) -> None:
    assert pairs(write("list.jsonl", '{"url": "http://h/a.jpg", "caption": "a \\ud800 dog"}')) == [
        ("http://h/a.jpg", "a � dog")
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("semicolons.csv", 'url;caption\nhttp://h/a.jpg;"a dog;\nruns"\nhttp://h/b.jpg;two cats, one asleep\n'),
        ("bars.csv", "url|caption\nhttp://h/a.jpg|a dog; runs\nhttp://h/b.jpg|two cats, one asleep\n"),
        ("tabs.csv", "url\tcaption\nhttp://h/a.jpg\ta dog; runs\nhttp://h/b.jpg\ttwo cats, one asleep\n"),
        (
            "lines.json",
            '{"url": "http://h/a.jpg", "text": "a dog; runs"}\n{"url": "http://h/b.jpg", "text": '
            '"two cats, one asleep"}\n',
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_in_forms_that_their_names_do_not_tell(name: str, content: str, encoding: str, write: Any) -> None:
    assert pairs(write(name, content.encode(encoding))) == [
        ("http://h/a.jpg", "a dog; runs"),
        ("http://h/b.jpg", "two cats, one asleep"),
    ]


def test_an_open_quote_between_semicolons(write: Any) -> None:
    rows = [f"http://h/{n}.jpg;dog number {n}" for n in range(9)]
    rows[3] = 'http://h/3.jpg;"dog number 3'
    found, rejects = read(write("list.csv", "\n".join(["url;caption", *rows])))
    assert [row["caption"] for row in found] == [f"dog number {n}" for n in range(9) if n != 3]
    assert rejects == {"broken_line": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", b"url,caption\rhttp://h/a.jpg,a dog runs\r", "carriage returns alone"),
        (
            "list.csv",
            gzip.compress(b"url,caption\nhttp://h/a.jpg,a dog runs\n", mtime=0),
            "packed .gzip., and its name",
        ),
        (
            "list.jsonl",
            zstandard.compress(b'{"url": "http://h/a.jpg", "text": "a dog"}'),
            "packed .zstd., and its name",
        ),
        ("list.json", b"{} {}", "not valid JSON"),
    ],
)
def test_a_list_that_would_be_one_broken_line_is_refused(name: str, content: bytes, message: str, write: Any) -> None:
    with pytest.raises(UserError, match=message):
        read(write(name, content))


def test_other_files_are_refused(write: Any) -> None:
    for name, content in (("list.xlsx", b"PK"), ("list.parquet", b"no parquet"), ("list.json", b"{broken")):
        with pytest.raises(UserError, match=name):
            read(write(name, content))


def test_real_laion_rows(shared_data: Path) -> None:
    found, rejects = read(shared_data / "captions" / "laion_test_10000.parquet")
    assert len(found) + sum(rejects.values()) == 10_000
    assert len(found) > 9_900
