"""Archives with one bit changed: what was in a record is read, or told, and the records beside it are read."""

import gzip
import io
import itertools
import random
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from pipeline.read.archive import read_responses
from pipeline.read.archive_items import Problem, Response
from pipeline.read.record_ends import next_place
from tests.pipeline.read.archive_records import ARC_HEAD, arc_record, http_block, warc_record
from webimagetext.errors import UserError

BEGINS = len(b"WARC/")  # what stands behind it may change to another version
Told = tuple[type, str | None, str, bytes]
Archive = Callable[..., str]


def told(path: Path) -> Counter[Told]:
    found: Counter[Told] = Counter()
    for item in read_responses(str(path), lambda media_type: media_type != "text/css", 1 << 23):
        reason, body = ("", item.body) if isinstance(item, Response) else (item.reason, b"")
        found[type(item), item.url, reason, body] += 1
    return found


def problems(found: Counter[Told]) -> int:
    return sum(count for (kind, *_), count in found.items() if kind is Problem)


def one_changed(pieces: list[bytes], places: Callable[[bytes], Iterable[int]]) -> Iterator[tuple[int, bytes]]:
    """(the place within its piece, the file) for a bit changed in each of these places of each piece."""
    draw, whole, begin = random.Random(5), b"".join(pieces), 0
    for piece in pieces:
        for place in places(piece):
            changed = bytearray(whole)
            changed[begin + place] ^= 1 << draw.randrange(8)
            yield place, bytes(changed)
        begin += len(piece)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[bytes]:
    """The records of a small real archive."""
    with tarfile.open(shared_data / "warc.tar.gz") as tar:
        member = tar.extractfile("warc/archivesunleashed__aut/issue-493.warc")
        assert member is not None
        content = member.read()
    starts = [found.start() for found in re.finditer(rb"WARC/1\.0\r\n", content)]
    assert len(starts) > 30
    return [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]


def with_newlines(record: bytes, newline: bytes) -> bytes:
    """A record whose head has other ends of lines."""
    head, blank, block = record.partition(b"\r\n\r\n")
    return (head + blank).replace(b"\r\n", newline) + block


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_a_bit_in_the_heads_of_a_plain_archive(real: list[bytes], newline: bytes, tmp_path: Path) -> None:
    """What is lost is told, as a problem or as what the changed words say."""
    path, records = tmp_path / "real.warc", [with_newlines(record, newline) for record in real]
    path.write_bytes(b"".join(records))
    whole = told(path)
    assert whole.total() == 15

    def head(record: bytes) -> Iterable[int]:
        return [*range(BEGINS), *range(BEGINS, record.index(2 * newline) + 2 * len(newline), 11)]

    bodies = {body for _, _, _, body in whole}
    for place, content in one_changed(records, head):
        path.write_bytes(content)
        now = told(path)
        lost, new = whole - now, now - whole
        assert new.total() >= lost.total()
        if place < BEGINS:
            assert new.total() == problems(new) >= 1
        assert problems(new) or bodies.issuperset(body for _, _, _, body in new)


def test_where_the_next_record_begins_is_known_without_a_look(real: list[bytes]) -> None:
    """Else each record of a whole archive would be looked for, which costs more than reading it."""
    begin = 0
    records = ArchiveIterator(io.BytesIO(b"".join(real)), parse_http=False, quirks_mode=True, fsspec_args=False)
    for record, content in zip(records, real, strict=True):
        begin += len(content)
        assert next_place(record) == begin


def test_a_bit_in_the_members_of_a_packed_archive(real: list[bytes], tmp_path: Path) -> None:
    """A member that is not what was packed gives nothing but a problem, not even where all of it was read."""
    path, members = tmp_path / "real.warc.gz", [gzip.compress(record, mtime=0) for record in real]
    path.write_bytes(b"".join(members))
    whole = told(path)

    def ends(member: bytes) -> Iterable[int]:
        return [*range(0, 40, 2), *range(40, len(member) - 8, 997), *range(len(member) - 8, len(member))]

    for place, content in one_changed(members, ends):
        path.write_bytes(content)
        now = told(path)
        lost, new = whole - now, now - whole
        assert new.total() == problems(new) >= lost.total()
        assert new or 3 < place < 10, "of the head of a member, the day and the system say nothing"


def page(number: int) -> bytes:
    return warc_record("response", f"http://h/{number}/", http_block(b"<p>page %d" % number))


def read_pages(found: Counter[Told]) -> list[str | None]:
    return [url for (kind, url, *_), count in found.items() for _ in range(count) if kind is Response]


@pytest.mark.parametrize("broken", [0, 2, 4])
@pytest.mark.parametrize("line", [b"WASC/1.0", b"WARC/1.4", b"\x00ARC/1.0"])
def test_a_record_whose_first_line_is_damaged_is_counted(
    archive: Archive, broken: int, line: bytes, tmp_path: Path
) -> None:
    records = [page(number) for number in range(5)]
    records[broken] = records[broken].replace(b"WARC/1.0", line, 1)
    found = told(Path(archive(*records, plain=True)))
    assert read_pages(found) == [f"http://h/{number}/" for number in range(5) if number != broken]
    assert problems(found) == 1 and found.total() == 5


def test_a_length_that_swallows_the_next_records(archive: Archive) -> None:
    lie = page(1).replace(b"Content-Length: ", b"Content-Length: 4", 1)
    found = told(Path(archive(page(0), lie, *map(page, range(2, 6)), plain=True)))
    assert read_pages(found) == [f"http://h/{number}/" for number in (0, 2, 3, 4, 5)]
    assert found[Problem, "http://h/1/", "broken_record", b""] == 1 == problems(found)


def test_a_length_that_is_short_leaves_something_over(archive: Archive) -> None:
    block = http_block(b"<p>page 1")
    short = page(1).replace(b"Content-Length: %d" % len(block), b"Content-Length: %d" % (len(block) - 1))
    found = told(Path(archive(page(0), short, page(2), plain=True)))
    assert read_pages(found) == [f"http://h/{number}/" for number in range(3)]
    assert found[Problem, None, "broken_record", b""] == 1 == problems(found)


@pytest.fixture(scope="module")
def real_arc(shared_data: Path) -> list[bytes]:
    """The first records of a real ARC file."""
    with tarfile.open(shared_data / "warc.tar.gz") as tar:
        member = tar.extractfile("warc/archivesunleashed__aut/example.arc.gz")
        assert member is not None
        content = gzip.decompress(member.read())
    starts = [found.start() for found in re.finditer(rb"(?:filedesc|https?|dns):\S+ \S+ \d{14} \S+ \d+\n", content)]
    return [content[a:b] for a, b in itertools.pairwise(starts[:16])]


def test_a_bit_in_the_lines_of_a_plain_arc_file(real_arc: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "real.arc"
    path.write_bytes(b"".join(real_arc))
    whole = told(path)
    assert whole.total() == 11
    for place, content in one_changed(real_arc, lambda record: range(0, record.index(b"\n") + 1, 2)):
        path.write_bytes(content)
        if not content.startswith(b"filedesc:"):
            with pytest.raises(UserError, match="is no WARC, ARC or WAT file"):
                told(path)
            continue
        now = told(path)
        assert (now - whole).total() >= (whole - now).total(), place


def test_a_bit_in_the_members_of_a_packed_arc_file(real_arc: list[bytes], tmp_path: Path) -> None:
    path, members = tmp_path / "real.arc.gz", [gzip.compress(record, mtime=0) for record in real_arc]
    path.write_bytes(b"".join(members))
    whole = told(path)

    def ends(member: bytes) -> Iterable[int]:
        return [*range(2, 40, 3), *range(40, len(member) - 8, 997), *range(len(member) - 8, len(member))]

    for place, content in one_changed(members, ends):
        path.write_bytes(content)
        now = told(path)
        lost, new = whole - now, now - whole
        assert new.total() == problems(new) >= lost.total(), place
        assert lost.total() <= 1


def test_records_of_an_arc_file_that_follow_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No empty line is between them, as some programs wrote them; nothing is said on the terminal."""
    path = tmp_path / "dense.arc"
    records = [arc_record(f"http://h/{number}/", http_block(b"<p>a page")) for number in range(5)]
    path.write_bytes(ARC_HEAD + b"".join(records))
    found = told(path)
    assert read_pages(found) == [f"http://h/{number}/" for number in range(5)] and found.total() == 5
    assert capsys.readouterr().err == ""
