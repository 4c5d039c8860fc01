"""Lists, archives, tars and one's own texts, of any bytes: every row is a pair or a counted reject, and a file that is
no such file is told in a line."""

import gzip
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.tables import Extracted
from pipeline.read.url_list import read_url_list
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat
from query_builder.importing import collect
from tests.fuzz.hostile import documents, grows_linearly, texts
from tests.pipeline.read.archive_records import http_block, warc_record, wat_record
from trainer.data.tar import TarIndex, members
from webimagetext.errors import UserError

EXTRACT, HTTP = ExtractConfig(source="url_list"), HttpConfig()
CELLS = (
    b"http://h/a.jpg",
    b"a dog runs",
    b"url",
    b"caption",
    b",",
    b"\t",
    b"\n",
    b'"',
    b'""',
    b"\r",
    b"\xef\xbb\xbf",
    b";",
)


def kept(name: str, content: bytes, read: Any) -> Any:
    """What ``read`` makes of a file of these bytes; None where it is refused in words."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            return read(str(path))
        except UserError as refused:
            assert str(refused)
            return None


def counted(pieces: list[Extracted]) -> int:
    for piece in pieces:
        piece.candidates.validate(full=True)
        piece.rejects.validate(full=True)
        assert all(caption.isprintable() or caption for caption in piece.candidates.column("caption").to_pylist())
    return sum(piece.candidates.num_rows + piece.rejects.num_rows for piece in pieces)


@given(
    documents(CELLS),
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json", "a.parquet", "a.csv.gz", "a.tsv.zst"]),
)
def test_any_list_is_read_or_refused(content: bytes, name: str) -> None:
    kept(name, content, lambda path: counted(list(read_url_list(path, EXTRACT))))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), texts(["a dog runs", "http://h/a.jpg"], most=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(texts(["url", "text"], most=2), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.lists(
        st.fixed_dictionaries({"url": JSON, "text": JSON, "width": JSON, "page_url": JSON}), min_size=1, max_size=9
    )
)
def test_every_row_of_json_lines_is_counted(rows: list[dict[str, Any]]) -> None:
    lines = "\n".join(map(json.dumps, rows)).encode()
    assert kept("a.jsonl", lines, lambda path: counted(list(read_url_list(path, EXTRACT)))) == len(rows)


ARROW = [
    pa.string(),
    pa.binary(),
    pa.large_string(),
    pa.list_(pa.string()),
    pa.string_view(),
    pa.list_(pa.large_binary()),
]


@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=9), st.just(b"three more words")), min_size=1, max_size=9),
    st.sampled_from(ARROW),
)
def test_every_row_of_parquet_is_counted(values: list[bytes | None], kind: pa.DataType) -> None:
    import pyarrow.parquet as pq

    raw = pa.array(values, pa.binary())
    if pa.types.is_list(kind):
        offsets = pa.array(range(len(values) + 1), pa.int32())
        inner = raw.view(pa.string()) if kind.value_type == pa.string() else raw.cast(kind.value_type)
        column: Any = pa.ListArray.from_arrays(offsets, inner)
    elif kind == pa.string():
        column = raw.view(pa.string())
    elif kind == pa.large_string():
        column = raw.cast(pa.large_binary()).view(pa.large_string())
    elif kind == pa.string_view():
        column = raw.cast(pa.binary_view()).view(pa.string_view())
    else:
        column = raw
    table = pa.table({"url": ["http://h/a.jpg"] * len(values), "caption": column, "page_url": raw.view(pa.string())})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    found = kept("a.parquet", stream.getvalue(), lambda path: counted(list(read_url_list(path, EXTRACT))))
    assert found == len(values)


PAGE = b"<img src=x.jpg alt='a dog runs'>"
RECORDS = (
    *(warc_record("response", "http://h/1/", http_block(PAGE)), warc_record("revisit", "http://h/2/", b"")),
    *(warc_record("response", "http://h/3.jpg", http_block(b"JPEG", "image/jpeg")), b"Content-Length: ", b"\r\n\r\n"),
    *(
        wat_record("http://h/4/", {"Links": [{"path": "IMG@/src", "url": "/a.jpg", "alt": "a dog runs"}]}),
        b"WARC/1.0\r\n",
    ),
    *(b"WARC-Target-URI: http://h/\xe9\r\n", b"WARC-Type: response\r\n", b"filedesc:", b"HTTP/1.1 99999 \xff\r\n"),
    *(
        gzip.compress(warc_record("response", "http://h/5/", http_block(PAGE)), mtime=0),
        b"\x1f\x8b\x08\0",
        b"-1",
        b"9" * 30,
    ),
    b"http://h/6/ 1.2.3.4 20260101000000 text/html 99\n",
)


@given(documents(RECORDS, most=12))
def test_any_archive_is_read_to_its_end(content: bytes) -> None:
    kept("a.warc", content, lambda path: counted(list(read_warc(path, EXTRACT, HTTP))))
    kept("a.wat", content, lambda path: counted(list(read_wat(path, EXTRACT, HTTP))))


def tar_of(names: list[str], kind: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(b"x" * len(name)))
    return stream.getvalue()


def header(size: bytes, kind: bytes = b"0") -> bytes:
    """A header whose checksum is right and whose size is anything."""
    block = bytearray(
        b"1.jpg".ljust(100, b"\0") + b"0000644\0" * 3 + size[:12].ljust(12, b"\0") + b"0" * 12 + b" " * 8 + kind
    )
    block += bytes(512 - len(block))
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


TARS = (tar_of(["1.jpg", "1.txt", "2.jpg"], tarfile.USTAR_FORMAT), tar_of(["é" * 80 + ".jpg"], tarfile.PAX_FORMAT),
        tar_of(["x" * 150 + ".jpg"], tarfile.GNU_FORMAT), bytes(512), bytes(1024), header(b"-7"), header(b"-1000"),
        header(b"1_0"), header(b"\x80" + b"\xff" * 11), header(b"\xff" * 12), header(b"7" * 11), header(b"0", b"x"),
        header(b"20", b"x") + b"7 path=\n".ljust(512, b"\0"), header(b"20", b"g") + b"\xff=\xff".ljust(512, b"\0"),
        header(b"20", b"S"), header(b"20", b"L") + b"\xff" * 512)  # fmt: skip


@given(documents(TARS, most=8))
@example(header(b"-1000") * 3)
@example(header(b"-2000"))
@example(tar_of(["é" * 80 + ".jpg"], tarfile.PAX_FORMAT) + header(b"-1000") * 3)
@example(tar_of(["é" * 80 + ".jpg"], tarfile.PAX_FORMAT)[:2048] + header(b"-1000") + header(b"-2000") * 3)
def test_any_tar_is_indexed_up_to_where_it_is_broken(content: bytes) -> None:
    found = list(members(io.BytesIO(content), len(content)))
    places = [offset for _, offset, _ in found]
    assert places == sorted(places) and all(0 <= offset <= offset + size <= len(content) for _, offset, size in found)
    index = kept("a.tar", content, TarIndex)
    assert len(index) == len(index.places) and (index.places[:, 0] >= 0).all()


OWN = (*CELLS, b'{"query": "', b'"}', b"[", b"]", b'"', b"\xff\xfe", b"\\ud800", b"1", b"9" * 5000, b"PAR1")
OWN_NAMES = ("q.txt", "q.csv", "q.tsv", "q.json", "q.jsonl", "q.parquet", "q.txt.gz")


@given(documents(OWN), st.sampled_from(OWN_NAMES), st.sampled_from(["", "1", "²", "query", "-1"]))
def test_any_texts_of_ones_own_are_a_list_or_refused(content: bytes, name: str, column: str) -> None:
    def read(path: str) -> None:
        collect([path], column).table.validate(full=True)

    kept(name, content, read)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_lists_take_time_in_proportion_to_their_length(name: str) -> None:
    head = b"url,caption\n" if name == "a.csv" else b"url\tcaption\n" if name == "a.tsv" else b""

    def read(content: bytes) -> None:
        kept(name, content, lambda path: counted(list(read_url_list(path, EXTRACT))))

    for shape in (b"a", b'"', b",", b"\n", b'"",', b"\t", b"[", b'{"a":', b"\0", b'"\n'):
        assert grows_linearly(read, lambda size, shape=shape: head + shape * (size // len(shape))), shape  # type: ignore[misc]
