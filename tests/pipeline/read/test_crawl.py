"""Rounds of a crawl on a site on loopback: what is asked, what comes out, and that it comes out the same twice."""

import dataclasses
import gzip
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from pipeline.net.client import Memory
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import RoundResult, crawl_bucket
from pipeline.read.frontier import admit, seed_frontier
from pipeline.tables.schema import CANDIDATES, FRONTIER, PAGES, REJECTS

PAGES_OF_SITE: dict[str, Any] = {
    "/robots.txt": ("text/plain", b"User-agent: *\nDisallow: /private\nSitemap: /sitemap.xml\n"),
    "/": "<a href=/a.html>a</a><a href=/b.html#x>b</a><a href=/private/p.html>p</a><a href=http://10.0.0.1/>out</a>"
    "<img src=0.jpg alt='the front page'>",
    "/a.html": "<img src=1.jpg alt='a first dog'><img src=icon.png><a href=/c.html>c</a><a href=/gone.html>g</a>"
    "<a href=/>home</a>",
    "/b.html": "<meta name=robots content='noai, nofollow'><img src=2.jpg alt='a second dog'>"
    "<a href=/hidden.html>h</a>",
    "/c.html": "<img src=3.jpg alt='a third dog'><a href=/moved.html>m</a><a href=/file.zip>z</a>"
    "<a href=/download>d</a><a href=/other.html>o</a>",
    "/moved.html": ("location", b"/a.html?again"),
    "/a.html?again": "<img src=1.jpg alt='a first dog'>",
    "/file.zip": ("application/zip", b"PK"),
    "/download": ("application/zip", b"PK"),
    "/other.html": ("location", b"http://127.0.0.2:9/x.html"),
    "/hidden.html": "<img src=4.jpg alt='never seen'>",
    "/private/p.html": "<img src=5.jpg alt='never asked for'>",
    "/sitemap.xml": ("application/xml", b"<urlset><url><loc>HOST/map.html</loc></url></urlset>"),
    "/map.html": "<img src=6.jpg alt='found by the map'>",
}


def crawl(origin: str, http: HttpConfig, **options: Any) -> tuple[list[RoundResult], list[int]]:
    extract = ExtractConfig(seeds=(origin,), **options)
    frontier, seen, results, sizes = seed_frontier(extract), set(), [], []
    memory = Memory()
    while frontier.num_rows:
        seen |= set(frontier.column("url").to_pylist())
        sizes.append(frontier.num_rows)
        results.append(crawl_bucket(frontier, http, extract, memory=memory))
        frontier = admit(results[-1].links, seen, extract, asked=len(seen))
    return results, sizes


def statuses(results: list[RoundResult], origin: str) -> dict[str, str]:
    rows = [row for result in results for row in result.pages.to_pylist()]
    return {row["url"].removeprefix(origin): row["status"] for row in rows}


def captions(results: list[RoundResult]) -> list[str]:
    return [row["caption"] for result in results for batch in result.candidates for row in batch.to_pylist()]


def test_a_crawl_goes_breadth_first_and_obeys(site: Any, quick: HttpConfig) -> None:
    serve, log = site
    origin = serve(PAGES_OF_SITE)
    results, sizes = crawl(origin, quick)
    assert sizes == [1, 3, 2, 3]
    assert statuses(results, origin) == {
        "/": "success",
        "/a.html": "success",
        "/b.html": "refused_by_meta_robots",
        "/private/p.html": "refused_by_robots_txt",
        "/c.html": "success",
        "/gone.html": "http_404",
        "/moved.html": "success",
        "/download": "wrong_type",
        "/other.html": "other_host",
    }
    assert captions(results) == ["the front page", "a first dog", "a third dog", "a first dog"]
    assert not [path for path in log if path.startswith(("/private", "/hidden", "/sitemap", "/file.zip"))]
    assert Counter(log).most_common(1)[0][1] == 1
    for result in results:
        assert result.links.schema == FRONTIER
        assert result.pages.schema == PAGES
        assert {batch.schema for batch in result.candidates} <= {CANDIDATES}
        assert {batch.schema for batch in result.rejects} <= {REJECTS}
    rejects = [row for result in results for batch in result.rejects for row in batch.to_pylist()]
    reasons = sorted((row["subject"], row["reason"]) for row in rejects)
    assert reasons == [
        ("image", "no_text"),
        ("page", "http_404"),
        ("page", "refused_by_meta_robots"),
        ("page", "refused_by_robots_txt"),
        ("page", "wrong_type"),
    ]


def test_rows_say_where_they_come_from(site: Any, quick: HttpConfig) -> None:
    serve, _ = site
    origin = serve({"/": "<html lang=en><title>T</title><img src=1.jpg alt='a first dog' width=64>"})
    (result,), _ = crawl(origin, quick)
    (row,) = result.candidates[0].to_pylist()
    assert row["pair_id"] > 0
    assert {name: row[name] for name in row if name != "pair_id"} == {
        "url": f"{origin}/1.jpg",
        "caption": "a first dog",
        "texts": [{"kind": "alt", "text": "a first dog"}],
        "page_url": f"{origin}/",
        "source": "pages",
        "declared_width": 64,
        "declared_height": None,
        "page_language": "en",
        "consent": "allowed",
        "consent_evidence": "robots.txt: none; tdmrep.json: none; ai.txt: none; headers: no refusal; meta: no refusal",
        "columns": None,
    }
    (page,) = result.pages.to_pylist()
    assert (page["title"], page["images"], page["pairs"], page["http_status"]) == ("T", 1, 1, 200)


def test_the_same_site_gives_the_same_bytes(site: Any, quick: HttpConfig) -> None:
    serve, _ = site
    many = {
        f"/{number}": f"<img src={number}.jpg alt='dog number {number}'><a href=/{number + 1}>n</a>"
        for number in range(40)
    }
    origin = serve(PAGES_OF_SITE | many | {"/": "".join(f"<a href=/{number}>x</a>" for number in range(40))})

    def serialized(result: RoundResult) -> bytes:
        sink = pa.BufferOutputStream()
        for table in (
            result.links,
            result.pages,
            *(pa.Table.from_batches([b]) for b in result.candidates + result.rejects),
        ):
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        return bytes(sink.getvalue())

    runs = []
    for per_host in (1, 8):
        results, _ = crawl(origin, dataclasses.replace(quick, concurrency_per_host=per_host))
        runs.append([serialized(result) for result in results])
    assert len(runs[0]) == 3
    assert runs[0] == runs[1]


def test_sitemaps_are_followed_when_asked(site: Any, quick: HttpConfig) -> None:
    serve, _ = site
    pages = dict(PAGES_OF_SITE)
    origin = serve(pages)
    kind, body = pages["/sitemap.xml"]
    pages["/sitemap.xml"] = (kind, body.replace(b"HOST", origin.encode()))
    pages["/robots.txt"] = ("text/plain", f"Sitemap: {origin}/sitemap.xml".encode())
    results, _ = crawl(origin, quick, sitemaps=True, depth=1)
    assert statuses(results, origin)["/sitemap.xml"] == "sitemap"
    assert "found by the map" in captions(results)


def test_sitemaps_of_any_name_give_pages_and_pictures(site: Any, quick: HttpConfig) -> None:
    serve, log = site
    pages: dict[str, Any] = {"/map.html": "<img src=6.jpg alt='found by the map'>", "/text.html": "<p>found by lines"}
    origin = serve(pages)
    index = f"<sitemapindex><sitemap><loc>{origin}/children?page=1</loc></sitemap></sitemapindex>"
    child = (
        f"<urlset><url><loc><![CDATA[{origin}/map.html]]></loc><image:image><image:loc>{origin}/7.jpg?a=%2F</image:loc>"
        "<image:caption><![CDATA[a <b>deer</b> of the map]]></image:caption></image:image></url></urlset>"
    )
    pages["/sitemap.xml"] = ("text/xml", index.encode())
    pages["/children?page=1"] = ("application/xml", gzip.compress(child.encode()))
    pages["/feed"] = ("application/xml", b"<rss><loc>http://h/</loc></rss>")
    pages["/sitemap.txt"] = ("text/plain", f"{origin}/text.html\n{origin}/paper.pdf\n{origin}/feed\n".encode())
    results, _ = crawl(f"{origin}/sitemap.xml", quick, depth=1)
    assert statuses(results, origin) == {
        "/sitemap.xml": "sitemap",
        "/children?page=1": "sitemap",
        "/map.html": "success",
    }
    rows = [row for result in results for batch in result.candidates for row in batch.to_pylist()]
    assert [(row["url"], row["page_url"], row["caption"]) for row in rows] == [
        (f"{origin}/7.jpg?a=%2F", f"{origin}/map.html", "a deer of the map"),
        (f"{origin}/6.jpg", f"{origin}/map.html", "found by the map"),
    ]
    results, _ = crawl(f"{origin}/sitemap.txt", quick, depth=1)
    assert statuses(results, origin) == {"/sitemap.txt": "sitemap", "/text.html": "success", "/feed": "wrong_type"}
    assert "/paper.pdf" not in log
    pages["/robots.txt"] = ("text/plain", f"Sitemap: {origin}/addresses.txt".encode())
    pages["/addresses.txt"], pages["/"] = pages["/sitemap.txt"], "<p>home"
    results, _ = crawl(origin, quick, depth=1, sitemaps=True)
    assert statuses(results, origin)["/text.html"] == "success"


def test_where_a_page_says_it_is_and_sends_on(site: Any, quick: HttpConfig) -> None:
    serve, _ = site
    origin = serve(
        {
            "/": "<meta http-equiv=refresh content='0;url=/start?s=1'>",
            "/start?s=1": "<link rel=canonical href=/start><img src=1.jpg alt='one dog here'><a href=/x>x</a>",
            "/x": "<link rel=canonical href=http://elsewhere.example/><img src=2.jpg alt='two dogs here'>",
        }
    )
    results, sizes = crawl(origin, quick, depth=1)
    rows = [row for result in results for batch in result.candidates for row in batch.to_pylist()]
    assert [(row["page_url"], row["caption"]) for row in rows] == [
        (f"{origin}/start", "one dog here"),
        (f"{origin}/x", "two dogs here"),
    ]
    assert sizes == [1, 1, 1]


def test_two_addresses_of_one_page_give_its_pairs_once(site: Any, quick: HttpConfig) -> None:
    serve, _ = site
    origin = serve(
        {"/": "<a href=/x>x</a><a href=/y>y</a>", "/x": ("location", b"/y"), "/y": "<img src=1.jpg alt='one dog'>"}
    )
    results, _ = crawl(origin, quick)
    assert statuses(results, origin) == {"/": "success", "/x": "success", "/y": "same_page"}
    assert captions(results) == ["one dog"]


@pytest.mark.parametrize(
    ("option", "pages"), [({"depth": 0}, 1), ({"max_pages": 3}, 3), ({"max_pages_per_host": 2}, 3)]
)
def test_budgets(option: dict[str, int], pages: int, site: Any, quick: HttpConfig) -> None:
    serve, log = site
    origin = serve(PAGES_OF_SITE | {"/robots.txt": 404})
    _, sizes = crawl(origin, quick, **({"depth": 1} | option))
    assert sum(sizes) == pages
    assert len([path for path in log if path.endswith((".html", "/"))]) == pages
