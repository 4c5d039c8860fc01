"""The images that a page names apart from its text: for social networks (Open Graph, Twitter cards) and for search
engines (JSON-LD).

In: a page's meta tags in their order, and its scripts of JSON-LD. Out: each image's address with its texts.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.read.rendered import without_markup

__all__ = ["Declared", "images_of_json", "images_of_metas"]

MAX_JSON = 500_000  # characters of one script
MAX_DEPTH = 12
MAX_NODES = 5_000

# Address, texts as (kind, text), and the sides where they are stated.
Declared = tuple[str, list[tuple[str, str]], dict[str, str | None]]

_OPEN_GRAPH = ("og:title", "og:description")
_OG_ADDRESS = ("og:image", "og:image:url")
_OF_JSON = ("caption", "description", "name", "alternateName")


def images_of_metas(metas: Iterable[tuple[str, str]]) -> Iterator[Declared]:
    """The pictures of a page's meta tags. A property of an ``og:image`` belongs to the one before it; title and
    description of the page may speak of any of them."""
    listed = list(metas)
    if not any(name.startswith(("og:image", "twitter:image")) for name, _ in listed):
        return
    first = dict(reversed(listed))
    common = [(name, first[name]) for name in _OPEN_GRAPH if first.get(name)]
    addresses: set[str] = set()
    for place, (name, address) in enumerate(listed):
        of_group = dict(reversed(_properties(listed[place + 1 :]))) if name in _OG_ADDRESS else {}
        if name not in _OG_ADDRESS or address in addresses:
            continue
        addresses.add(address)
        alt = of_group.get("og:image:alt") or (first.get("og:image:alt", "") if len(addresses) == 1 else "")
        size: dict[str, str | None] = {side: of_group.get(f"og:image:{side}") for side in ("width", "height")}
        yield address, [("og:image:alt", alt), *common] if alt else list(common), size
    address = first.get("twitter:image") or first.get("twitter:image:src") or ""
    alt = first.get("twitter:image:alt", "")
    if address and (alt or address not in addresses):
        named = ("twitter:title", "twitter:description")
        texts = [(name, first[name]) for name in ("twitter:image:alt", *named) if first.get(name)]
        yield address, texts, {}


def _properties(after: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The tags that follow an og:image and speak of it."""
    found = []
    for name, content in after:
        if name == "og:image":
            break
        if name.startswith("og:image:"):
            found.append((name, content))
    return found


def images_of_json(script: str) -> Iterator[Declared]:
    """The objects of type ImageObject in a script of JSON-LD that have an address and a text."""
    if len(script) > MAX_JSON:
        return
    script = script.replace("<![CDATA[", "").replace("]]>", "")
    begin, end = min(filter(lambda at: at >= 0, map(script.find, "{[")), default=0), max(map(script.rfind, "}]")) + 1
    try:
        content = json.loads(script[begin:end], strict=False)  # in comments, or with line breaks within its texts
    except (ValueError, RecursionError):
        return
    for item in _objects(content):
        kinds = item.get("@type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if any(isinstance(kind, str) and kind.endswith("ImageObject") for kind in kinds):
            address = next(filter(None, (_word(item.get(name)) for name in ("contentUrl", "url"))), "")
            texts = [(f"ld:{name}", text) for name in _OF_JSON if (text := without_markup(_word(item.get(name))))]
            if address and texts:
                yield address, texts, {side: _word(item.get(side)) or None for side in ("width", "height")}


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """The objects within a value of JSON, from the top, bounded."""
    level, seen = [content], 0
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for value in level:
            seen += 1
            if seen > MAX_NODES:
                return
            if isinstance(value, dict):
                yield value
                following += value.values()
            elif isinstance(value, list):
                following += value
        level = following


def _word(value: Any) -> str:
    """The text in a value: itself, a number, the first of a list, or what an object is named by."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, dict):
        value = value.get("@value") or value.get("@id") or ""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
