"""URLs: one spelling for each, and what the platform's own tests say they mean."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from yarl import URL

from pipeline.read.urls import Resolver, canonical, picture_url


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("HTTP://EXAMPLE.org:80/a/../b?utm_source=x&q=1#f", "http://example.org/b?q=1"),
        ("example.org", "https://example.org/"),
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
