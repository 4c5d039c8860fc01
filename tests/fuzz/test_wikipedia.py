"""Wikitext, dumps and page views of any bytes: cleaned or refused within their buffers, in linear time, and the same
however a file is cut."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from query_builder.clean.markup import markup_tables, site_rules
from query_builder.clean.nesting import MAX_DEPTH
from query_builder.clean.scan import unescape_xml
from query_builder.clean.wikitext import clean
from query_builder.hash_table import as_bytes, hash_text
from query_builder.sources.dump import plan_shards, read_pages, read_site_info
from query_builder.sources.page import Ledger
from query_builder.sources.pageviews import ViewsTask, count_views, views_path
from query_builder.sources.piece import CorruptInputError
from tests.fuzz.hostile import documents, grows_linearly
from webimagetext.errors import UserError

TABLES = markup_tables(site_rules("en", {6: ("Datei",), 14: ("Категория",)}))
WIKI = (
    *(
        b"[[",
        b"]]",
        b"{{",
        b"}}",
        b"{|",
        b"|}",
        b"|",
        b"[[File:",
        b"[[a|",
        b"'''",
        b"''",
        b"'",
        b"__NOTOC__",
        b"__DISAMBIG__",
    ),
    *(
        b"&lt;ref&gt;",
        b"&lt;/ref&gt;",
        b"&lt;!--",
        b"--&gt;",
        b"&lt;nowiki&gt;",
        b"&lt;/nowiki&gt;",
        b"&lt;table&gt;",
        b"&lt;br/&gt;",
    ),
    *(
        b"&amp;",
        b"&amp;nGt;",
        b"&amp;nbsp;",
        b"&#xD800;",
        b"&#1114112;",
        b"&amp;#38;",
        b"http://",
        b"[//",
        b":",
        b"\n",
        b" ",
        b"_",
    ),
    *(
        b"&lt;math&gt;",
        b"&lt;/",
        b"&lt;",
        b"&gt;",
        b"a",
        b"{{disambig}}",
        b"Los Angeles",
        b"\xc3\xa9",
        b"\xf0\x9f\x90\x95",
        b"[[",
    ),
)
GUARD = 4096  # bytes behind the room that the cleaner may write to


def cleaned(escaped: bytes) -> bytes | None:
    """The plain text; None for bytes that are no UTF-8."""
    data = as_bytes(escaped)
    text = np.empty(len(data) + 8, np.uint8)
    length = unescape_xml(data, 0, len(data), text)
    if length < 0:
        return None
    room = length + length // 5 + 8
    out = np.full(room + GUARD, 0xFF, np.uint8)
    stack = np.empty(MAX_DEPTH, np.int64)
    n, _ = clean(text, length, out, stack, TABLES)
    assert n <= room and (out[room:] == 0xFF).all()
    return out[:n].tobytes()


@given(documents(WIKI, most=80))
@example(b"&amp;nGt;" * 200)
@example(b"[[" * 3000 + b"]]" * 3000)
@example(b"{{[[{|" * 2000)
def test_any_wikitext_is_cleaned_within_its_buffer(escaped: bytes) -> None:
    plain = cleaned(escaped)
    try:
        escaped.decode()
    except UnicodeDecodeError:
        assert plain is None
    else:
        assert plain is not None
        plain.decode()


SHAPES = (
    *(
        "[[",
        "{{",
        "{|",
        "[[a|",
        "[[File:",
        "'",
        "_",
        "http:",
        "{{}}",
        "[[]]",
        "{|\n|}",
        "{{[[",
        "\n[[",
        "{{a",
        "]]",
        "|}",
        "[//",
    ),
    *(
        "&lt;ref&gt;",
        "&lt;!--",
        "&lt;",
        "&amp;",
        "&lt;nowiki&gt;",
        "&lt;table&gt;",
        "&lt;table&gt;&lt;/table&gt;",
        "&lt;a ",
    ),
    *("&lt;math&gt;&lt;/ref&gt;", "&amp;nGt;", "&#38;", "[[a:"),
)


@pytest.mark.parametrize("shape", SHAPES)
def test_wikitext_takes_time_in_proportion_to_its_length(shape: str) -> None:
    assert grows_linearly(cleaned, lambda size: (shape * (size // len(shape))).encode(), 200_000)


PAGE = b"<page><title>A &amp; b</title><ns>0</ns><text>some words</text></page>"
DUMP = (
    *(
        b"<page>",
        b"</page>",
        b"<title>",
        b"</title>",
        b"<ns>0</ns>",
        b"<ns>1</ns>",
        b"<text",
        b">",
        b"/>",
        b"</text>",
        b"words",
    ),
    *(
        b'<redirect title="',
        b'"',
        b"&quot;",
        b"&#0;",
        b"&#xD800;",
        b"</mediawiki>",
        PAGE,
        PAGE,
        b"<title>x</title>",
        b"\n",
    ),
)


@given(documents(DUMP, most=60), st.integers(1, 200), st.booleans())
@example(b'<page><title>x</title><redirect title="y<text>a</text></page>', 200, True)
def test_any_dump_is_read_or_its_damage_named(content: bytes, shard_bytes: int, whole: bool) -> None:
    content = b"<mediawiki><siteinfo></siteinfo>" + content + (b"</mediawiki>" if whole else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "dump.xml")
        path.write_bytes(content)
        read_site_info(str(path))
        titles: dict[bool, list[str]] = {}
        for cut in (True, False):
            shards = plan_shards((str(path),), shard_bytes if cut else None)
            ledger: Ledger = Counter()
            titles[cut] = []
            for shard in shards:
                for batch in read_pages(shard, skip_corrupt=True, ledger=ledger):
                    for page in batch.pages:
                        assert 0 <= page.start <= page.end <= len(batch.buffer)
                        page.title.encode()
                        assert page.target is None or "<" not in page.target
                        titles[cut].append(page.title)
            try:
                for shard in shards:
                    list(read_pages(shard, skip_corrupt=False, ledger=Counter()))
            except CorruptInputError as error:
                assert str(error).encode()
        if content.count(b"<page>") == content.count(PAGE) == content.count(b"</page>"):
            assert titles[True] == titles[False] == ["A & b"] * content.count(PAGE)


ROWS = (
    *(
        b"en.wikipedia ",
        b"Dog ",
        b"New_York ",
        b"1 ",
        b"null ",
        b"desktop ",
        b"10 ",
        b"A1\n",
        b"\n",
        b" ",
        b'"Heroes" ',
        b"de.wikipedia ",
    ),
    *(
        b"en.wikipedia Dog 1 desktop 7 A7\n",
        b"en.wikipedia Dog desktop 2 A2\n",
        b"9" * 18,
        b"9" * 40,
        b"-1 ",
        b"x" * 5000,
        b"_",
    ),
)


def views(path: Path, work: str, shard_bytes: int | None) -> tuple[dict[int, int], int]:
    found: Counter[int] = Counter()
    for shard in plan_shards((str(path),), shard_bytes):
        count_views(ViewsTask(shard, "en.wikipedia", work, False))
        with np.load(views_path(work, shard.number)) as arrays:
            for key, number in zip(arrays["keys"].tolist(), arrays["views"].tolist(), strict=True):
                found[key] += number
    return dict(found), len(found)


@given(documents(ROWS, most=50), st.integers(1, 300))
@example(b"".join(b"en.wikipedia Dog 1 desktop %d A1\n" % 10**digits for digits in range(14, 45)), 300)
@example(b"en.wikipedia Dog 1 desktop " + b"9" * 40 + b" A1\nen.wikipedia Dog 1 desktop 7 A7\n", 300)
def test_any_page_views_are_summed_the_same_however_they_are_cut(content: bytes, shard_bytes: int) -> None:
    assume(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "views")
        path.write_bytes(content)
        cut, whole = views(path, f"{folder}/a", shard_bytes), views(path, f"{folder}/b", None)
    assert cut == whole
    assert all(0 <= number < 10**18 for number in whole[0].values())
    lines = content.decode("latin-1").split("\n")
    sure = [line for line in lines if line == "en.wikipedia Dog 1 desktop 7 A7"]
    assert whole[0].get(hash_text("Dog"), 0) >= 7 * len(sure)


@given(documents((*DUMP, b"<mediawiki", b'<namespace key="6">', b"</namespace>", b"<dbname>", b"BZh9", b"\x1f\x8b")))
def test_any_file_is_a_dump_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.xml", "a.xml.bz2", "a.xml.gz", "a.xml.zst"):
            path = Path(folder, name)
            path.write_bytes(content)
            try:
                read_site_info(str(path)).database.encode()
            except UserError as error:
                assert str(error).encode()
