"""The candidates of a ``srcset`` attribute as the HTML standard parses it, and the one to take."""

import re
from collections.abc import Iterator

__all__ = ["best_of_srcset", "decodable"]

MAX_CANDIDATES = 64
# A run without white space, whose commas at the end belong to the list, then descriptors up to the next comma outside
# brackets.
_URL = re.compile(r"[\s,]*(\S+)")
_DESCRIPTORS = re.compile(r"(?:[^,()]|\([^)]*(?:\)|\Z))*,?")
_WIDTH = re.compile(r"0*([1-9]\d{0,8})w")
_DENSITY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?(?:e\d)?)x")
_HEIGHT = re.compile(r"0*[1-9]\d{0,8}h")
# Endings of what no decoder here makes a picture of.
_OTHER_FORMAT = re.compile(r"[^?#]*\.(?:svgz?|jxl|heic|heif|ico|mp4|webm|pdf)(?:[?#]|$)", re.IGNORECASE)


def decodable(address: str) -> bool:
    """Whether an address may lead to a picture: it is no data: URI, and its ending is of no format that is not read."""
    return address[:5].lower() != "data:" and _OTHER_FORMAT.match(address) is None


def best_of_srcset(value: str, wanted_width: int) -> str | None:
    """The URL of the smallest candidate at least ``wanted_width`` pixels wide, else the widest; by density where no
    width is given.

    A candidate whose descriptors break the standard's form is none, as in browsers: so of an address with a blank in
    it nothing is left. None when there is no candidate.
    """
    widths: list[tuple[float, str]] = []
    densities: list[tuple[float, str]] = []
    for url, descriptors in _candidates(value):
        if not decodable(url):
            continue
        form, amount = _read(descriptors)
        if form == "w":
            widths.append((amount, url))
        elif form == "x":
            densities.append((amount, url))
    if widths:
        enough = [item for item in widths if item[0] >= wanted_width]
        return min(enough, key=lambda item: item[0])[1] if enough else max(widths, key=lambda item: item[0])[1]
    return max(densities, key=lambda item: item[0])[1] if densities else None


def _candidates(value: str) -> Iterator[tuple[str, list[str]]]:
    """The first URLs of a set with their descriptors."""
    at = 0
    for _ in range(MAX_CANDIDATES):
        found = _URL.match(value, at)
        if found is None:
            return
        at = found.end()
        url = found.group(1)
        words = ""
        if url.endswith(","):
            url = url.rstrip(",")
        elif (more := _DESCRIPTORS.match(value, at)) is not None:
            at, words = more.end(), more.group().removesuffix(",")
        if url:
            yield url, words.split()


def _read(descriptors: list[str]) -> tuple[str, float]:
    """The form ("w", "x", or "" for a broken one) and the amount of a candidate's descriptors."""
    widths = [found.group(1) for word in descriptors if (found := _WIDTH.fullmatch(word))]
    densities = [found.group(1) for word in descriptors if (found := _DENSITY.fullmatch(word))]
    heights = [word for word in descriptors if _HEIGHT.fullmatch(word)]
    if len(widths) + len(densities) + len(heights) != len(descriptors) or len(widths) > 1 or len(densities) > 1:
        return "", 0.0
    if widths:
        return ("w", float(widths[0])) if not densities and len(heights) <= 1 else ("", 0.0)
    if heights:
        return "", 0.0
    return "x", float(densities[0]) if densities else 1.0
