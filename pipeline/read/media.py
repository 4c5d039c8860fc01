"""Whether a media query of a ``<source>`` holds on an ordinary screen: lying, light, with a mouse.

In: the text of a ``media`` attribute. Out: yes or no. What is not known does not hold, as in browsers.
"""

import functools
import re

__all__ = ["matches_screen"]

WIDTH, HEIGHT = 1280, 800  # pixels of the window
DENSITY = 1.0  # device pixels a pixel
_EM = 16.0  # pixels
_FEATURE = re.compile(r"\(\s*([a-z-]+)\s*(?::\s*([^()]+?)\s*)?\)")
_RANGE = re.compile(r"\(\s*(width|height)\s*(<=?|>=?)\s*([\d.]+[a-z]*)\s*\)")
_LENGTH = re.compile(r"(\d{0,6}(?:\.\d{1,6})?)\s*(px|em|rem|)")
_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,4})?)\s*(?:/\s*(\d{1,5}))?\s*(?:dppx|x)?")
_WORDS = {
    "orientation": "landscape",
    "prefers-color-scheme": "light",
    "prefers-reduced-motion": "no-preference",
    "hover": "hover",
    "any-hover": "hover",
    "pointer": "fine",
    "any-pointer": "fine",
}
_RATIOS = {
    "aspect-ratio": WIDTH / HEIGHT,
    "device-aspect-ratio": WIDTH / HEIGHT,
    "resolution": DENSITY,
    "device-pixel-ratio": DENSITY,
}
_LENGTHS = {"width": WIDTH, "device-width": WIDTH, "height": HEIGHT, "device-height": HEIGHT}


@functools.lru_cache(maxsize=1024)
def matches_screen(media: str) -> bool:
    """Whether any of the queries in a list holds; an empty list holds."""
    text = media.strip().lower()[:1000]
    return not text or any(_holds(query.strip()) for query in text.split(","))


def _holds(query: str) -> bool:
    if query.startswith("not "):
        return not _holds(query[4:].strip())
    query = query.removeprefix("only ").strip()
    if " or " in query:
        return any(_holds(part.strip()) for part in query.split(" or "))
    parts = [part.strip() for part in query.split(" and ")]
    return all(part in ("all", "screen") or _feature_holds(part) for part in parts)


def _feature_holds(part: str) -> bool:
    compared = _RANGE.fullmatch(part)
    if compared:
        length = _length(compared.group(3))
        have = _LENGTHS[compared.group(1)]
        sign = compared.group(2)
        if length is None:
            return False
        return (
            (have < length or (have == length and "=" in sign))
            if sign[0] == "<"
            else (have > length or (have == length and "=" in sign))
        )
    found = _FEATURE.fullmatch(part)
    if not found:
        return False
    name, value = found.group(1).removeprefix("-webkit-"), found.group(2)
    if value is None:
        return name in ("width", "height", "color", "hover", "pointer")
    if name in _WORDS:
        return _WORDS[name] == value
    bound = "min" if name.startswith(("min-", "min--")) else "max" if name.startswith(("max-", "max--")) else ""
    name = name.removeprefix(bound).lstrip("-") if bound else name
    have_number, wanted = (_LENGTHS[name], _length(value)) if name in _LENGTHS else (_RATIOS.get(name), _ratio(value))
    if have_number is None or wanted is None:
        return False
    if bound == "min":
        return have_number >= wanted
    return have_number <= wanted if bound == "max" else have_number == wanted


def _length(text: str) -> float | None:
    found = _LENGTH.fullmatch(text)
    if not found or not found.group(1).strip("."):
        return None
    return float(found.group(1)) * (_EM if found.group(2) in ("em", "rem") else 1.0)


def _ratio(text: str) -> float | None:
    found = _RATIO.fullmatch(text)
    if not found:
        return None
    below = float(found.group(2) or 1)
    return float(found.group(1)) / below if below else None
