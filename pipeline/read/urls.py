"""URLs as pages write them, made absolute and brought into one spelling.

In: the raw text of an attribute and the page's base URL. Out: an absolute http(s) URL, or None. Follows what browsers
forgive: white space around, tabs and line breaks within, backslashes, missing schemes.
"""

import re
from urllib.parse import urljoin

from yarl import URL

from webimagetext.foreign import encodable

__all__ = ["MAX_URL_LENGTH", "Resolver", "canonical", "picture_url", "spelling"]

MAX_URL_LENGTH = 4096
_STRIPPED = "".join(map(chr, range(33)))  # C0 controls and space
_PLAIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,4})?/[A-Za-z0-9._~!$&'()*+,;=:@/?-]*")
# A path, with its query, that needs no change: no scheme, no empty or dot segments, nothing to encode.
_SIMPLE_PATH = re.compile(
    r"/?[A-Za-z0-9_~-][A-Za-z0-9._~!$&'()*+,;=@-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~!$&'()*+,;=@-]*)*+/?(\?[!$&-;=?-Z_a-z~]*)?"
)
# An address that is its own canonical form: no port, no query, no dot or empty segments, nothing encoded.
_CANONICAL = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]*[a-z-][a-z0-9-]*)+(?:/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?)"
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+")  # names and IPv6 addresses
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TRACKING = re.compile(r"utm_\w+|gclid|fbclid|msclkid|mc_cid|mc_eid")


class Resolver:
    """Resolves references found on one page against its base URL."""

    def __init__(self, base: str) -> None:
        self._base = base
        head, _, _ = base.partition("?")
        self._folder = head[: head.rfind("/") + 1]
        plain = _PLAIN.fullmatch(head) is not None and "/." not in head
        self._plain_folder = self._folder if plain and self._folder.count("/") >= 3 else ""
        self._plain_origin = "/".join(self._folder.split("/", 3)[:3]) if self._plain_folder else ""

    def __call__(self, reference: str) -> str | None:
        """The absolute URL, without fragment, of a reference; None when it is no http(s) URL."""
        reference = reference.strip(_STRIPPED)
        if len(reference) > MAX_URL_LENGTH:
            return None
        reference, _, _ = reference.partition("#")
        # Most references are plain relative or absolute ones, and this is called for every link and image.
        if self._plain_folder and _SIMPLE_PATH.fullmatch(reference):
            return (self._plain_origin if reference[0] == "/" else self._plain_folder) + reference
        if _PLAIN.fullmatch(reference) and "/." not in reference:
            return reference
        return self._slow(reference)

    def _slow(self, reference: str) -> str | None:
        # What yarl cannot encode it leaves out, which would be another address.
        reference = encodable(reference).replace("\t", "").replace("\n", "").replace("\r", "")
        scheme = _SCHEME.match(reference)
        if scheme and scheme.group().lower() not in ("http:", "https:"):
            return None
        path, mark, query = reference.partition("?")
        try:
            joined = urljoin(self._base, path.replace("\\", "/") + mark + query)
            url = URL(joined)
        except ValueError:
            return None
        return _web_url(url)


def _is_web(url: URL) -> bool:
    return url.scheme in ("http", "https") and _HOST.fullmatch(url.raw_host or "") is not None


def _web_url(url: URL) -> str | None:
    if not _is_web(url):
        return None
    try:
        text = str(url.with_fragment(None))
    except ValueError:
        return None
    return text if len(text) <= MAX_URL_LENGTH else None


def picture_url(reference: str) -> str | None:
    """An image's URL from elsewhere than a page: stripped, without fragment; None when it is no absolute http(s)
    URL."""
    reference = reference.strip(_STRIPPED)
    return Resolver("http://-/")(reference) if reference[:4].lower() == "http" else None


def canonical(reference: str) -> str | None:
    """One spelling for all spellings of a page's address; None when it is no http(s) URL.

    Scheme and host in lower case (IDNA), no default port, user name, fragment, dot segments or tracking parameters,
    percent-encoding only where it is needed. A bare domain name is taken for its https front page.
    """
    text = reference.strip(_STRIPPED)
    if _CANONICAL.fullmatch(text) and len(text) <= MAX_URL_LENGTH:
        return text
    if "://" not in text and re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?(/.*)?", text):
        text = f"https://{text}"
    try:
        url = URL(encodable(text))
        if not _is_web(url):
            return None
        if url.is_default_port():
            url = url.with_port(None)
        url = url.with_user(None).with_fragment(None)
        if url.raw_query_string:
            kept = [
                part
                for part in url.raw_query_string.split("&")
                if part and not _TRACKING.fullmatch(part.partition("=")[0])
            ]
            url = URL(str(url.with_query(None)) + ("?" + "&".join(kept) if kept else ""), encoded=True)
    except (ValueError, UnicodeError):
        return None
    host = url.raw_host or ""
    if host.endswith("."):
        url = url.with_host(host.rstrip(".")) if host.strip(".") else url
    text = str(url)
    if text.count("/") == 2:
        text = text.replace("?", "/?", 1) if "?" in text else text + "/"
    return text if len(text) <= MAX_URL_LENGTH else None


def spelling(url: str) -> str:
    """:func:`canonical` of an address, or the address as it is where it has no such form."""
    return canonical(url) or url
