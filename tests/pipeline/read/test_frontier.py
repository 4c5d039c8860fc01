"""Admission of links to the next round: scope, depth, budgets, order."""

import dataclasses
import gzip
import random

import pytest

from pipeline.read.config import ExtractConfig
from pipeline.read.frontier import ScopeRules, admit, frontier_table, seed_frontier
from pipeline.read.links import may_be_page
from pipeline.read.sitemap import Sitemap, is_sitemap, is_sitemap_url, read_sitemap
from webimagetext.errors import UserError

CONFIG = ExtractConfig(seeds=("https://www.example.org/blog/index.html",), depth=2)


def test_seeds() -> None:
    config = ExtractConfig(seeds=("b.org", "https://a.org/x#y", "https://B.org/"))
    assert seed_frontier(config).to_pylist() == [
        {"url": "https://a.org/x", "host": "a.org", "depth": 0},
        {"url": "https://b.org/", "host": "b.org", "depth": 0},
    ]


@pytest.mark.parametrize("seeds", [(), ("",), ("ftp://x",), ("two words",)])
def test_bad_seeds_are_named(seeds: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="seed"):
        seed_frontier(ExtractConfig(seeds=seeds))


@pytest.mark.parametrize(
    ("scope", "within"),
    [("prefix", 1), ("host", 3), ("domain", 4), ("any", 5)],
)
def test_scopes(scope: str, within: int) -> None:
    urls = [
        "https://www.example.org/blog/2",
        "https://www.example.org/",
        "https://example.org/",
        "https://shop.example.org/",
    ]
    rules = ScopeRules(dataclasses.replace(CONFIG, scope=scope))  # type: ignore[arg-type]
    assert [rules(url) for url in [*urls, "https://notexample.org/"]] == [True] * within + [False] * (5 - within)


def test_patterns() -> None:
    rules = ScopeRules(dataclasses.replace(CONFIG, include=("/blog/*",), exclude=("*.pdf$", "*?print=")))
    paths = ["blog/a", "blog/a.pdf", "blog/a?print=1", "shop"]
    assert [rules(f"https://www.example.org/{path}") for path in paths] == [True, False, False, False]
    with pytest.raises(UserError, match="pattern"):
        ExtractConfig(include=("blog",))


def test_admission_depends_on_nothing_but_its_input() -> None:
    rows = [(f"https://www.example.org/{number:02}", number % 4) for number in range(40)]
    rows += [("https://other.org/", 1), ("https://www.example.org/01", 2)]
    seen = {"https://www.example.org/05"}
    tables = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        links = frontier_table({}.items())
        links = type(links).from_pylist([{"url": u, "host": "x", "depth": d} for u, d in rows], schema=links.schema)
        tables.append(admit(links, seen, dataclasses.replace(CONFIG, max_pages=30), asked=10))
    assert tables[0].equals(tables[1])
    assert tables[1].equals(tables[2])
    urls, depths = tables[0].column("url").to_pylist(), tables[0].column("depth").to_pylist()
    assert (len(urls), depths) == (20, [0] * 10 + [1] * 9 + [2])
    assert urls[10] == "https://www.example.org/01"
    assert not seen & set(urls)


def test_the_budget_of_a_host_counts_what_was_asked() -> None:
    links = frontier_table([(f"https://www.example.org/{number}", 1) for number in range(9)])
    config = dataclasses.replace(CONFIG, max_pages_per_host=5)
    assert admit(links, (), config, asked_by_host={"www.example.org": 3}).num_rows == 2


def test_a_site_is_the_same_with_www_and_without() -> None:
    rules = ScopeRules(ExtractConfig(seeds=("http://example.org/blog/",), scope="prefix"))
    assert rules("https://www.example.org/blog/1")
    assert not rules("https://www.example.org/shop")
    assert not ScopeRules(ExtractConfig(seeds=("example.org",), scope="host"))("https://shop.example.org/")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", True),
        ("/", True),
        ("/a/b.html?x=y.pdf", True),
        ("/wiki/File:Deer.jpg", True),
        ("/deer.jpg", False),
        ("/a.b/paper.PDF", False),
        ("/code/run.py?x=1", False),
        ("/v1.2.zip", False),
        ("/v1.2/", True),
        ("/a/b/a/c/a/d/a/", False),
        ("/a/a/b/a/", True),
        ("/x?f=1&f=2&f=3&f=4", False),
        ("/" + "/".join(map(str, range(25))), False),
        ("/x?" + "&".join(f"p{number}=" for number in range(13)), False),
        ("/" + "x" * 1100, False),
    ],
)
def test_links_worth_a_request(path: str, asked: bool) -> None:
    assert may_be_page(f"https://example.org{path}") == asked


def test_sitemaps() -> None:
    pages = (
        b"<?xml version='1.0'?><urlset><url><loc> http://h/a?b=1&amp;c=2 </loc></url><url><loc>http://h/d</loc></url>"
        b"<url><n:loc><![CDATA[http://h/e?f&g]]></n:loc></url></urlset>"
    )
    expected = Sitemap(["http://h/a?b=1&c=2", "http://h/d", "http://h/e?f&g"])
    assert read_sitemap(pages) == read_sitemap(gzip.compress(pages)) == expected
    index = b"<sitemapindex><sitemap><loc>http://h/children?page=2</loc></sitemap></sitemapindex>"
    assert read_sitemap(index) == Sitemap(sitemaps=["http://h/children?page=2"])
    assert is_sitemap(gzip.compress(pages)) and is_sitemap(index)
    assert not is_sitemap(b"<rss><channel></channel></rss>")
    assert read_sitemap(b"\x1f\x8bnot gzip") == Sitemap()
    names = {"sitemap": True, "s.xml.gz?x": True, "page.html": False}
    assert {name: is_sitemap_url(f"http://h/{name}") for name in names} == names


def test_sitemaps_as_text() -> None:
    assert read_sitemap(b"\xef\xbb\xbfhttp://h/1\r\n\n http://h/2 \n").pages == ["http://h/1", "http://h/2"]
    assert read_sitemap(b"A page about\nhttp://h/1\nand more words\n") == Sitemap()


def test_pictures_of_sitemaps() -> None:
    content = (
        b"<urlset><url><loc>http://h/p</loc><image:image><image:loc>http://h/1.jpg</image:loc><image:caption>"
        b"<![CDATA[a roe deer & <b>her fawn</b>]]></image:caption><image:title>two &amp; more</image:title>"
        b"</image:image>"
        b"<image:image><image:loc>http://h/2.jpg</image:loc></image:image></url>"
        b"<url><image:image><image:title>a hare</image:title><image:loc>http://h/3.jpg</image:loc></image:image>"
        b"<loc>http://h/q</loc></url></urlset>"
    )
    texts = [("sitemap:caption", "a roe deer & <b>her fawn</b>"), ("sitemap:title", "two & more")]
    assert read_sitemap(content) == Sitemap(
        ["http://h/p", "http://h/q"],
        images=[
            ("http://h/p", "http://h/1.jpg", texts),
            ("http://h/q", "http://h/3.jpg", [("sitemap:title", "a hare")]),
        ],
    )
