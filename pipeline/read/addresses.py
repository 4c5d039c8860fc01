"""Where the picture of an ``<img>`` lies: which of its attributes, or of the sources of its ``<picture>``, to ask for.

In: the node with its attributes. Out: the address as written, or the reason why there is none. Most images have a plain
``src`` and nothing else; for them the quick way gives what the thorough way would.
"""

import functools
import json
import re
from collections.abc import Mapping

from selectolax.lexbor import LexborNode

from pipeline.read.media import matches_screen
from pipeline.read.srcset import best_of_srcset, decodable

__all__ = ["address_of", "is_placeholder", "names_picture", "names_vectors", "thorough_address"]

Attributes = Mapping[str, str | None]

MAX_JSON = 20_000  # characters of one attribute
MAX_LEVELS = 3  # elements between an image and its <picture>

# Attributes that hold no address of the picture, whatever their value; others are judged by what they hold.
_ORDINARY_NAMES = (
    "src alt title class id style width height border align hspace vspace loading decoding fetchpriority sizes "
    "crossorigin usemap ismap longdesc role name itemprop referrerpolicy aria-label aria-hidden aria-labelledby "
    "aria-describedby tabindex draggable lang dir type value layout data-width data-height"
)
_ORDINARY = frozenset(_ORDINARY_NAMES.split())
_ENDING = re.compile(r"[^?#]*\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?)(?:$|[?#:&,;!/@])", re.IGNORECASE)
_VECTORS = re.compile(r"[^?#]*\.svgz?(?:$|[?#])")
_PLACE = re.compile(r"(?:https?:)?//[^\s<>]{3,}$|/[^\s<>]+$|\.{1,2}/[^\s<>]+$", re.IGNORECASE)
_SET = re.compile(r"\S\s+\d{1,6}(?:\.\d{1,4})?[wx]\s*(?:,|$)")
# Names by which scripts keep the picture's own address, and those of another or a lesser one.
_OWN_NAME = re.compile(r"(?:^|-|_|data)(?:src|orig(?:inal)?|actualsrc|lazy|full|large|big|hi-?res|zoom)", re.IGNORECASE)
_PICTURE_NAME = re.compile(r"src|orig|lazy|url|ima?ge?|full|large|big|hi-?res|zoom|file|source", re.IGNORECASE)
_OTHER_NAME = re.compile(
    r"placeholder|blur|lqip|low|thumb|tiny|small|fallback|err|default|blank|spin|loading|hover|(?:^|[-_])over|icon|avatar|logo"
    r"|preview|link|href|page|share|perma|video|poster|next|prev|^on",
    re.IGNORECASE,
)
_STAND_IN = re.compile(
    r"(?:[^?#]*/)?(?:(?:blank|spacer|transparent|placeholder|loading|loader|ajax-?loader|spinner|lazy-?load|dummy"
    r"|no-?image|image-?placeholder)[\d_x.-]*\.(?:gif|png|svg|jpe?g|webp)"
    r"|(?:pixel|grey|gray|white|1x1|empty|trans|clear|dot|px|s|t|b)[\d_x.-]*\.gif"
    r"|(?:pixel|1x1|empty|trans|px)[\d_x.-]*\.(?:png|svg))(?:[?#].*)?",
    re.IGNORECASE,
)


@functools.lru_cache(maxsize=8192)
def is_placeholder(address: str) -> bool:
    """Whether an address is by its name that of a stand-in, shown until a script has loaded the picture."""
    return _STAND_IN.fullmatch(address[-200:]) is not None or address.lower() in ("about:blank", "#")


def names_picture(address: str) -> bool:
    """Whether an address ends as those of pictures do."""
    return _ENDING.match(address) is not None


def names_vectors(address: str) -> bool:
    """Whether an address ends as those of SVG do, drawings in a language that no decoder here reads."""
    return ".svg" in address and _VECTORS.match(address) is not None


def address_of(node: LexborNode, attributes: Attributes, width: int, *, pictures: bool = True) -> tuple[str, str]:
    """(address as written, "") of an ``<img>``, or ("", reason): data_uri, placeholder or no_address.

    ``width`` is that wanted of an image in several, in pixels; ``pictures`` whether the page has any ``<picture>``.
    """
    if not pictures and attributes.keys() <= _ORDINARY:
        source = (attributes.get("src") or "").strip()
        if source and source[:5].lower() != "data:" and not is_placeholder(source):
            return source, ""
    return thorough_address(node, attributes, width)


def thorough_address(node: LexborNode, attributes: Attributes, width: int) -> tuple[str, str]:
    """As :func:`address_of`, without its short cut."""
    source = (attributes.get("src") or "").strip()
    real = source if source and source[:5].lower() != "data:" and not is_placeholder(source) else ""
    found = (
        _of_picture(node, width)
        or _of_sets(attributes, width)
        or _of_late(attributes, own=bool(real))
        or real
        or _of_late(attributes, own=False)
    )
    if found:
        return found, ""
    if source[:5].lower() == "data:":
        return "", "data_uri"
    return "", "placeholder" if source else "no_address"


def _of_picture(node: LexborNode, width: int) -> str | None:
    """The address by the first source of an enclosing ``<picture>``, of those before the image, that a browser would
    take and that is read here."""
    around = node.parent
    for _ in range(MAX_LEVELS):
        if around is None:
            return None
        if around.tag == "picture":
            break
        around = around.parent
    if around is None or around.tag != "picture":
        return None
    for source in around.css("source, img, amp-img"):
        if source.mem_id == node.mem_id:
            return None
        if source.tag != "source":
            continue
        attributes = source.attributes
        if not _readable_type(attributes.get("type") or "") or not matches_screen(attributes.get("media") or ""):
            continue
        best = _of_sets(attributes, width)
        if best:
            return best
    return None


def _readable_type(media_type: str) -> bool:
    """Whether a source's type attribute names, if anything, a format that is read here."""
    name = media_type.partition(";")[0].strip().lower()
    return not name or name.removeprefix("image/") in (
        "jpeg",
        "jpg",
        "pjpeg",
        "png",
        "apng",
        "gif",
        "webp",
        "avif",
        "bmp",
    )


def _of_sets(attributes: Attributes, width: int) -> str | None:
    """The best of an element's sets: those that a script loads late come before ``srcset`` itself, which then holds
    stand-ins."""
    late = (
        value
        for name, value in attributes.items()
        if value and name not in _ORDINARY and name != "srcset" and not _OTHER_NAME.search(name)
        if name.endswith("srcset") or value.startswith("{") or _SET.search(value[:4096])
    )
    for value in (*late, attributes.get("srcset")):
        if value and value.startswith("{") and (found := _of_json(value, width)):
            return found
        if value and (best := best_of_srcset(value, width)) and "{" not in best and not is_placeholder(best):
            return best
    return None


def _of_json(value: str, width: int) -> str | None:
    """The best address of an object of addresses with their sides, [width, height], as some shops write it."""
    try:
        sides = json.loads(value[:MAX_JSON])
    except (ValueError, RecursionError):
        return None
    found = {
        address: side[0]
        for address, side in (sides.items() if isinstance(sides, dict) else ())
        if isinstance(side, list) and side and isinstance(side[0], int) and _PLACE.match(address) and decodable(address)
    }
    enough = [address for address, side in found.items() if side >= width]
    return min(enough, key=found.__getitem__) if enough else max(found, key=found.__getitem__, default=None)


def _of_late(attributes: Attributes, *, own: bool) -> str | None:
    """The address that a script finds in an attribute; with ``own``, only in one whose name says that it is the
    picture's own, since ``src`` has a picture already."""
    weak = ""
    for name, value in attributes.items():
        if not value or name in _ORDINARY or name.endswith("srcset") or _OTHER_NAME.search(name):
            continue
        value = value.strip()
        if "{" in value or value[:11].lower() == "javascript:" or value[:5].lower() == "data:" or is_placeholder(value):
            continue  # a pattern that a script fills in, or nothing to ask for
        if own and not _OWN_NAME.search(name):
            continue
        if _ENDING.match(value):
            return value
        if not weak and _PICTURE_NAME.search(name) and _PLACE.match(value) and decodable(value):
            weak = value
    return weak or None
