"""robots.txt: the examples of RFC 9309, the shapes seen in the wild, hostile patterns, and 4,200 real files."""

import json
import tarfile
import time
from pathlib import Path

import pytest
from protego import Protego

from pipeline.net.robots import RobotsFile, matches, parse_robots, percent_normal
from pipeline.net.usage import AI_CRAWLERS

RFC = b"""
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("anybot", "/x.gif", False),
        ("anybot", "/x.gif?y", True),
        ("anybot", "/example/a", False),
        ("anybot", "/publications/", True),
        ("foobot", "/a", False),
        ("FooBot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("barbot", "/example/other.html", True),
        ("quxbot", "/example/page.html", True),
        ("foobot", "/robots.txt", True),
    ],
)
def test_the_examples_of_the_rfc(agent: str, path: str, allowed: bool) -> None:
    assert parse_robots(RFC).verdict(agent, path)[0] is allowed


@pytest.mark.parametrize(
    ("content", "path", "allowed"),
    [
        (b"\xef\xbb\xbfUser-agent: *\nDisallow: /", "/", False),  # a byte order mark
        (b"User-agent: *\rDisallow: /a\rAllow: /a/b", "/a/b", True),  # old line ends; the longer rule
        (b"User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),  # of equal length the one that allows
        (b"User-agent: *\nDisallow: /%7Ejoe/", "/~joe/", False),
        (b"User-agent: *\nDisallow: /~joe/", "/%7ejoe/", False),
        (b"User-agent: *\nDisallow: /a%2Fb", "/a/b", True),  # an encoded slash is another character
        ("User-agent: *\nDisallow: /käse".encode(), "/k%C3%A4se", False),
        (b"User-agent: *\nDisallow:", "/", True),
        (b"Disallow: /", "/", True),  # a rule of no group
        (b"User-agent: *\nDisallow /x", "/x", False),  # no colon
        (b"useragent: *\ndissalow: /x", "/x", False),
        (b"User-agent: * # all\nDisallow: /x # here", "/x", False),
        (b"User-agent: a\nCrawl-delay: 5\nUser-agent: *\nDisallow: /", "/", False),
        (b"User-agent: *\nSitemap: http://h/s\nDisallow: /", "/", False),
        (b"User-agent: webimagetext/2.0\nDisallow: /", "/", False),
        (b"User-agent: web\nDisallow: /", "/", True),  # another agent, though its name begins alike
        (b"User-agent: *\nDisallow: /\n\nUser-agent: webimagetext\nAllow: /", "/", True),
        (b"User-agent: webimagetext\nDisallow: /a\n\nUser-agent: webimagetext\nDisallow: /b", "/a", False),
        (b"User-agent: *\nDisallow: private", "/private", False),  # no slash in front
        (b"\x00\xff\xfe junk\nUser-agent: *\nDisallow: /x", "/x", False),
    ],
)
def test_shapes_seen_in_the_wild(content: bytes, path: str, allowed: bool) -> None:
    assert parse_robots(content).verdict("webimagetext", path)[0] is allowed


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a*b", "/axxb", True),
        ("/a*b$", "/abxb", True),
        ("/a*b$", "/abx", False),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("*.gif", "/x/y.gif?z", True),
        ("/*", "/", True),
        ("/a*a*a", "/aa", False),
        ("/ab*ba$", "/aba", False),
        ("$", "/", False),
        ("/a$b", "/a$b", True),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def test_delays_and_sitemaps() -> None:
    content = (
        b"Sitemap: http://h/s.xml\nUser-agent: *\nCrawl-delay: 2.5 # s\nUser-agent: b\nCrawl-delay: x\nDisallow: /p"
    )
    robots = parse_robots(content)
    assert (robots.delay("any"), robots.sitemaps) == (2.5, ("http://h/s.xml",))
    assert parse_robots(b"User-agent: *\nCrawl-delay: -1").delay("any") is None
    assert parse_robots(b"User-agent: *\nCrawl-delay: inf").delay("any") is None


@pytest.mark.parametrize(
    ("lines", "path", "line"),
    [
        (
            "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /",
            "/x",
            "Content-Signal: search=yes, ai-train=no",
        ),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=yes\nDisallow: /no", "/x", ""),
        ("Content-Usage: train-ai=n", "/x", "Content-Usage: train-ai=n"),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /free/ train-ai=y", "/free/x", ""),
        (
            "User-agent: *\nContent-Usage: train-ai=y\nContent-Usage: /own/* train-ai=n",
            "/own/x",
            "Content-Usage: /own/* train-ai=n",
        ),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Signal: ai-train=yes", "/x", "Content-Usage: train-ai=n"),
        ("User-agent: other\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/x", ""),
        ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: bot\nAllow: /", "/x", ""),
        ("User-agent: *\nDisallow: /x\nContent-Signal: ai-train=no", "/x", "Disallow: /x"),
        ("User-agent: *\nContent-Signal: search=no", "/x", ""),
    ],
)
def test_what_a_site_says_of_training(lines: str, path: str, line: str) -> None:
    robots = parse_robots(lines.encode())
    for each in (robots, RobotsFile.of_told(json.loads(json.dumps(robots.only("bot").told())))):
        allowed, why = each.verdict("bot", path)
        assert (allowed, "" if allowed else why) == (not line, line)


def test_what_is_said_to_crawlers_that_gather_for_ai() -> None:
    lines = (
        "User-agent: *\nAllow: /\n\nUser-agent: GPTBot\nUser-agent: Google-Extended\nDisallow: /art/\n\n"
        "User-agent: CCBot/2.0\nAllow: /\n\nUser-agent: other\nDisallow: /"
    )
    robots = parse_robots(lines.encode())
    for each in (robots, RobotsFile.of_told(json.loads(json.dumps(robots.only("us").told())))):
        assert each.verdict("us", "/art/x")[0]
        assert each.refusal_to(AI_CRAWLERS, "/art/x") == "Disallow: /art/ (said to google-extended)"
        assert each.refusal_to(AI_CRAWLERS, "/text/x") == each.refusal_to((), "/art/x") == ""
        assert each.refusal_to(("ccbot",), "/art/x") == each.refusal_to(("bytespider",), "/art/x") == ""
    assert all(
        name == name.lower() and parse_robots(f"User-agent: {name}\nDisallow: /".encode()).refusal_to((name,), "/")
        for name in AI_CRAWLERS
    )
    assert sorted(set(AI_CRAWLERS)) == list(AI_CRAWLERS)


def test_a_long_file_is_cut_at_a_line() -> None:
    head = b"User-agent: *\nDisallow: /a\n"
    content = head + b"#" * (512_000 - len(head) - 12) + b"\nDisallow: /bcd\nDisallow: /e\n"
    robots = parse_robots(content)
    assert [robots.verdict("x", path)[0] for path in ("/a", "/bcd", "/b", "/e")] == [False, True, True, True]


def test_hostile_patterns_take_linear_time() -> None:
    began = time.process_time()
    matches("/" + "*a" * 20_000 + "$", "/" + "a" * 20_000 + "b")
    parse_robots(b"User-agent: *\nDisallow: /" + b"*" * 400_000)
    parse_robots(b"user agent " * 40_000)
    assert percent_normal("/" + "%zz%4" * 100_000).startswith("/%25zz%254")
    assert time.process_time() - began < 30  # a quadratic way would take hours


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_real_files_are_read_as_protego_reads_them_or_more_strictly(shared_data: Path, every: int) -> None:
    files = stricter = 0
    with tarfile.open(shared_data / "robots.tar.gz") as tar:
        for member in list(filter(tarfile.TarInfo.isfile, tar))[::every]:
            stream = tar.extractfile(member)
            assert stream is not None
            content = stream.read()
            files += 1
            text = content.decode("utf-8", "replace").lstrip("\ufeff")
            ours, theirs = parse_robots(content), Protego.parse(text)
            assert ours.delay("webimagetext") == theirs.crawl_delay("webimagetext")
            lines = [line.partition("#")[0].partition(":")[2].strip() for line in text.splitlines()[:15]]
            for path in [
                "/",
                *("/" + line.replace("*", "x").rstrip("$").lstrip("/") for line in lines if line[:1] in "/*"),
            ]:
                allowed, line = ours.verdict("webimagetext", path)
                expected = theirs.can_fetch(f"http://h{path}", "webimagetext")
                assert expected or not allowed, (member.name, path, line)
                stricter += expected and not allowed
    assert files > 4_000 / every
    assert stricter < 200 / every
