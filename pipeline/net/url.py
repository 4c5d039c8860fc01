"""Web addresses read as browsers read them, and sent as they were written.

In: the text of an address, absolute or seen from a base. Out: an absolute http(s) URL in which nothing is decoded or
left out, and nothing encoded but what no request line can hold: a signature in it, with its %2F, %3A and %7E, stays
valid. Browsers forgive white space around, tabs and line breaks within, backslashes, missing slashes, and so does this.
"""

import re

from yarl import URL

from webimagetext.foreign import encodable

__all__ = ["STRIPPED", "absolute", "parsed"]

STRIPPED = "".join(map(chr, range(33)))  # C0 controls and space
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+")  # names and IPv6 addresses
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)")
# What browsers encode in a path, and in a query.
_NOT_IN_PATH = re.compile(r"[^!$-;=@A-Z\[-\]_a-z|~\\]+")
_NOT_IN_QUERY = re.compile(r"[^!$-&(-;=?-~]+")


def absolute(reference: str, base: str = "") -> str | None:
    """The http(s) URL, without fragment, that ``reference`` means seen from the absolute URL ``base``; None when it is
    none."""
    text = encodable(reference).strip(STRIPPED).translate(_LINE_BREAKS).partition("#")[0]
    path, mark, query = text.partition("?")
    path = path.replace("\\", "/")
    scheme, authority, within, asked = _split(base)
    found = _SCHEME.match(path)
    if found:
        name = found.group(1).lower()
        if name not in ("http", "https"):
            return None
        path = path[found.end() :]
        if path.startswith("//") or name != scheme:
            scheme, path = name, "//" + path.lstrip("/")
    if path.startswith("//"):
        authority, _, path = path.lstrip("/").partition("/")
        path = "/" + path
    elif not path:
        path, query, mark = within, query if mark else asked.removeprefix("?"), mark or asked[:1]
    elif path[0] != "/":
        path = within.rpartition("/")[0] + "/" + path
    origin = _origin(scheme, authority)
    if not origin:
        return None
    path = _without_dots(path or "/")
    return origin + _NOT_IN_PATH.sub(_encoded, path) + mark + _NOT_IN_QUERY.sub(_encoded, query)


def parsed(text: str, base: str = "") -> URL | None:
    """:func:`absolute` as a parsed URL. Addresses of other schemes come out too, to be refused by name; None for what
    is no address at all."""
    found = absolute(text, base)
    if found is not None:
        return URL(found, encoded=True)
    scheme = _SCHEME.match(text.strip(STRIPPED))
    if scheme is None or scheme.group(1).lower() in ("http", "https"):
        return None
    try:
        return URL(encodable(text)).with_fragment(None)
    except ValueError:
        return None


def _split(base: str) -> tuple[str, str, str, str]:
    """Scheme, authority, path and query (with its mark) of an absolute URL; four empty texts for none."""
    scheme, colon, rest = base.partition("://")
    if not colon:
        return "", "", "", ""
    rest, mark, query = rest.partition("#")[0].partition("?")
    authority, slash, path = rest.partition("/")
    return scheme.lower(), authority, slash + path or "/", mark + query


def _origin(scheme: str, authority: str) -> str:
    """Scheme, host and port, the host in lower case and ASCII; "" where there is no such host."""
    try:
        url = URL(f"{scheme}://{authority}/")
        host = url.raw_host or ""
        if not scheme or _HOST.fullmatch(host) is None or not host.strip(".") or url.port is None:
            return ""
    except ValueError:
        return ""
    text = str(url)[:-1]
    return text if ":" not in host or "[" in text else ""  # an IPv6 address that is none


def _without_dots(path: str) -> str:
    """A path without the segments that mean "here" and "one up"."""
    if _DOT_SEGMENT.search(path) is None:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for place, segment in enumerate(segments):
        plain = segment.replace("%2e", ".").replace("%2E", ".")
        if plain not in (".", ".."):
            kept.append(segment)
            continue
        if plain == ".." and kept:
            kept.pop()
        if place == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())
