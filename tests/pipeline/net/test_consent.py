"""Refusals in headers, meta tags and files, and the decision made of them."""

import dataclasses

import pytest

from pipeline.net.config import HttpConfig
from pipeline.net.consent import (
    Refusal,
    decide,
    directives,
    header_refusals,
    meta_refusals,
    parse_tdmrep,
    tdm_file_refusal,
)
from pipeline.net.usage import refuses_training

CONFIG = HttpConfig()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("noai, noimageai", ["noai", "noimageai"]),
        ("NoIndex", ["noindex"]),
        ("otherbot: noindex, noai", []),
        ("webimagetext: noai", ["noai"]),
        ("otherbot: noindex, webimagetext: noai", ["noai"]),
        ("*: none", ["none"]),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST", ["unavailable_after: 25 jun 2030 15:00:00 pst"]),
        ("unavailable_after: Friday, 25-Jun-30 15:00:00 UTC, noai", ["unavailable_after: friday", "noai"]),
        ("max-image-preview:large, noai", ["max-image-preview:large", "noai"]),
        ("", []),
        ("noai; noimageai", ["noai", "noimageai"]),
        ("noai noimageai", ["noai", "noimageai"]),
        (" noindex ,noai ;; NOIMAGEAI ", ["noindex", "noai", "noimageai"]),
        ("webimagetext/1.2: noai", ["noai"]),
        ("otherbot/2.0: noindex; webimagetext/1.2 : noai", ["noai"]),
        ("noai max-image-preview: none", ["noai", "max-image-preview: none"]),
        ("otherbot: max-snippet:5, noai", []),
        ("noai, unavailable_after: Friday, 25-Jun-30 15:00:00 UTC", ["noai", "unavailable_after: friday"]),
    ],
)
def test_directives_and_whom_they_address(value: str, found: list[str]) -> None:
    assert directives(value, "webimagetext") == found


@pytest.mark.parametrize(
    ("words", "refuses"),
    [
        ("search=yes, ai-train=no", True),
        ("search=yes,ai-input=no,ai-train=yes", False),
        ("train-ai=n", True),
        ("Train-AI = N", True),
        ("train-ai=y, train-genai=n", True),
        ("train-ai=?0", True),
        ('ai-train="no"', True),
        ("bots=n", True),
        ("bots=n, train-ai=y", False),
        ("search=no", None),
        ("", None),
        ("xtrain-ai=n", None),
    ],
)
def test_preferences_on_training(words: str, refuses: bool | None) -> None:
    assert refuses_training(words) is refuses


def test_headers() -> None:
    def signals(**headers: str) -> list[str]:
        named = {name.replace("_", "-"): (value,) for name, value in headers.items()}
        return [refusal.signal for refusal in header_refusals(named, CONFIG)]

    assert signals(x_robots_tag="noai", tdm_reservation=" 1 ") == ["x_robots_tag", "tdm_header"]
    assert signals(x_robots_tag="nofollow, noarchive", tdm_reservation="0") == []
    assert signals(content_usage="train-ai=n, search=y") == ["content_usage"]
    assert signals(content_signal="search=yes, ai-train=no") == ["content_usage"]
    assert signals(content_usage="train-ai=y", content_signal="ai-input=no") == []


def test_metas() -> None:
    metas = [("robots", "index, NoImageAI"), ("webimagetext", "none"), ("otherbot", "noai"), ("tdm-reservation", "1")]
    metas += [("robots", "noai;noindex"), ("webimagetext/3", "index noai")]
    assert [(refusal.signal, refusal.words) for refusal in meta_refusals(metas, CONFIG)] == [
        ("meta_robots", "meta robots: noimageai"),
        ("meta_robots", "meta webimagetext: none"),
        ("tdm_meta", "meta tdm-reservation: 1"),
        ("meta_robots", "meta robots: noai, noindex"),
        ("meta_robots", "meta webimagetext/3: noai"),
    ]


def test_tdmrep_decides_by_the_first_match() -> None:
    rules = parse_tdmrep(
        b'[{"location": "/free/*", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}, 7, {"location": 3}]'
    )
    assert tdm_file_refusal(rules, "/free/a") is None
    refusal = tdm_file_refusal(rules, "/b")
    assert refusal is not None
    assert refusal.words == "tdmrep.json: / reserved"


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b"null", b"[" * 100_000, b"\xff"])
def test_a_broken_tdmrep_says_nothing(content: bytes) -> None:
    assert parse_tdmrep(content) == ()


def test_the_decision_and_its_evidence() -> None:
    refusals = [Refusal("meta_robots", "meta robots: noai"), Refusal("tdm_meta", "meta tdm-reservation: 1")]
    refused = decide(refusals, ["robots.txt: none"], CONFIG)
    assert (refused.decision, refused.allowed, refused.detail) == ("meta_robots", False, "meta robots: noai")
    lax = dataclasses.replace(CONFIG, binding_signals=())
    allowed = decide(refusals, ["robots.txt: none"], lax)
    assert allowed.allowed
    assert allowed.evidence == (
        "robots.txt: none; meta robots: noai (does not bind); meta tdm-reservation: 1 (does not bind)"
    )
