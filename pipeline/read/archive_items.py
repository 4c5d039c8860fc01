"""What a record of an archive gives: an answer, or the reason why there is none.

In: the headers of an answer. Out: :class:`Response`, :class:`Problem` and :class:`Passed` items, the same of WARC and
ARC files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from pipeline.net.transport import Headers
from webimagetext.foreign import valid

__all__ = [
    "BROKEN",
    "MAX_PROBLEMS",
    "REDIRECTS",
    "TRUNCATED",
    "WEB",
    "Item",
    "Passed",
    "Problem",
    "Response",
    "Wanted",
    "grouped",
    "leads_to",
    "media_type_of",
    "passed",
]

BROKEN = "broken_record"
MAX_PROBLEMS = 100_000  # places at which reading is taken up again in one file
TRUNCATED = "truncated_record"
WEB = ("http://", "https://")
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(slots=True)
class Response:
    """One archived response. ``body`` is as stored, with whatever codings the headers tell of."""

    url: str
    headers: Headers
    body: bytes
    media_type: str  # without parameters, lower case


@dataclass(slots=True)
class Problem:
    """A record, or a stretch of the file, that gave no response."""

    url: str | None
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Passed:
    """A record of a media type that nobody wants: passed over, but the archive holds an answer for its address."""

    url: str
    reason: str
    detail: str = ""


Item = Response | Problem | Passed
Wanted = Callable[[str], bool]  # whether a media type is worth reading the body of


def passed(url: str, status: int, headers: Headers) -> Passed | None:
    """A record that was passed over, where it is an answer on the web."""
    reason = "wrong_type" if status == 200 else f"http_{status}"
    return Passed(url, reason, leads_to(url, status, headers)) if url.startswith(WEB) else None


def leads_to(url: str, status: int, headers: Headers) -> str:
    """Where a redirect leads; "" for other answers, and where it does not say."""
    location = headers.get("location", ("",))[0].strip() if status in REDIRECTS else ""
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return ""


def grouped(pairs: Any) -> Headers:
    headers: Headers = {}
    for name, value in pairs:
        name = valid(name).lower()
        headers[name] = (*headers.get(name, ()), valid(value))
    return headers


def media_type_of(headers: Headers) -> str:
    return headers.get("content-type", ("",))[0].partition(";")[0].strip().lower()
