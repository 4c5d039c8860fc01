"""Pairs of pages: where addresses and texts come from, the choice of the caption, links, signals, hostile markup."""

import time
from pathlib import Path

import pytest

from pipeline.read.charset import decode
from pipeline.read.choose import choose
from pipeline.read.markup import parse
from pipeline.read.pages import Page, extract_page
from pipeline.read.srcset import best_of_srcset

BASE = "http://example.org/a/page.html"
MEDIAWIKI = (
    "<div class='thumb tright'><div class=thumbinner><a><img src=x></a>"
    "<div class=thumbcaption>A dog runs</div></div></div>"
)


def pairs(html: str, **options: int) -> list[tuple[str, str]]:
    return [(pair.url, pair.caption) for pair in extract_page(html.encode(), BASE, **options).pairs]


@pytest.mark.parametrize(
    ("html", "url"),
    [
        ("<img src=x.jpg alt=dog>", "http://example.org/a/x.jpg"),
        ("<img src=/x.jpg alt=dog>", "http://example.org/x.jpg"),
        ("<img src=//cdn.org/x.jpg alt=dog>", "http://cdn.org/x.jpg"),
        ("<img src='../x y.jpg#top' alt=dog>", "http://example.org/x%20y.jpg"),
        ("<base href=http://other.org/b/><img src=x.jpg alt=dog>", "http://other.org/b/x.jpg"),
        ("<base href=/c/><img src=x.jpg alt=dog>", "http://example.org/c/x.jpg"),
        ("<img src='data:image/gif;base64,R0' data-src=lazy.jpg alt=dog>", "http://example.org/a/lazy.jpg"),
        ("<img src=grey.gif data-original=lazy.png alt=dog>", "http://example.org/a/lazy.png"),
        ("<img src=x.jpg data-url=42 alt=dog>", "http://example.org/a/x.jpg"),
        ("<img src=s.jpg srcset='m.jpg 800w, l.jpg 1600w, xl.jpg 3200w' alt=dog>", "http://example.org/a/l.jpg"),
        ("<img src=s.jpg srcset='m.jpg, l.jpg 2x' alt=dog>", "http://example.org/a/l.jpg"),
        ("<picture><source srcset='w.webp 900w'><img src=x.jpg alt=dog></picture>", "http://example.org/a/w.webp"),
        ("<meta property=og:image content=/og.jpg><meta property=og:title content=dog>", "http://example.org/og.jpg"),
    ],
)
def test_addresses(html: str, url: str) -> None:
    assert pairs(html) == [(url, "dog")]


@pytest.mark.parametrize(
    ("html", "kinds", "caption"),
    [
        ("<img src=x alt='a dog runs' title=t>", ["alt", "title"], "a dog runs"),
        ("<img src=x alt=dog title='a dog runs'>", ["alt", "title"], "a dog runs"),
        ("<img src=x alt=dog title='my dog'>", ["alt", "title"], "my dog"),
        ("<img src=x alt=dog title=hound>", ["alt", "title"], "dog"),
        ("<img src=x alt=dog aria-label='a dog runs'>", ["alt", "aria-label"], "a dog runs"),
        (
            "<figure><a><img src=x alt=''></a><figcaption>A <b>dog</b>\n runs</figcaption></figure>",
            ["figcaption"],
            "A dog runs",
        ),
        ("<a title='the dog runs'><img src=x alt=dog></a>", ["alt", "link_title"], "the dog runs"),
        ("<img src=x alt=IMG_1234.jpg title='a dog runs'>", ["title"], "a dog runs"),
        (
            "<div class=figure><p class=title>Figure 1. Dog</p><div><img src=x></div></div>",
            ["caption"],
            "Figure 1. Dog",
        ),
        (MEDIAWIKI, ["caption"], "A dog runs"),
        (
            "<div class=wp-caption><img src=x alt=dog><p class=wp-caption-text>A dog runs</p></div>",
            ["alt", "caption"],
            "A dog runs",
        ),
        ("<p><img src=x> <span class=caption>A dog runs</span></p>", ["caption"], "A dog runs"),
    ],
)
def test_texts_and_the_choice_among_them(html: str, kinds: list[str], caption: str) -> None:
    (pair,) = extract_page(html.encode(), BASE).pairs
    assert [kind for kind, _ in pair.texts] == kinds
    assert pair.caption == caption


def test_a_caption_of_many_images_is_nobodys() -> None:
    images = "".join(f"<img src={number}.jpg>" for number in range(5))
    assert pairs(f"<div class=figure><p class=caption>Five dogs together</p>{images}</div>") == []


def test_images_that_make_no_pair_are_named() -> None:
    page = extract_page(b"<img src=x.jpg><img alt=y><img src='data:,z' alt=z><img src='http://[bad' alt=w>", BASE)
    reasons = ["no_text", "no_address", "data_uri", "bad_url"]
    assert (page.pairs, [reason for _, reason in page.skipped]) == ([], reasons)
    assert page.skipped[0][0] == "http://example.org/a/x.jpg"


def test_drawings_in_svg_are_not_asked_for() -> None:
    page = extract_page(b"<img src=a.svg alt=y><img src='/b.svgz?v=1' alt=z><img src='a.svg.png?of=b.svg' alt=w>", BASE)
    assert [(pair.url, pair.caption) for pair in page.pairs] == [("http://example.org/a/a.svg.png?of=b.svg", "w")]
    assert page.skipped == [("a.svg", "vector_picture"), ("/b.svgz?v=1", "vector_picture")]
    page = extract_page(b"<meta property=og:image content=/c.svg><meta property=og:title content='a dog'>", BASE)
    assert (page.pairs, page.skipped) == ([], [("/c.svg", "vector_picture")])


def test_equal_pairs_are_one() -> None:
    assert len(pairs("<img src=x alt=dog><noscript><img src=x alt=dog></noscript><img src=x alt=cat>")) == 2


def test_declared_sizes() -> None:
    (pair,) = extract_page(b"<img src=x alt=dog width='640px' height='75%'>", BASE).pairs
    assert (pair.width, pair.height) == (640, None)


def test_the_head() -> None:
    page = extract_page(b"<html lang=EN-us><title> A \n page </title><meta name=Robots content=NoAI>", BASE)
    assert (page.language, page.title, page.metas) == ("en-us", "A page", [("robots", "NoAI")])


def test_links() -> None:
    html = "<a href=b.html#x>1</a><a href=b.html>2</a><a href=/c rel=nofollow>3</a><area href=//k/d>"
    html += "<a href=mailto:x>4</a><a href>"
    assert extract_page(html.encode(), BASE).links == ["http://example.org/a/b.html", "http://k/d"]
    assert extract_page(html.encode(), BASE, links=False).links == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("käse".encode(), ""),
        ("käse".encode("cp1252"), ""),
        ("käse".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        (b"<meta charset='windows-1252'>" + "käse".encode("cp1252"), "text/html"),
        (b"\xff\xfe" + "käse".encode("utf-16-le"), "text/html"),
        (b"\xef\xbb\xbf" + "käse".encode(), "text/html; charset=latin1"),
        ("käse".encode(), "text/html; charset=nonsense"),
        ("käse".encode(), "text/html; charset=base64"),
    ],
)
def test_character_sets(content: bytes, content_type: str) -> None:
    assert decode(content, content_type).endswith("käse")


def test_an_empty_script_of_xhtml_does_not_swallow_the_page() -> None:
    html = b"<html><head><script src='a.js'/></head><body><img src='x' alt='dog'/></body></html>"
    assert len(extract_page(html, BASE, "application/xhtml+xml").pairs) == 1


def test_srcsets() -> None:
    assert best_of_srcset("a,b.jpg 100w,c.jpg 50w", 1000) == "a,b.jpg"
    assert best_of_srcset("data:image/png;base64,aa== 1w, z.png 2w", 1) == "z.png"
    assert best_of_srcset(" , ,", 1) is None


def test_the_choice_rule() -> None:
    texts = [
        ("alt", "www.example.org"),
        ("a", "1234"),
        ("b", "two words"),
        ("c", "just three words"),
        ("d", "four words are here"),
    ]
    assert choose(texts) == (texts[2:], "just three words")
    assert choose([("alt", "x.png")]) == ([], "")


HOSTILE = {
    "nested blocks": "<div>" * 100_000 + "<p>x" * 100_000,
    "formatting": "".join(f"<b id={number}>" for number in range(60_000)) + "<p>x" * 60_000,
    "nested lists": "<ul><li>" * 100_000,
    "attributes": "<img " + " ".join(f"a{number}=1" for number in range(300_000)) + ">",
    "attributes with quotes": "<img " + " ".join(f'a{number}="1>"' for number in range(200_000)) + ">",
    "unclosed quotes": '<img alt="' * 200_000,
    "unclosed comments": "<!--" * 300_000,
    "unclosed scripts": "<script" * 100_000 + "<script>" * 100_000,
    "angle brackets": "<" * 500_000,
    "figures": "<figure><figcaption>" * 10_000 + "<img src=a>" + "text " * 100_000,
    "captions": "<div class=figure><img src=a>" * 5_000 + "text " * 100_000,
    "links": "".join(f"<a href=/{number}/..//../x>" for number in range(100_000)),
    "sets": '<img alt=x src=y srcset="' + "a 1w," * 300_000 + '">',
    "white space": "<img src=x alt='" + " " * 2_000_000 + "x'>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_markup_takes_linear_time(name: str) -> None:
    began = time.thread_time()
    page = extract_page(HOSTILE[name].encode(), BASE)
    assert len(page.links) <= 5_000
    # Seconds for at most two megabytes; the quadratic ways took minutes.
    assert time.thread_time() - began < 30


def test_a_huge_page_is_read_in_pieces_without_its_scripts() -> None:
    script = (
        "<script>document.write(\"<img src=bad.jpg alt='not an image'>\")</script><!-- <img src=c.jpg alt=comment> -->"
    )
    html = "".join(f"<p>{script}<img src={number}.jpg alt='dog number {number}'></p>" for number in range(6_000))
    assert len(parse(html)) > 1
    page = extract_page(html.encode(), BASE)
    assert [pair.caption for pair in page.pairs] == [f"dog number {number}" for number in range(5_000)]


def test_a_huge_page_keeps_its_title_and_what_it_says_of_its_images() -> None:
    data = '{"@type": "ImageObject", "contentUrl": "d.jpg", "caption": "a dog of the data"}'
    head = f"<TITLE>Dogs</TITLE><script type='application/ld+json'>{data}</script><script>'<title>no</title>'</script>"
    page = extract_page((head + "<p>text" * 50_000).encode(), BASE)
    assert page.title == "Dogs"
    assert [(pair.url, pair.caption) for pair in page.pairs] == [("http://example.org/a/d.jpg", "a dog of the data")]


def test_a_long_data_uri_is_no_hostile_tag() -> None:
    html = f"<img src=x.jpg alt='a dog' data-thumb='data:image/png;base64,{'ab/' * 100_000}'>"
    assert pairs(html) == [("http://example.org/a/x.jpg", "a dog")]


def test_a_real_book_gives_every_picture_its_text(shared_data: Path) -> None:
    folder = shared_data / "sites" / "standardebooks_potter" / "text"
    pages: list[Page] = []
    for path in sorted(folder.glob("*.xhtml")):
        pages.append(extract_page(path.read_bytes(), f"http://h/text/{path.name}", "application/xhtml+xml"))
    images = sum(path.read_text(encoding="utf-8").count("<img ") for path in folder.glob("*.xhtml"))
    found = [pair for page in pages for pair in page.pairs]
    assert len(found) + sum(len(page.skipped) for page in pages) == images
    drawings = [reason for page in pages for _, reason in page.skipped]
    assert len(found) > 400 and set(drawings) == {"vector_picture"} and len(drawings) > 100
    assert all(pair.url.startswith("http://h/images/") for pair in found)


GERMAN = "Die alte Brücke führt über den Fluss, und am Abend gehen dort die Leute aus der Stadt spazieren. "
ENGLISH = "The old bridge leads across the river, and in the evening people from the town walk there. "


@pytest.mark.parametrize(
    ("declared", "body", "language"),
    [
        ("en", f"<p>{GERMAN}</p><p>{GERMAN}</p>", "de"),
        ("", f"<p>{ENGLISH}</p><p>{GERMAN[:20]}</p>", "en"),
        ("fr-CA", "<p>Un pont</p>", "fr-ca"),  # too little to say
        ("de", f"<ul><li>{ENGLISH}</li><li>{ENGLISH}</li></ul><p>1</p>", "en"),
        ("de", f"<div>{ENGLISH * 3}</div>", "de"),  # no sentences where they are looked for
        ("", f"<p>{GERMAN * 2}</p><p>{ENGLISH * 20}</p>", "de"),
        ("", f"<p>{ENGLISH * 8}</p><p>{GERMAN * 20}</p>", "en"),  # the first sentences count
    ],
)
def test_the_language_of_a_page_is_that_of_its_text(declared: str, body: str, language: str) -> None:
    html = f'<html lang="{declared}"><body>{body}<img src="a.jpg" alt="a bridge at night"></body></html>'
    page = extract_page(html.encode(), "http://h.example/", "text/html; charset=utf-8")
    assert page.language == language and len(page.pairs) == 1
