"""URLs as pages write them, made absolute and brought into one spelling.

In: the raw text of an attribute and the page's base URL. Out: an absolute http(s) URL, or None. Follows what browsers
forgive: white space around, tabs and line breaks within, backslashes, missing schemes.
"""

import re

from yarl import URL

from pipeline.net.robots import percent_normal
from pipeline.net.url import STRIPPED, absolute

__all__ = ["MAX_URL_LENGTH", "PLAIN", "Resolver", "canonical", "picture_url", "spelling"]

MAX_URL_LENGTH = 4096
PLAIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,4})?/[A-Za-z0-9._~!$&'()*+,;=:@/?-]*")
# A path, with its query, that needs no change: no scheme, no empty or dot segments, nothing to encode.
_SIMPLE_PATH = re.compile(
    r"/?[A-Za-z0-9_~-][A-Za-z0-9._~!$&'()*+,;=@-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~!$&'()*+,;=@-]*)*+/?(\?[!$&-;=?-Z_a-z~]*)?"
)
# An address that is its own canonical form: no port, no query, no dot or empty segments, nothing encoded.
_CANONICAL = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]*[a-z-][a-z0-9-]*)+(?:/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?)"
)
# Parameters that tell where a visitor came from or who he is, and not what he asked for.
_SESSION = re.compile(r";(?:jsessionid|phpsessid)=[^/;]*", re.IGNORECASE)  # in a path
_TRACKING = re.compile(r"utm_\w+|gclid|fbclid|msclkid|mc_cid|mc_eid|_ga|phpsessid|jsessionid", re.IGNORECASE)


class Resolver:
    """Resolves references found on one page against its base URL."""

    def __init__(self, base: str) -> None:
        self._base = base
        head, _, _ = base.partition("?")
        self._folder = head[: head.rfind("/") + 1]
        plain = PLAIN.fullmatch(head) is not None and "/." not in head
        self._plain_folder = self._folder if plain and self._folder.count("/") >= 3 else ""
        self._plain_origin = "/".join(self._folder.split("/", 3)[:3]) if self._plain_folder else ""

    def __call__(self, reference: str) -> str | None:
        """The absolute URL, without fragment, of a reference; None when it is no http(s) URL."""
        given = reference.strip(STRIPPED)
        if len(given) > MAX_URL_LENGTH:
            return None
        reference, _, _ = given.partition("#")
        # Most references are plain relative or absolute ones, and this is called for every link and image.
        if self._plain_folder and _SIMPLE_PATH.fullmatch(reference):
            return (self._plain_origin if reference[0] == "/" else self._plain_folder) + reference
        if PLAIN.fullmatch(reference) and "/." not in reference:
            return reference
        return self._slow(given)

    def _slow(self, reference: str) -> str | None:
        text = absolute(reference, self._base)
        return text if text is not None and len(text) <= MAX_URL_LENGTH else None


def picture_url(reference: str) -> str | None:
    """An image's URL from elsewhere than a page: stripped, without fragment; None when it is no absolute http(s)
    URL."""
    reference = reference.strip(STRIPPED)
    return Resolver("http://-/")(reference) if reference[:4].lower() == "http" else None


def canonical(reference: str) -> str | None:
    """One spelling for all spellings of a page's address; None when it is no http(s) URL.

    Scheme and host in lower case (IDNA), no default port, user name, fragment, dot segments or tracking parameters; in
    the path percent-encoding only where it is needed, the query as it was written, for it may be signed. A bare domain
    name is taken for its https front page.
    """
    text = reference.strip(STRIPPED)
    if _CANONICAL.fullmatch(text) and len(text) <= MAX_URL_LENGTH:
        return text
    if "://" not in text and re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?(/.*)?", text):
        text = f"https://{text}"
    found = absolute(text)
    if found is None:
        return None
    url = URL(found, encoded=True)
    host = (url.raw_host or "").rstrip(".")
    if not host:
        return None
    port = "" if url.is_default_port() else f":{url.port}"
    kept = [
        part for part in url.raw_query_string.split("&") if part and not _TRACKING.fullmatch(part.partition("=")[0])
    ]
    host = f"[{host}]" if ":" in host else host
    path = percent_normal(_SESSION.sub("", url.raw_path))
    text = f"{url.scheme}://{host}{port}{path}{'?' if kept else ''}{'&'.join(kept)}"
    return text if len(text) <= MAX_URL_LENGTH else None


def spelling(url: str) -> str:
    """:func:`canonical` of an address, or the address as it is where it has no such form."""
    return canonical(url) or url
