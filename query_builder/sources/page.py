"""One page of a dump: its title, its number, what it redirects to, and the text of its newest revision.

In: the bytes from a ``<page>`` to its end. Out: a :class:`Page`, none for one of another namespace, or what is wrong
with it. A redirect is told by its element or, in old dumps, by its text.
"""

import html
import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["OLDER_REVISIONS", "Ledger", "Page", "parse_page"]

_REVISION, _REDIRECT_TITLE, _END_OF_TEXT = b"<revision>", b'<redirect title="', b"</text>"
_ID = re.compile(rb"<id>([0-9]{1,18})</id>")
_TIMESTAMP = re.compile(rb"<timestamp>([^<]*)</timestamp>")
LONGEST_REDIRECT = 4096  # bytes of a text that are looked at
# What marks a redirect, by the language files of MediaWiki; the English one holds everywhere.
_REDIRECT_WORDS = """
    REDIRECT WEITERLEITUNG REDIRECTION REDIRECCIÓN REDIRECCION RINVIA RINVIO RIMANDO REDIRECIONAMENTO
    DOORVERWIJZING PATRZ PRZEKIERUJ TAM ПЕРЕНАПРАВЛЕНИЕ ПЕРЕНАПР ПЕРЕНАПРАВЛЕННЯ ПРЕНАСОЧВАНЕ ВИЖ ПЕРАНАКІРАВАННЕ
    OMDIRIGERING OHJAUS UUDELLEENOHJAUS PŘESMĚRUJ PRESMERUJ ÁTIRÁNYÍTÁS REDIRECTEAZA ПРЕУСМЕРИ PREUSMJERI
    PREUSMERI PREUSMERITEV ПРЕНАСОЧУВАЊЕ ALIDIREKTU REDIREKTO YÖNLENDİRME YÖNLENDİR ALIH LENCONG ĐỔI BIRZUZENDU
    SUUNA ANAKATEYTHYNSI ΑΝΑΚΑΤΕΥΘΥΝΣΗ АЙДАУ YÖNƏLDIR PERADRASAVAŃNIE تحويل تغییر_مسیر تغییرمسیر הפניה अनुप्रेषित
    पुनर्प्रेषित পুনর্নির্দেশ เปลี่ยนทาง 転送 リダイレクト 重定向 넘겨주기
"""
_REDIRECT = re.compile(rf"\s*#\s*(?:{'|'.join(_REDIRECT_WORDS.split())})\s*:?\s*\[\[([^\]|\n]*)", re.IGNORECASE)

Ledger = Counter[str]
OLDER_REVISIONS = "older revisions of articles and redirects"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the main namespace: its title, the title it redirects to or None, its text in the batch's buffer, and
    its ID (0: none given)."""

    title: str
    target: str | None
    start: int
    end: int
    id: int = 0


def parse_page(buffer: bytes, start: int, stop: int, ledger: Ledger, namespaces: frozenset[str]) -> Page | str | None:
    """One page, with the text of its newest revision; None if it is in another namespace, or what is wrong with it.
    ``ledger`` counts the other revisions."""
    at = buffer.find(b"<title>", start, stop)
    to = buffer.find(b"</title>", at, stop)
    if at < 0 or to < 0:
        return "a page without a title: the XML is damaged"
    namespace = buffer.find(b"<ns>", to, stop)
    if namespace >= 0 and buffer[namespace : namespace + 10] != b"<ns>0</ns>":
        return None
    try:
        title = buffer[at + 7 : to].decode()
        text = buffer.find(b"<text", to, stop)
        if text < 0:
            return f"the page '{title}' has no text: the XML is damaged"
        if namespace < 0 and _prefix(title) in namespaces:
            return None
        target = None
        redirect = buffer.find(b"<redirect", to, text)
        if redirect >= 0:
            target = _redirect_title(buffer, redirect, text)
            if target is None:
                return f"the redirect of the page '{title}' has no end: the XML is damaged"
    except UnicodeDecodeError:
        return "a page's title is not valid UTF-8"
    opened, closed = _text(buffer, text, stop)
    if opened == 0 or closed < 0:
        return f"the text of the page '{title}' has no end: the XML is damaged"
    following = buffer.find(_REVISION, closed, stop)
    if following >= 0:
        opened, closed = _newest(buffer, to, stop, ledger)
    if not target:
        # Old dumps mark a redirect without its target, or not at all: then the text says it.
        named = _redirect_in(buffer, opened, closed)
        target = named if named is not None else target
    return Page(html.unescape(title), target, opened, closed, _id(buffer, to, text))


def _id(buffer: bytes, start: int, stop: int) -> int:
    """The page's ID, which stands before its first revision; 0 where there is none."""
    revision = buffer.find(_REVISION, start, stop)
    found = _ID.search(buffer, start, revision if revision >= 0 else stop)
    return int(found[1]) if found else 0


def _prefix(title: str) -> str:
    """What stands before a title's colon, as names of namespaces are compared."""
    name, colon, _ = html.unescape(title).partition(":")
    return name.replace("_", " ").strip().lower() if colon else ""


def _text(buffer: bytes, at: int, stop: int) -> tuple[int, int]:
    """Where the text whose ``<text`` is at ``at`` begins and ends; 0 or -1 where it doesn't."""
    opened = buffer.find(b">", at, stop) + 1
    if buffer[opened - 2 : opened] == b"/>":
        return opened, opened
    closed = buffer.find(b"<", opened, stop)  # a text has no such letter, and one letter is looked for quickest
    return opened, closed if buffer.startswith(_END_OF_TEXT, closed) else buffer.find(_END_OF_TEXT, opened, stop)


def _redirect_title(buffer: bytes, at: int, stop: int) -> str | None:
    """The target that the ``<redirect`` at ``at`` names, the empty one where it names none; None if it has no end."""
    end = buffer.find(b">", at, stop)
    if not buffer.startswith(_REDIRECT_TITLE, at):
        return "" if end >= 0 else None
    ends = buffer.find(b'"', at + len(_REDIRECT_TITLE), stop)
    return html.unescape(buffer[at + len(_REDIRECT_TITLE) : ends].decode()) if ends >= 0 else None


def _redirect_in(buffer: bytes, opened: int, closed: int) -> str | None:
    """The target of the redirect that a text is; None for any other text."""
    if not buffer[opened : opened + 64].lstrip().startswith(b"#"):
        return None
    found = _REDIRECT.match(buffer[opened : min(closed, opened + LONGEST_REDIRECT)].decode("utf-8", "replace"))
    if not found:
        return None
    target = html.unescape(html.unescape(found[1])).partition("#")[0].strip(" _:").replace("_", " ")
    return target[:1].upper() + target[1:]


def _newest(buffer: bytes, start: int, stop: int, ledger: Ledger) -> tuple[int, int]:
    """Where the text of the page's newest revision begins and ends: that of the latest time, the last of equals. One
    whose text has no end is passed over; ``ledger`` counts all others."""
    newest, best, revisions = (0, 0), b"", 0
    at = buffer.find(_REVISION, start, stop)
    while at >= 0:
        text = buffer.find(b"<text", at, stop)
        if text < 0:
            break
        opened, closed = _text(buffer, text, stop)
        if closed < 0:
            break
        found = _TIMESTAMP.search(buffer, at, text)
        time = found[1] if found else b""
        revisions += 1
        if time >= best:
            newest, best = (opened, closed), time
        at = buffer.find(_REVISION, closed, stop)
    ledger[OLDER_REVISIONS] += revisions - 1
    return newest
