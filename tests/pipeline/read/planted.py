"""Lists of any length with planted damage, and what must become of every row: a pair, or a reject with its reason.

In: a kind of list, a number of rows and a seed. Out: the bytes of the file, and how many rows are to end as "pair" or
under each reason. Blank lines are no rows. Every row is told by its number, so that none can stand in for another.
"""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["KINDS", "Planted", "write_planted"]

PAIR = "pair"
BOM = b"\xef\xbb\xbf"
HUGE = b"x" * 10_000_000
SHARE = 0.2  # of the rows that are planted with something
NAMES = ["URL", "TEXT", "WIDTH"]

Planted = Counter[str]
Row = tuple[bytes, str | None]  # its line with its end, and its destiny; None: no row


def _url(number: int) -> str:
    return f"http://example.org/pictures/{number}.jpg"


def _text(number: int) -> str:
    return f"a dog beside house {number}"


def _line(*cells: str, delimiter: bytes = b"\t", end: bytes = b"\n") -> bytes:
    return delimiter.join(cell.encode() for cell in cells) + end


def _tsv(number: int) -> dict[str, Row]:
    url, text = _url(number), _text(number)
    return {
        "bad UTF-8": (_line(url, text, "7").replace(b"dog", b"d\xff\xc3g"), PAIR),
        "byte order mark": (_line(url, f"\ufeff{text}", "7"), PAIR),
        "byte order mark first": (BOM + _line(url, text, "7"), "bad_url"),
        "stray quote": (_line(url, f'"{text}', "7"), PAIR),
        "quotes within": (_line(url, f'a "dog" at {number}"', "7"), PAIR),
        "missing column": (_line(url, text), "wrong_number_of_columns"),
        "extra column": (_line(url, text, "7", "8"), "wrong_number_of_columns"),
        "one cell": (_line(text), "wrong_number_of_columns"),
        "NUL": (_line(url, f"{text}\0", "7"), PAIR),
        "only NUL": (b"\0\0\n", None),
        "empty line": (b"\n", None),
        "empty line, CRLF": (b"\r\n", None),
        "CRLF": (_line(url, text, "7", end=b"\r\n"), PAIR),
        "no address": (_line("", text, "7"), "bad_url"),
        "no address but words": (_line("picture", text, "7"), "bad_url"),
        "no text": (_line(url, "", "7"), "no_text"),
        "text of blanks": (_line(url, "  \u200b ", "7"), "no_text"),
        "no number": (_line(url, text, "wide"), PAIR),
    }


def _csv(number: int) -> dict[str, Row]:
    url, text = _url(number), _text(number)

    def quoted(*cells: str, end: str = "\n") -> bytes:
        stream = io.StringIO()
        csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator=end).writerow(cells)
        return stream.getvalue().encode()

    return {
        "bad UTF-8": (quoted(url, text, "7").replace(b"dog", b"d\xff\xc3g"), PAIR),
        "quotes within": (quoted(url, f'a "dog" at {number}', "7"), PAIR),
        "line end within": (quoted(url, f"a dog\nat {number}", "7"), PAIR),
        "opened and never closed": (f'{url},"{text},7\n'.encode(), "broken_line"),
        "missing column": (quoted(url, text), "wrong_number_of_columns"),
        "extra column": (quoted(url, text, "7", "8"), "wrong_number_of_columns"),
        "unquoted comma": (f"{url},{text}, and a cat,7\n".encode(), "wrong_number_of_columns"),
        "NUL": (quoted(url, f"{text}\0", "7"), PAIR),
        "empty line": (b"\n", None),
        "CRLF": (quoted(url, text, "7", end="\r\n"), PAIR),
        "no address": (quoted("", text, "7"), "bad_url"),
        "no text": (quoted(url, "", "7"), "no_text"),
    }


def _jsonl(number: int) -> dict[str, Row]:
    url, text = _url(number), _text(number)

    def row(**fields: Any) -> bytes:
        return json.dumps({"URL": url, "TEXT": text, "WIDTH": 7} | fields).encode() + b"\n"

    return {
        "bad UTF-8": (row().replace(b"dog", b"d\xff\xc3g"), PAIR),
        "half of a character": (row(TEXT=f"{text} \ud83d"), PAIR),
        "NUL": (row(TEXT=f"{text}\0"), PAIR),
        "bare NUL": (row().replace(b"dog", b"d\0g"), "broken_line"),
        "cut": (row()[:-9] + b"\n", "broken_line"),
        "no object": (json.dumps([url, text]).encode() + b"\n", "broken_line"),
        "empty object": (b"{}\n", "broken_line"),
        "a text": (json.dumps(text).encode() + b"\n", "broken_line"),
        "two rows in a line": (row().rstrip() + row(), "broken_line"),
        "CRLF": (row().rstrip() + b"\r\n", PAIR),
        "empty line": (b" \n", None),
        "other names": (json.dumps({"url": url, "caption": text}).encode() + b"\n", PAIR),
        "address a number": (row(URL=number), "bad_url"),
        "address null": (row(URL=None), "bad_url"),
        "address in a list": (row(URL=[url]), PAIR),
        "no address": (json.dumps({"TEXT": text}).encode() + b"\n", "bad_url"),
        "text a number": (row(TEXT=number), "no_text"),
        "text an object": (row(TEXT={"en": text}), "no_text"),
        "texts in a list": (row(TEXT=[text, "a cat"]), PAIR),
        "no text": (json.dumps({"URL": url}).encode() + b"\n", "no_text"),
        "number beyond 64 bits": (row(WIDTH=1 << 70), PAIR),
        "not a number": (row(WIDTH=float("nan")), PAIR),
        "nested deeply": (b'{"URL": ' + b"[" * 5_000 + b"]" * 5_000 + b"}\n", "broken_line"),
    }


_SOUND: dict[str, Callable[[int], bytes]] = {
    "tsv": lambda number: _line(_url(number), _text(number), "7"),
    "csv": lambda number: _line(_url(number), _text(number), "7", delimiter=b","),
    "jsonl": lambda number: json.dumps({"URL": _url(number), "TEXT": _text(number), "WIDTH": 7}).encode() + b"\n",
}
_DAMAGE: dict[str, Callable[[int], dict[str, Row]]] = {"tsv": _tsv, "csv": _csv, "jsonl": _jsonl}
_HEADS = {"tsv": BOM + _line(*NAMES), "csv": _line(*NAMES, delimiter=b",", end=b"\r\n"), "jsonl": BOM}
KINDS = (*_SOUND, "parquet")


def write_planted(folder: Path, kind: str, rows: int, seed: int) -> tuple[Path, Planted]:
    """Writes ``planted.KIND`` with so many lines; returns it and what must become of its rows."""
    path = folder / f"planted.{kind}"
    if kind == "parquet":
        return path, _write_parquet(path, rows, seed)
    planted: Planted = Counter()
    with path.open("wb") as stream:
        stream.write(_HEADS[kind])
        for line, destiny in _lines(kind, rows, random.Random(seed)):
            stream.write(line)
            if destiny:
                planted[destiny] += 1
    return path, planted


def _lines(kind: str, rows: int, draw: random.Random) -> Iterator[Row]:
    names = sorted(_DAMAGE[kind](0))
    for number in range(rows):
        if number == rows // 2:
            yield HUGE + b"\n", "line_too_long"
        elif number < len(names):  # each once, whatever is drawn
            yield _DAMAGE[kind](number)[names[number]]
        elif draw.random() < SHARE:
            yield _DAMAGE[kind](number)[draw.choice(names)]
        else:
            yield _SOUND[kind](number), PAIR


def _write_parquet(path: Path, rows: int, seed: int) -> Planted:
    """Three columns: addresses and texts as bytes that may be no UTF-8, and lists of numbers."""
    draw, planted = random.Random(seed), Counter[str]()
    kinds: list[tuple[Callable[[int], bytes | None], Callable[[int], bytes | None], str]] = [
        (lambda n: _url(n).encode(), lambda n: _text(n).encode().replace(b"dog", b"d\xff\xc3g"), PAIR),
        (lambda n: _url(n).encode(), lambda n: _text(n).encode() + b"\0", PAIR),
        (lambda n: _url(n).encode() + b"\r\n", lambda n: BOM + _text(n).encode(), PAIR),
        (lambda n: None, lambda n: _text(n).encode(), "bad_url"),
        (lambda n: b"", lambda n: _text(n).encode(), "bad_url"),
        (lambda n: b"\xff\xfe", lambda n: _text(n).encode(), "bad_url"),
        (lambda n: _url(n).encode(), lambda n: None, "no_text"),
        (lambda n: _url(n).encode(), lambda n: b"\r\n", "no_text"),
    ]
    urls: list[bytes | None] = []
    texts: list[bytes | None] = []
    for number in range(rows):
        url, text, destiny = lambda n: _url(n).encode(), lambda n: _text(n).encode(), PAIR
        if number < len(kinds) or draw.random() < SHARE:
            url, text, destiny = kinds[number] if number < len(kinds) else draw.choice(kinds)
        urls.append(url(number))
        texts.append(text(number))
        planted[destiny] += 1
    columns = [_unchecked(urls), _unchecked(texts), pa.array([[number] for number in range(rows)])]
    pq.write_table(pa.table(dict(zip(NAMES, columns, strict=True))), path, row_group_size=10_000)
    return planted


def _unchecked(values: list[bytes | None]) -> pa.Array:
    """A column of texts that says it is UTF-8 and may not be."""
    array = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(array), array.buffers(), array.null_count)
