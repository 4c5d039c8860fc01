"""HTML bytes to a parsed tree, in time linear in their size whatever they hold.

The parser (lexbor, through selectolax) builds the tree that browsers build, and some of that is quadratic in the number
of open elements or of attributes in one tag. So a tag with thousands of attributes is dropped, and a page of very many
tags is parsed in pieces. In: bytes. Out: one tree for an ordinary page, several for a huge one.
"""

import codecs
import re

from selectolax.lexbor import LexborHTMLParser

__all__ = ["decode", "parse"]

WHOLE_TAGS = 10_000  # a page of more tags than this is parsed in pieces; fewer cost at most a second of hostile nesting
WHOLE_CHARACTERS = 262_144  # a page longer than this loses scripts and comments first
PIECE_TAGS = 1_000
LONG_TAG = 65_536  # characters
MAX_ATTRIBUTES = 8_000  # of one long tag

# Ends at the end of the text where the closing mark is missing, as in a browser, so that nothing is scanned twice.
_NO_MARKUP = re.compile(
    r"<!--.*?(?:--!?>|\Z)|<(script|style|textarea|title|xmp|iframe|noembed|noframes)\b.*?(?:</\1|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_PIECE = re.compile(rf"[^<]*+(?:<[^<]*+){{1,{PIECE_TAGS}}}+")
# A start tag up to its ">", quotes counting only where a value begins, as the HTML standard's tokenizer reads it.
_TAG = re.compile(
    r"<[a-zA-Z][^\s/>]*+"
    r"(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?|=)*+"
)
_DATA_URI = re.compile(r"data:[a-z]+/[^\"'>\s]*", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_CHARSET_TEXT = re.compile(r"charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_EMPTY_RAW = re.compile(r"<(script|style|title|textarea|iframe|noscript)\b([^<>]*)/>", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Labels that the Encoding Standard reads as a superset, and single bytes that Python's strict tables leave out.
_SUPERSETS = {"iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252"}
_SUPERSETS |= {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "ks_c_5601-1987": "cp949",
}
_SUPERSETS |= {"euc-kr": "cp949", "iso-8859-9": "cp1254", "x-sjis": "cp932", "utf-16": "utf-8", "utf-16le": "utf-8"}
_NOT_TEXT = frozenset({"hex", "base64", "bz2", "zip", "zlib", "uu", "quopri", "rot13", "rot-13", "punycode", "idna"})
# Python's own, which no page is written in, and one that browsers refuse since it hides markup.
_NOT_TEXT |= {"undefined", "unicode-escape", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "utf-7"}


def decode(content: bytes, content_type: str = "") -> str:
    """The text of a page: by its byte order mark, the Content-Type header, its meta tag, else UTF-8 or windows-1252."""
    for mark, name in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace")
    header = _CHARSET_TEXT.search(content_type)
    meta = None if header else _CHARSET.search(content[:2048])
    label = header.group(1) if header else meta.group(1).decode() if meta else ""
    label = label.lower()
    if label not in ("", "utf-8", "utf8"):
        known = _codec(_SUPERSETS.get(label, label))
        if known:
            return content.decode(known, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("utf-8" if label else "cp1252", "replace")


def _codec(label: str) -> str:
    """A Python codec for text by this label; empty when there is none."""
    try:
        found = codecs.lookup(label)
        return "" if found.name in _NOT_TEXT or not found._is_text_encoding else found.name
    except LookupError:
        return ""


def parse(text: str, *, xhtml: bool = False) -> list[LexborHTMLParser]:
    """The trees of a page; more than one only when it has more than WHOLE_TAGS tags outside scripts and comments."""
    if xhtml:
        # As HTML, <script/> would swallow the rest of the page.
        text = _EMPTY_RAW.sub(r"<\1\2></\1>", text)
    if len(text) > WHOLE_CHARACTERS or text.count("<") > WHOLE_TAGS:
        # What is no markup goes first: then every "<" and a letter begins a tag, and the text may be cut there.
        text = _without_long_tags(_NO_MARKUP.sub("", text))
    elif len(text) > LONG_TAG and max(map(len, text.split(">"))) > LONG_TAG:
        text = _without_long_tags(text)
    if text.count("<") <= WHOLE_TAGS:
        return [LexborHTMLParser(text)]
    return [LexborHTMLParser(piece) for piece in _PIECE.findall(text)]


def _without_long_tags(text: str) -> str:
    longest = max(map(len, _TAG.findall(text)), default=0)
    return _TAG.sub(_shortened, text) if longest > LONG_TAG else text


def _shortened(tag: re.Match[str]) -> str:
    """A tag as it is, or an empty one in place of a tag with too many attributes."""
    text = tag.group()
    if len(text) <= LONG_TAG:
        return text
    text = _DATA_URI.sub("data:,", text)
    return "<x" if text.count("/") + len(text.split()) > MAX_ATTRIBUTES else text
