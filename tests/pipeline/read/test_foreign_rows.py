"""Lists and archives with values that are no text, or no UTF-8: each row is a pair or a counted reject, and none ends
the run."""

import datetime
import decimal
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.tables import Extracted
from pipeline.read.url_list import first_addresses, read_url_list
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat
from tests.pipeline.read.archive_records import http_block, warc_record
from webimagetext.errors import UserError

LIST = ExtractConfig(source="url_list")


def rows_and_reasons(pieces: list[Extracted]) -> tuple[list[dict[str, Any]], Counter[str]]:
    found = [row for piece in pieces for row in piece.candidates.to_pylist()]
    for piece in pieces:
        piece.candidates.validate(full=True)
        piece.rejects.validate(full=True)
    return found, Counter(reason for piece in pieces for reason in piece.rejects.column("reason").to_pylist())


def read(path: Path, extract: ExtractConfig = LIST) -> tuple[list[dict[str, Any]], Counter[str]]:
    return rows_and_reasons(list(read_url_list(str(path), extract)))


def strings(values: list[bytes], kind: pa.DataType = None) -> pa.Array:
    """An array that claims to be text, of any bytes."""
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value))
    buffers = [None, pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind or pa.string(), len(values), buffers)


def urls(count: int) -> list[str]:
    return [f"http://h/{number}.jpg" for number in range(count)]


@pytest.mark.parametrize("packed", ["plain", "dictionary", "large", "list"])
def test_parquet_text_that_is_no_utf_8(tmp_path: Path, packed: str) -> None:
    captions = strings([b"a good dog", b"caf\xe9 on a street", b"\xff\xfe", b"", b"\xf0\x9f\x90\x95 a dog\0 runs"])
    column: Any = captions
    if packed == "dictionary":
        column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), captions)
    if packed == "large":
        column = captions.cast(pa.large_binary()).view(pa.large_string())
    if packed == "list":
        column = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4, 5], pa.int32()), captions)
    pages = strings([b"http://h/p\xff", b"", b"http://h/", b"x" * 9_000, b"http://h/\0"])
    pq.write_table(pa.table({"url": urls(5), "caption": column, "page_url": pages}), tmp_path / "a.parquet")
    found, rejects = read(tmp_path / "a.parquet")
    assert [row["caption"] for row in found] == ["a good dog", "caf� on a street", "🐕 a dog runs"]
    assert rejects == Counter({"no_text": 2})
    assert [row["page_url"] for row in found] == ["http://h/p�", None, "http://h/ "]
    assert first_addresses(str(tmp_path / "a.parquet"), LIST) == urls(5)


def test_parquet_addresses_that_are_no_utf_8(tmp_path: Path) -> None:
    addresses = strings([b"http://h/a.jpg", b"http://h/\xe9.jpg", b"\xff\xff", b"http://\xff/a.jpg"])
    pq.write_table(pa.table({"url": addresses, "caption": ["a dog runs"] * 4}), tmp_path / "a.parquet")
    found, rejects = read(tmp_path / "a.parquet")
    assert [row["url"] for row in found] == ["http://h/a.jpg", "http://h/%EF%BF%BD.jpg"]
    assert rejects == Counter({"bad_url": 2})


LISTS = [["a dog runs", "two dogs"], [], None, ["2021", "cats sleep here"], [None, "a bird sings"]]


@pytest.mark.parametrize(
    ("column", "captions"),
    [
        (pa.array(LISTS), ["a dog runs", "cats sleep here", "a bird sings"]),
        (pa.array([b"a dog runs", None, b"\xff\xff", b"two big cats", b""]), ["a dog runs", "two big cats"]),
        (pa.array([[["a dog runs"]], [], None, [[], ["two big cats"]], [[None]]]), ["a dog runs", "two big cats"]),
        (pa.array(["a dog runs", None, "1", "two big cats", ""], pa.string_view()), ["a dog runs", "two big cats"]),
    ],
)
def test_parquet_captions_of_other_kinds_than_text(tmp_path: Path, column: pa.Array, captions: list[str]) -> None:
    # A column that is not used may hold what Python has no value for.
    never = pa.array([2**62] * 5, pa.timestamp("ms"))
    pq.write_table(pa.table({"url": urls(5), "caption": column, "seen": never}), tmp_path / "a.parquet")
    found, rejects = read(tmp_path / "a.parquet")
    assert [row["caption"] for row in found] == captions
    assert rejects == Counter({"no_text": 5 - len(captions)})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None]),
        pa.array([1.5, float("nan"), None]),
        pa.array([True, False, None]),
        pa.array([datetime.date(2020, 1, 1)] * 3),
        pa.array([2**62, 1, None], pa.timestamp("ns")),
        pa.array([decimal.Decimal("1.5")] * 3),
        pa.array([{"a": "x"}] * 3),
        pa.array([[1, 2], [], None]),
        pa.array([[("k", "v")]] * 3, pa.map_(pa.string(), pa.string())),
    ],
)
def test_a_column_that_can_hold_no_text_is_refused_by_its_name(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"url": urls(3), "caption": column, "words": ["a dog runs"] * 3}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"the column caption holds .*, not texts") as error:
        read(tmp_path / "a.parquet")
    assert error.value.remedy == "set extract.text_columns to another one of: url, caption, words"
    named = ExtractConfig(source="url_list", text_columns=("caption", "words"))
    assert [row["caption"] for row in read(tmp_path / "a.parquet", named)[0]] == ["a dog runs"] * 3
    pq.write_table(pa.table({"url": column, "caption": ["a dog runs"] * 3}), tmp_path / "b.parquet")
    if not pa.types.is_list(column.type):
        with pytest.raises(UserError, match=r"the column url holds .*, not addresses"):
            read(tmp_path / "b.parquet")


def test_json_lines_with_any_value(tmp_path: Path) -> None:
    captions: list[Any] = [
        "a \ud800 dog",
        "a\0dog\x1bruns here",
        ["a dog", "\udcff three words here"],
        5,
        1e400,
        None,
        True,
    ]
    captions += [
        {"a": "dog"},
        [[[["too deep"]]]],
        "x" * 5_000 + " end",
        [1, "a dog sits"],
        10**300,
        "\ud83d\udc15 a dog",
    ]
    lines = [json.dumps({"url": url, "text": text}) for url, text in zip(urls(13), captions, strict=True)]
    places: list[Any] = [
        "http://h/\ud800.jpg",
        5,
        None,
        [],
        ["http://h/l.jpg"],
        {"u": 1},
        "http://\0/",
        "http://h/" + "x" * 5_000,
    ]
    lines += [json.dumps({"url": url, "text": "a dog runs"}) for url in places]
    lines += ['{"url": "http://h/n.jpg", "text": ' + "9" * 6_000 + "}", "[" * 100_000]
    (tmp_path / "a.jsonl").write_bytes(
        b"\xef\xbb\xbf" + "\n".join(lines).encode() + b'\n{"url": "http://h/z.jpg", "text": "\xff dog"}'
    )
    found, rejects = read(tmp_path / "a.jsonl")
    assert len(found) + rejects.total() == len(lines) + 1
    shown = [row["caption"] for row in found]
    assert shown[:3] == ["a � dog", "a dog runs here", "� three words here"] and shown[-1] == "� dog"
    assert "a dog sits" in shown and "🐕 a dog" in shown
    assert max(map(len, shown)) <= 2_000
    assert [row["url"] for row in found if "BD.jpg" in row["url"] or "l.jpg" in row["url"]] == [
        "http://h/%EF%BF%BD.jpg",
        "http://h/l.jpg",
    ]
    assert rejects == Counter({"no_text": 7, "bad_url": 6, "broken_line": 2})
    details = [
        detail
        for piece in read_url_list(str(tmp_path / "a.jsonl"), LIST)
        for detail in piece.rejects.column("detail").to_pylist()
    ]
    assert sum("no text but int" in str(detail) for detail in details) == 2


def test_other_lists_with_foreign_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b'url,caption\nhttp://h/a.jpg,a \0dog\xff runs\nhttp://h/b.jpg,"two\r\nbig cats"\n'
        b"http://h/\xe9.jpg,three old cats\n\0\n"
    )
    found, rejects = read(tmp_path / "a.csv")
    assert [row["caption"] for row in found] == ["a dog� runs", "two big cats", "three old cats"]
    assert found[2]["url"] == "http://h/%EF%BF%BD.jpg" and rejects.total() <= 1
    rows = [{"url": "http://h/a.jpg", "caption": "a dog runs"}, 5, {}, {"url": 1, "caption": "x"}]
    (tmp_path / "a.json").write_bytes(json.dumps(rows).encode().replace(b"dog", b"d\xffg"))
    found, rejects = read(tmp_path / "a.json")
    assert [row["caption"] for row in found] == ["a d�g runs"] and rejects.total() == 3


class Awkward:
    """Neither a number nor a text, and not even to be shown."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __float__ = __str__  # type: ignore[assignment]


def own_reader(_path: str) -> Any:
    yield {"url": "http://h/a.jpg", "caption": ("a dog", "a dog \udcff runs"), "width": Awkward(), 5: 1}
    yield {"url": Awkward(), "caption": "a dog runs"}
    yield {"url": "http://h/b.jpg", "caption": Awkward()}
    yield {"url": b"http://h/c.jpg", "caption": b"three \xff words"}
    yield "no row"


def test_a_reader_of_ones_own_with_any_value(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("own_reader_module")
    module.__dict__["rows"] = own_reader
    monkeypatch.setitem(sys.modules, "own_reader_module", module)
    extract = ExtractConfig(source="url_list", reader="own_reader_module:rows")
    found, rejects = rows_and_reasons(list(read_url_list("any", extract)))
    assert [(row["url"], row["caption"]) for row in found] == [
        ("http://h/a.jpg", "a dog � runs"),
        ("http://h/c.jpg", "three � words"),
    ]
    assert rejects == Counter({"bad_url": 1, "no_text": 1, "broken_line": 1})


PAGE = b"<html lang='e\x01n'><title>t\0</title><img src=x.jpg alt='a dog \x07 runs'>"


def latin(record: bytes, place: bytes) -> bytes:
    """A record with latin-1 bytes in its address and in a header of the same length."""
    return record.replace(place, b"caf\xe9\xff")


def test_archives_with_latin_1_headers(tmp_path: Path) -> None:
    records = [
        latin(warc_record("response", "http://h/PLACE/", http_block(PAGE, "text/html")), b"PLACE"),
        latin(warc_record("response", "http://h/1/", http_block(PAGE, "text/html; charset=PLACE", X="\0")), b"PLACE"),
        latin(warc_record("response", "http://h/PLACE.jpg", http_block(b"JPEG", "image/PLACE")), b"PLACE"),
        latin(warc_record("response", "http://h/2/", http_block(PAGE, Content_Encoding="PLACE")), b"PLACE"),
        latin(warc_record("response", "http://h/3/", http_block(PAGE, status="404 PLACE")), b"PLACE"),
        warc_record("response", "http://h/" + "x" * 100_000, http_block(b"", "text/html")),
        warc_record("response", "http://h/5/", http_block(PAGE)),
    ]  # fmt: skip
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    pieces = list(read_warc(str(tmp_path / "a.warc"), ExtractConfig(source="warc"), HttpConfig()))
    found, rejects = rows_and_reasons(pieces)
    assert {row["caption"] for row in found} == {"a dog runs"} and {row["page_language"] for row in found} == {"e n"}
    assert len(found) == 4 and rejects == Counter({"http_404": 1, "broken_record": 1})
    assert [len(piece.bodies) for piece in pieces] == [1]
    assert max(len(str(key)) for piece in pieces for key in piece.rejects.column("key").to_pylist()) <= 4096


def test_wat_records_with_any_value(tmp_path: Path) -> None:
    odd: list[Any] = ["\ud800\0", 5, None, [], {"a": "\udcff"}, "x" * 10_000, True, 1e400]
    records = []
    for number, value in enumerate(odd):
        link = {"path": "IMG@/src", "url": f"/{number}.jpg", "alt": "a dog \udcff runs", "title": value}
        html = {
            "Head": {"Title": value, "Metas": [{"name": value, "content": value}], "Base": value},
            "Links": [link, value],
        }
        response = {"Response-Message": {"Status": value}, "Headers": {"X\ud800": value}, "HTML-Metadata": html}
        envelope = {"WARC-Header-Metadata": {"WARC-Target-URI": f"http://h/{number}/"},
                    "Payload-Metadata": {"HTTP-Response-Metadata": response}}  # fmt: skip
        records.append(
            warc_record(
                "metadata", f"http://h/{number}/", json.dumps({"Envelope": envelope}).encode(), "application/json"
            )
        )
    (tmp_path / "a.wat").write_bytes(b"".join(records))
    found, rejects = rows_and_reasons(
        list(read_wat(str(tmp_path / "a.wat"), ExtractConfig(source="wat"), HttpConfig()))
    )
    assert {row["caption"] for row in found} == {"a dog � runs"} and len(found) == 6
    assert rejects == Counter({"bad_response": 2})
