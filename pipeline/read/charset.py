"""From the bytes of a page to its text, by the Encoding Standard (WHATWG) and the HTML standard's order of what tells
the encoding.

In: bytes and the Content-Type header. Out: text. A byte order mark wins, then the header, then the first ``<meta>``
that names an encoding, then an XML declaration. Where nothing tells it, UTF-8 is taken unless more of the bytes beyond
ASCII contradict it than agree. A byte that is no character costs one character, never the rest of the page.
"""

import codecs
import re

__all__ = ["codec_of", "decode"]

SCANNED = 65_536  # bytes at the head of a page that are searched for a declaration

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDE = {b"<\0?\0": "utf-16-le", b"\0<\0?": "utf-16-be"}  # an XML declaration in two bytes a character
_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}(?:\"([^\"]{1,60})\"?|'([^']{1,60})'?|([^\s;\"']{1,60}))", re.IGNORECASE)
_XML = re.compile(rb"\s{0,64}<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._:-]{1,40})[\"']")
# What the prescan steps over, and the meta tags it stops at. Scripts hold no tags, whatever stands in their strings.
_SCAN = re.compile(
    rb"<!--.*?(?:-->|\Z)"
    rb"|<(?:script|style)\b.*?(?:</(?:script|style)|\Z)"
    rb"|<meta[\s/]((?:[^>\"']+|\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))*)",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"([^\s/>=]+)\s*(?:=\s*(?:\"([^\"]*)\"?|'([^']*)'?|([^\s>]+)))?")

# The standard's labels by the Python codec that reads them; the codec's own name is a label where the standard says so.
_LABELS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e "
    "iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
    "iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined latin-1",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
    "windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 "
    "windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}


def codec_of(label: str) -> str:
    """The Python codec for a label of the Encoding Standard; "" for what is none, or hides markup as UTF-7 does."""
    return _CODECS.get(label.strip("\t\n\f\r ").lower(), "")


def decode(content: bytes, content_type: str = "") -> str:
    """The text of a page."""
    for mark, name in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace")
    codec = _in_header(content_type) or _WIDE.get(content[:4], "") or _declared(content)
    return content.decode(codec, "replace") if codec else _guessed(content)


def _in_header(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return codec_of("".join(filter(None, found.groups()))) if found else ""


def _declared(content: bytes) -> str:
    """The codec that the page itself names; "" where it names none."""
    head = content[:SCANNED]
    if b"charset" in head.lower():
        for found in _SCAN.finditer(head):
            if found.group(1) is not None and (codec := _of_meta(found.group(1).decode("latin-1"))):
                return codec
    xml = _XML.match(head)
    return _within_ascii(codec_of(xml.group(1).decode())) if xml else ""


def _of_meta(attributes: str) -> str:
    """The codec that a meta tag with these attributes names."""
    known: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(attributes):
        known.setdefault(name.lower(), "".join(values))
    if "charset" in known:
        return _within_ascii(codec_of(known["charset"]))
    if known.get("http-equiv", "").strip().lower() == "content-type":
        return _within_ascii(_in_header(known.get("content", "")))
    return ""


def _within_ascii(codec: str) -> str:
    """The codec, UTF-8 for one in which the declaration could not have been read as ASCII."""
    return "utf-8" if codec.startswith("utf-16") else codec


def _guessed(content: bytes) -> str:
    """The text of a page that does not say how it is written."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    return text if right > wrong else content.decode("cp1252", "replace")
