"""Little that unpacks to very much: dumps, page views, lists and archives are read in bounded memory, or refused."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pipeline.read.config import ExtractConfig
from pipeline.read.url_list import read_url_list
from query_builder.sources import dump
from query_builder.sources.dump import PAGE_KINDS, plan_shards, read_pages
from query_builder.sources.piece import CorruptInputError
from tests.faults.small_disk import ROOT

GIGABYTE = 1 << 30
MOST = 750e6  # bytes of memory, with all that is imported and the longest page that may be

MEASURE = """
import sys
from collections import Counter
from webimagetext.errors import UserError
path, kind = sys.argv[1:]
said = ""
try:
    if kind == "dump":
        from query_builder.sources.dump import plan_shards, read_pages
        ledger = Counter()
        for shard in plan_shards((path,), None):
            for batch in read_pages(shard, skip_corrupt=True, ledger=ledger):
                pass
        said = dict(ledger)
    elif kind == "views":
        from query_builder.sources.dump import plan_shards
        from query_builder.sources.pageviews import ViewsTask, count_views, read_ledger
        import os
        os.makedirs(path + ".work/views")
        for shard in plan_shards((path,), None):
            count_views(ViewsTask(shard, "en.wikipedia", path + ".work", True))
        said = dict(read_ledger(path + ".work", 0))
    elif kind == "list":
        from pipeline.read.config import ExtractConfig
        from pipeline.read.url_list import read_url_list
        said = [part.candidates.num_rows for part in read_url_list(path, ExtractConfig(source="url_list"))]
    else:
        from pipeline.read.archive import read_responses
        said = [type(item).__name__ for item in read_responses(path, lambda media: True, 20_000_000)]
except UserError as error:
    said = error.problem
# Not getrusage, which has the peak of the process that forked this one in it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
print(str(said)[:300])
"""


def measured(path: Path, kind: str) -> tuple[float, str]:
    """The most memory that reading a file takes, in a process of its own, and what came of it."""
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path), kind], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    memory, said, *_ = [*done.stdout.splitlines(), ""]
    return float(memory), said


def packed(path: Path, kind: str, head: bytes, tail: bytes = b"", size: int = GIGABYTE, fill: bytes = b" ") -> Path:
    """A small file that unpacks to a gigabyte between its head and its tail."""
    piece = fill * (1 << 20)
    with open(path, "wb") as raw:
        if kind == "zst":
            stream = zstandard.ZstdCompressor(level=1).stream_writer(raw, closefd=False)
        else:
            stream = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1)
        with stream:
            stream.write(head)
            for _ in range(size >> 20):
                stream.write(piece)
            stream.write(tail)
    assert path.stat().st_size < size / 200
    return path


HEAD = b"<mediawiki><siteinfo><dbname>enwiki</dbname></siteinfo>\n"
PAGE = b"<page><title>A</title><ns>0</ns><revision><text>a b</text></revision></page>\n"
OPEN = b"<page><title>B</title><ns>0</ns><revision><text>"


@pytest.mark.parametrize("kind", ["zst", pytest.param("gz", marks=pytest.mark.slow)])
def test_a_dump_that_unpacks_to_very_much(tmp_path: Path, kind: str) -> None:
    """Between its pages, and within a page."""
    path = packed(tmp_path / f"between.xml.{kind}", kind, HEAD + PAGE, PAGE + b"</mediawiki>\n")
    memory, said = measured(path, "dump")
    assert memory < MOST, said
    assert "'pages': 2" in said
    path = packed(
        tmp_path / f"within.xml.{kind}", kind, HEAD + PAGE + OPEN, b"</text></page>" + PAGE + b"</mediawiki>\n"
    )
    memory, said = measured(path, "dump")
    assert memory < MOST, said
    assert "'pages': 3" in said and "'malformed pages': 1" in said


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("views", "v.gz"), ("list", "l.csv.zst"), ("list", "l.jsonl.gz")])
def test_lists_that_unpack_to_very_much(tmp_path: Path, kind: str, name: str) -> None:
    head = {"views": b"en.wikipedia A 1 desktop 7 A1\n", "list": b"url,text\n"}[kind]
    memory, said = measured(packed(tmp_path / name, name.rpartition(".")[2], head, fill=b"x"), kind)
    assert memory < MOST, said


@pytest.mark.slow
def test_json_that_unpacks_to_very_much_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "r.json.gz", "gz", b'{"annotations": [', size=2 * GIGABYTE)
    memory, said = measured(path, "list")
    assert "JSON is read as a whole" in said
    assert memory < 3 * GIGABYTE


RECORD = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nContent-Length: %d\r\n"
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
ARCHIVES: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "body": lambda: (
        RECORD % (len(HTTP) + 2 + GIGABYTE)
        + b"Content-Type: application/http; msgtype=response\r\n\r\n"
        + HTTP
        + b"\r\n",
        b"\r\n\r\n",
    ),
    "http header": lambda: (
        RECORD % (len(HTTP) + 8 + GIGABYTE)
        + b"Content-Type: application/http; msgtype=response\r\n\r\n"
        + HTTP
        + b"X-Long: ",
        b"\r\n\r\n",
    ),
    "record header": lambda: (RECORD % 3 + b"X-Long: ", b"\r\n\r\nabc\r\n\r\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", ARCHIVES)
def test_an_archive_that_unpacks_to_very_much(tmp_path: Path, where: str) -> None:
    head, tail = ARCHIVES[where]()
    memory, said = measured(packed(tmp_path / "a.warc.gz", "gz", head, tail, fill=b"x"), "warc")
    assert memory < MOST, said


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_page_beyond_the_limit_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], count: int
) -> None:
    for name, value in (("LONGEST_PAGE", 5000), ("BATCH", 1500)):
        monkeypatch.setattr(dump, name, value)
    monkeypatch.setattr("query_builder.sources.pieces.PLAIN_PIECE", 700)
    path = tmp_path / "dump.xml"
    long = OPEN + b"long text " * 900 + b"</text></page>\n"
    path.write_bytes(pack(HEAD + PAGE + long + PAGE + b"</mediawiki>\n"))
    shards = plan_shards((str(path),), -(-path.stat().st_size // count))
    with pytest.raises(CorruptInputError, match="a page of more than"):
        for shard in shards:
            list(read_pages(shard, skip_corrupt=False, ledger=dump.Ledger()))
    ledger = dump.Ledger()
    titles = [
        page.title
        for shard in shards
        for batch in read_pages(shard, skip_corrupt=True, ledger=ledger)
        for page in batch.pages
    ]
    assert titles == ["A", "A"]
    assert ledger["malformed pages"] == 1 and ledger["pages"] == 3 == sum(ledger[kind] for kind in PAGE_KINDS)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_line_that_is_too_long_costs_itself_alone(tmp_path: Path, ending: str) -> None:
    mark = {".csv": ",", ".tsv": "\t", ".jsonl": ""}[ending]
    head = [] if ending == ".jsonl" else [f"url{mark}text"]

    def row(number: int, more: str = "") -> str:
        url, text = f"http://a.example/{number}.jpg", f"a text {number}{more}"
        return json.dumps({"url": url, "text": text}) if ending == ".jsonl" else f"{url}{mark}{text}"

    # Longer than what is read at once, just too long, and just not too long for a line.
    rows = [row(0), row(1, "x" * 20_000_000), row(2), row(3, "y" * 1_000_000), row(4), row(5, "z" * 900_000), row(6)]
    (tmp_path / f"list{ending}").write_text("\n".join([*head, *rows]) + "\n")
    parts = list(read_url_list(str(tmp_path / f"list{ending}"), ExtractConfig(source="url_list")))
    found = sorted(url for part in parts for url in part.candidates.column("url").to_pylist())
    reasons = [reason for part in parts for reason in part.rejects.column("reason").to_pylist()]
    assert [url[-5] for url in found] == ["0", "2", "4", "5", "6"]
    assert reasons.count("line_too_long") == 2 == len(reasons)


def test_zstandard_is_unpacked_a_little_at_a_time() -> None:
    from webimagetext.zstd import open_zstd

    rows = [json.dumps({"number": number}).encode() for number in range(50_000)]
    text = b"\n".join(rows)
    frames = [zstandard.compress(text[start : start + 70_000]) for start in range(0, len(text), 70_000)]
    assert open_zstd(io.BytesIO(b"".join(frames))).read() == text
    longest = 0
    with open_zstd(io.BytesIO(zstandard.compress(bytes(300 << 20)))) as stream:
        raw = stream.raw
        while raw.readinto(bytearray(1000)):
            longest = max(longest, len(raw._text))
    assert 0 < longest <= 64 << 20
