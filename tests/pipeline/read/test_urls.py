"""URLs: one spelling for each, and what the platform's own tests say they mean."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from pipeline.net.url import absolute, parsed
from pipeline.read.urls import Resolver, canonical, picture_url


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("HTTP://EXAMPLE.org:80/a/../b?utm_source=x&q=1#f", "http://example.org/b?q=1"),
        ("example.org", "https://example.org/"),
        ("http://h/a;jsessionid=0A9/b;v=1?PHPSESSID=7&q", "http://h/a/b;v=1?q"),
        ("example.org/a b", "https://example.org/a%20b"),
        ("https://user:pw@h/", "https://h/"),
        ("http://h", "http://h/"),
        ("http://h?q", "http://h/?q"),
        ("http://münchen.de/ä", "http://xn--mnchen-3ya.de/%C3%A4"),
        ("http://h./x", "http://h/x"),
        ("http://h/%7ejoe/%2f", "http://h/~joe/%2F"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://exa mple/", None),
        ("mailto:x", None),
        ("javascript:alert(1)", None),
        ("/path", None),
        ("", None),
    ],
)
def test_one_spelling(reference: str, expected: str | None) -> None:
    assert canonical(reference) == expected
    if expected is not None:
        assert canonical(expected) == expected


PIECES = ("http://", "https://", "//", "/", "a", "B.jpg", ".", "..", "?", "%2F", "%7e", "&", "=", ":8", "#", " ", "ä~")


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.sampled_from(["http://h/a/b", "https://h:8/c?d"]))
def test_the_fast_way_never_differs(reference: str, base: str) -> None:
    resolve = Resolver(base)
    assert resolve(reference) == resolve._slow(reference)


@pytest.mark.parametrize(
    "query", ["Signature=qZ0%2Fj%2BPP%3D", "a=1%2C2&b=%7E%3a%3B", "p=%C3%A4%20x+y", "%", "a=[1]|{2}^`"]
)
def test_a_signed_address_stays_as_it_was_written(query: str) -> None:
    address = f"http://h/a%2Fb%7E,c?{query}"
    assert Resolver("http://h/x")(address) == address
    assert Resolver("http://h/x")(f"a%2Fb%7E,c?{query}") == address
    assert picture_url(address) == address
    assert canonical(address) == f"http://h/a%2Fb~,c?{query}"
    parsed_url = parsed(address)
    assert parsed_url is not None
    assert parsed_url.raw_path_qs == f"/a%2Fb%7E,c?{query}"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("a b?c d#e", "http://h/x/a%20b?c%20d"),
        ("\\y\\z?\\", "http://h/y/z?\\"),
        ("ä?ä\"<'", "http://h/x/%C3%A4?%C3%A4%22%3C%27"),
        ("./a/../%2e%2E/b/.", "http://h/b/"),
        ("https:///k/c", "https://k/c"),
        ("http:c", "http://h/x/c"),
        ("?q", "http://h/x/y?q"),
        ("", "http://h/x/y?r"),
        ("ftp://h/x", None),
        ("http://h:70000/", None),
    ],
)
def test_what_browsers_forgive_and_encode(reference: str, expected: str | None) -> None:
    assert absolute(reference, "http://h/x/y?r") == expected


def test_pictures_of_lists() -> None:
    assert picture_url(" http://h/x y.jpg#z ") == "http://h/x%20y.jpg"
    assert picture_url("x.jpg") is None


@pytest.mark.parametrize("base", ["http://h/a/b.html", "http://h/a/b?c/d", "http://h", "https://h:8/ä/"])
@pytest.mark.parametrize(
    "reference",
    [
        "c",
        "c/d.png?e=f",
        "/c",
        "/c/",
        "//k/c",
        "./c",
        "../c",
        "../../../c",
        "c//d",
        "/./c",
        "?q",
        "",
        "c d",
        "ü",
        "%2e",
        "a:b/c",
    ],
)
def test_the_fast_way_agrees_with_the_slow_one(base: str, reference: str) -> None:
    resolve = Resolver(base)
    assert resolve(reference) == resolve._slow(reference)


def test_the_urls_of_the_web_platform_tests(shared_data: Path) -> None:
    name = "adversarial/url-tests/url/tests/urltestdata.json"
    with tarfile.open(shared_data / "adversarial.tar.gz") as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        cases = [case for case in json.load(stream) if isinstance(case, dict)]
    counts: Counter[str] = Counter()
    for case in cases:
        base = case.get("base") or "http://base.invalid/"
        absolute = case["input"].lstrip().lower().startswith("http")
        if not base.startswith("http") or (case.get("base") is None and not absolute):
            continue
        found = Resolver(base)(case["input"])
        if found is not None:
            assert URL(found).scheme in ("http", "https")
            assert canonical(found) is not None
        if case.get("failure"):
            counts["failure"] += 1
        elif case["protocol"] not in ("http:", "https:"):
            assert found is None, case
        elif found is None:
            counts["refused"] += 1
        else:
            counts["same" if canonical(found) == canonical(case["href"]) else "other"] += 1
    # What is left: numeric hosts in odd spellings (which are never connected to), and runs of slashes.
    assert counts["same"] >= 185
    assert counts["other"] + counts["refused"] <= 40
