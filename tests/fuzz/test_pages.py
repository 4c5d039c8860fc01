"""Pages, addresses, sets of sources and sitemaps: anything at all is read without an error, in linear time."""

import contextlib
import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.fold import fold_column
from pipeline.net.body import BadEncodingError, BodyTooLargeError
from pipeline.read.charset import decode
from pipeline.read.choose import choose, plain
from pipeline.read.pages import extract_page
from pipeline.read.payload import decode_payload
from pipeline.read.sitemap import is_sitemap_url, read_sitemap
from pipeline.read.srcset import best_of_srcset
from pipeline.read.urls import Resolver, canonical, picture_url, spelling
from query_builder.normalize import normalize
from tests.fuzz.hostile import documents, grows_linearly, texts
from webimagetext.foreign import encodable

HTML = (
    b"<img src=a.jpg alt='a dog runs'>", b"<img srcset='", b" alt=", b"'", b'"', b">", b"<", b"</",
    b"<figure>", b"</figure>",
    b"<figcaption>", b"<a href=", b"<base href=", b"<meta name=", b" content=", b"<!--", b"-->", b"<script>",
    b"</script>",
    b"<title>", b"<html lang=", b"<table>", b"<p class=caption>", b"<picture>", b"<source srcset=x>", b"<svg>",
    b"<math>",
    b"<template>", b"<body", b"&#xD800;", b"&amp", b"<meta charset=", b"utf-7", b"undefined", b"utf-16",
    b"<frame src=//h>",
)  # fmt: skip
SET = ("a.jpg", " 1w", " 2x", ",", " ", "\t", "data:x,", "(", " 1w 2x", "1.5x", "99999999w", "\n")
ADDRESS = (
    "http://", "https://", "HTTP:", "//", "/", "\\", "?", "#", "@", ":", "80", "99999", "[::1]", "[", "]",
    "..", ".", "%41",
    "%", "a", "h.example", "xn--", "é", "&utm_x=1", "=", ";", " ", "\t", "\n", "data:", "javascript:", "&",
)  # fmt: skip
CHARSETS = ("utf-7", "undefined", "\xe9", "utf-16", "hz")
TYPES = st.sampled_from(["", "application/xhtml+xml", *(f"text/html; charset={name}" for name in CHARSETS)])


def storable(*values: str) -> None:
    pa.array(list(values), pa.string()).validate(full=True)


@given(documents(HTML), TYPES)
def test_any_page_is_read(content: bytes, content_type: str) -> None:
    page = extract_page(content, "http://h.example/a/", content_type)
    storable(page.title, page.language, *page.links, *(part for pair in page.metas + page.skipped for part in pair))
    for pair in page.pairs:
        storable(pair.url, pair.caption, *(part for kept in pair.texts for part in kept))
        assert (
            pair.caption in [text for _, text in pair.texts] and pair.caption.isprintable()
        ) or "\u2028" not in pair.caption


@given(documents(HTML), texts(["charset=", "utf-7", "undefined", "unicode_escape", "utf-16", "hz", "cp037", "idna"]))
def test_any_page_is_decoded_to_text_that_can_be_stored(content: bytes, content_type: str) -> None:
    storable(decode(content, content_type))


@given(texts(SET), st.integers(1, 5000))
def test_any_set_of_sources_has_one_or_none(value: str, width: int) -> None:
    found = best_of_srcset(value, width)
    assert found is None or (found and found in value and not found.startswith("data:"))


@given(texts(ADDRESS), texts(ADDRESS))
def test_any_address_is_one_or_none_and_has_one_spelling(base: str, reference: str) -> None:
    for found in (canonical(reference), picture_url(reference), Resolver("http://h.example/" + base)(reference)):
        if found is not None:
            storable(found)
            assert found.startswith(("http://", "https://")) and len(found) <= 4096
            known = canonical(found)
            assert known is None or canonical(known) == known
    assert spelling(spelling(reference)) == spelling(reference)


@given(
    documents(
        [
            *(b"<loc>", b"</loc>", b"<sitemapindex>", b"<urlset>", b"http://h/", b"&amp;", b"&#xD800;"),
            *(b"<url>", b"<image:image>", b"<image:loc>", b"<image:caption>", b"<![CDATA[", b"]]>", b"\n"),
            b"\x1f\x8b\x08\0",
        ]
    )
)
def test_any_sitemap_is_read(content: bytes) -> None:
    found = read_sitemap(content)
    for page, address, named in found.images:
        storable(spelling(page), spelling(address), *(plain(text) for _, text in named))
    for url in found.pages + found.sitemaps:
        is_sitemap_url(url)
        storable(spelling(url))


CHUNKS = (b"5\r\nhello\r\n", b"0\r\n", b"\r\n", b"f;x=", b"-1\r\n", b"_1\r\n", b"\x1f\x8b\x08\0")
CODINGS = ("", "gzip", "deflate", "br", "identity", "x\xe9")


@given(documents(CHUNKS), st.sampled_from(["", "chunked"]), st.sampled_from(CODINGS))
def test_any_stored_body_is_decoded_or_refused(body: bytes, transfer: str, coding: str) -> None:
    try:
        assert len(decode_payload(body, transfer, coding, 1000)) <= 1000
    except (BadEncodingError, BodyTooLargeError) as refused:
        storable(str(refused).encode("utf-8", "replace").decode())


@given(st.lists(st.tuples(st.sampled_from(["alt", "title"]), texts(["a dog", " ", "\n", ".jpg", "www."]))))
def test_any_texts_have_a_caption_that_can_be_stored(given_texts: list[tuple[str, str]]) -> None:
    kept, caption = choose((kind, plain(text)) for kind, text in given_texts)
    storable(caption, *(text for _, text in kept))
    assert not kept or caption in [text for _, text in kept]


@given(texts(["a dog", " ", "-", "'"]))
def test_the_normal_form_of_any_text_is_its_own(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


FORMS = (
    "dog",
    " ",
    "½",
    "²",
    "₂",
    "™",
    "№",
    "ﷺ",
    "①",
    "❶",
    "1\ufe0f\u20e3",
    "é",
    "e\u0301",
    "Σ",
    "日",
    "İ",
    "\u1100\u1161",
)
UNSEEN = (
    "\u00ad",
    "\u034f",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufe0f",
    "\ufeff",
    "\u3164",
    "\uffa0",
    "\U000e0041",
)


@given(st.lists(texts([*FORMS, *UNSEEN]).map(encodable), max_size=8))
def test_the_normal_form_of_a_column_is_that_of_each_text(given_texts: list[str]) -> None:
    data, offsets = fold_column(pa.array(given_texts, pa.string()))
    assert [data[a:b].tobytes().decode() for a, b in itertools.pairwise(offsets)] == list(map(normalize, given_texts))


@given(texts(FORMS), st.sampled_from(UNSEEN), st.integers(0))
def test_what_nobody_sees_changes_no_word(text: str, unseen: str, place: int) -> None:
    place %= len(text) + 1
    assert normalize(text[:place] + unseen + text[place:]) == normalize(text)


@given(texts(FORMS), st.sampled_from("½²①№™㎏ﷺ"), texts(FORMS))
def test_a_sign_of_its_own_leaves_its_neighbours_as_they_are(before: str, sign: str, after: str) -> None:
    assert normalize(before + sign + after) == normalize(f"{before} {sign} {after}")


SHAPES = [
    "<", "<a ", "<a b=", "<img alt='", "<img src=a alt=b>", "<!--", "<script>", "<figure>",
    "<figure><img src=a>", "&", "</p>",
    "<table>", "<p class=caption>", "<a><b>", "<svg><title>", "<base href=x", "<meta name=a content=b>",
    "<title>", "a=", "' ",
    "<div class=thumb><img src=a>", "<font x='", "data:a/", "<a href=x ", "charset=", "=", "\"", "<p>x</p>",
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_takes_time_in_proportion_to_its_length(shape: str) -> None:
    def page(size: int) -> bytes:
        return (shape * (size // len(shape) + 1)).encode()

    assert grows_linearly(lambda content: extract_page(content, "http://h.example/"), page)


PARSERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "srcset": (
        lambda text: best_of_srcset(text, 100),
        (",", " ", "a", "a,", "a 1w,", ", ", "\t,", "data:x,", "a ", "(,"),
    ),
    "canonical": (canonical, ("a", "/", "a/", "../", "%", "a.", "?", "&utm_a=1", ":", "@", "http://", "é", "\\")),
    "resolve": (
        Resolver("http://h.example/"),
        ("a", "/", "a/", "../", "%", "a.", "?", "&", "./", "é", "\\", "-/", "~"),
    ),
    "normal form": (normalize, ("a", " ", "é", "e\u0301", "İ", "\u0327\u0301", "\uac00", "ﷺ", "´", "\u0315\u0300")),
    "plain": (plain, (" ", "\0", "a", "\ud800", "\n")),
    "choose": (lambda text: choose([("alt", text)]), ("a", " ", ".", "www.", "http://", "a.jpg", "1")),
    "sitemap": (
        lambda text: read_sitemap(text.encode()),
        (
            *("<loc>", "<", "<a:loc>", " ", "<loc> ", "a", "<loc>a</loc>", "<loc><![CDATA[", "<url>", "]"),
            *("<image:image>", "<image:loc>", "http://h\n"),
        ),
    ),
    "chunks": (
        lambda text: decode_payload(text.encode(), "chunked", "", 10**9),
        ("1\na\n", "1\n", "\n", "f", "0;\n", ";"),
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_time_in_proportion_to_its_input(name: str) -> None:
    parse, shapes = PARSERS[name]

    def tried(text: str) -> None:
        with contextlib.suppress(BadEncodingError, BodyTooLargeError):
            parse(text)

    slow = [
        shape for shape in shapes if not grows_linearly(tried, lambda size, shape=shape: shape * (size // len(shape)))
    ]  # type: ignore[misc]
    assert slow == []
