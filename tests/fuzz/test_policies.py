"""robots.txt, tdmrep.json and headers of consent: anything at all is read without an error, in linear time."""

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.net.config import HttpConfig
from pipeline.net.consent import decide, directives, header_refusals, meta_refusals, parse_tdmrep, tdm_file_refusal
from pipeline.net.robots import matches, parse_robots, percent_normal
from tests.fuzz.hostile import documents, grows_linearly, texts
from webimagetext.errors import UserError

HTTP = HttpConfig()
ROBOTS = (
    *(b"User-agent: *\n", b"user-agent:webimagetext\n", b"Disallow: /", b"Allow: /", b"disalow ", b"Crawl-delay: "),
    *(
        b"1",
        b"1e400",
        b"nan",
        b"-1",
        b"\n",
        b"\r",
        b"#",
        b":",
        b"*",
        b"$",
        b"%2f",
        b"%",
        b"Sitemap: ",
        b"\xef\xbb\xbf",
        b" ",
    ),
)
PATH = ("/", "a", "*", "$", "%2F", "%", "?", "=", "é", " ")


@given(documents(ROBOTS), texts(["*", "webimagetext", "bot"], most=3), texts(PATH))
def test_any_robots_file_has_a_verdict(content: bytes, agent: str, path: str) -> None:
    robots = parse_robots(content)
    allowed, line = robots.verdict(agent, path)
    assert allowed in (True, False)
    decided = decide([], [f"robots.txt: {line}"], HTTP)
    pa.array([decided.evidence, *robots.sitemaps], pa.string()).validate(full=True)
    assert len(decided.evidence) <= 300
    delay = robots.delay(agent)
    assert delay is None or 0 <= delay < 1e9


@given(texts(PATH), texts(PATH))
@example("/*a*b*$", "/aXbXb")
def test_patterns_match_as_the_regular_expression_would(pattern: str, path: str) -> None:
    end = pattern.endswith("$")
    body = ".*".join(map(re.escape, (pattern[:-1] if end else pattern).split("*")))
    assert matches(pattern, path) == bool(re.match(body + (r"\Z" if end else ""), path, re.DOTALL))


@given(texts(PATH))
def test_a_path_has_one_spelling(path: str) -> None:
    assert percent_normal(percent_normal(path)) == percent_normal(path) and percent_normal(path).isascii()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), texts(PATH, most=5), st.just("1"), st.just(1)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["location", "tdm-reservation", "x"]), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(JSON, texts(PATH))
def test_any_tdmrep_file_is_read(value: Any, path: str) -> None:
    import json

    refusal = tdm_file_refusal(parse_tdmrep(json.dumps(value).encode()), path)
    if refusal is not None:
        pa.array([decide([refusal], [], HTTP).detail], pa.string()).validate(full=True)


@given(documents([b"[", b"]", b"{", b"}", b'"location"', b":", b",", b'"/"', b"1", b"[" * 2000, b"9" * 5000]))
def test_any_bytes_in_place_of_tdmrep(content: bytes) -> None:
    parse_tdmrep(content)


WORDS = ("noai", "noindex", ",", ":", " ", "webimagetext", "*", "googlebot", "unavailable_after", "1", "none", "-")


@given(st.dictionaries(st.sampled_from(["x-robots-tag", "tdm-reservation", "x"]), st.lists(texts(WORDS), max_size=3)))
def test_any_headers_are_looked_at(headers: dict[str, list[str]]) -> None:
    refusals = header_refusals(headers, HTTP)
    decided = decide(refusals, [], HTTP)
    assert decided.allowed == (not refusals) and len(decided.detail) <= 300
    meta_refusals([(name, value) for name, values in headers.items() for value in values], HTTP)


PARSERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "robots.txt": (
        lambda text: parse_robots(text.encode()),
        ("a", "\n", "*", "User-agent: a\n", "%", "é", "#", ":", " \n"),
    ),
    "verdict": (
        lambda text: parse_robots(b"User-agent: *\nDisallow: /*a*b*c*d\nDisallow: /*%*a$\n").verdict("x", text),
        ("a", "/", "ab", "%", "%41", "é", "abc"),
    ),
    "one long pattern": (lambda text: matches(text, "/" + "ab" * 2_000), ("*a", "*", "a", "*ab", "*c")),
    "directives": (lambda text: directives(text, "x"), (",", ":", "a,", "a:", " ", "a: b,", "noai,")),
    "tdmrep": (lambda text: parse_tdmrep(text.encode()), ("[", "[]", "{", '{"a":', "[1,", '"', " ")),
}


@pytest.mark.parametrize("name", PARSERS)
def test_policies_take_time_in_proportion_to_their_length(name: str) -> None:
    parse, shapes = PARSERS[name]
    makers = {shape: lambda size, shape=shape: shape * (size // len(shape)) for shape in shapes}
    assert [shape for shape in shapes if not grows_linearly(parse, makers[shape])] == []


@given(texts(["a", "-", "_"]), texts(["http://", "a@b", " "]))
def test_any_name_and_contact_are_taken_or_refused_in_a_line(agent: str, contact: str) -> None:
    try:
        assert HttpConfig(user_agent=agent, contact=contact).user_agent_header.isprintable()
    except UserError as error:
        assert "\n" not in error.problem
