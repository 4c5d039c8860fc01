"""How the bytes of a page become text: by the Encoding Standard, and a bad byte costs one character."""

import pytest

from pipeline.read.charset import codec_of, decode

RUSSIAN = "косуля у пруда"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("windows-31j", "池のほとりの 鹿"),
        ("x-sjis", "鹿"),
        ("EUC-JP", "鹿"),
        ("gb2312", "龍"),  # of GBK, which browsers read under that name
        ("ks_c_5601-1987", "뷁"),
        ("big5", "鹿"),
        ("iso-8859-9", "€ğ"),
        ("iso-8859-1", "“€”"),
        ("tis-620", "กวาง"),
        ("koi8-r", RUSSIAN),
        ("x-mac-cyrillic", RUSSIAN),
        ("iso-8859-8-i", "אייל"),
        ("cp866", RUSSIAN),
    ],
)
def test_labels_of_the_standard(label: str, text: str) -> None:
    content = f"<meta charset='{label}'>".encode() + text.encode(codec_of(label))
    assert decode(content).endswith(text)
    assert decode(text.encode(codec_of(label)), f"text/html; charset={label.upper()}") == text


@pytest.mark.parametrize("label", ["utf-7", "hex", "base64", "idna", "unicode_escape", "cp037", "", "nonsense"])
def test_what_is_no_label(label: str) -> None:
    assert codec_of(label) == ""
    assert decode("früh".encode(), f"text/html; charset={label}") == "früh"


@pytest.mark.parametrize(
    "head",
    [
        b"<script charset='utf-8' src=a.js></script><meta charset='windows-1251'>",
        b"<!-- <meta charset=utf-8> --><meta charset=windows-1251>",
        b"<link charset=utf-8 href=x><META http-equiv='content-TYPE' content='text/html; charset = windows-1251'>",
        b"<script>write('<meta charset=utf-8>')</script><meta charset='windows-1251'>",
        b"<meta name=charset content='charset=utf-8'><meta charset=cp1251>",
        b"<meta name=d content='a > b, charset=utf-8'><meta data-x charset=cp1251>",
        b"<?xml version='1.0' encoding='windows-1251'?>",
        b"<style>" + b"x" * 5000 + b"</style><meta charset=windows-1251>",
    ],
)
def test_where_a_page_names_its_encoding(head: bytes) -> None:
    assert decode(head + RUSSIAN.encode("cp1251")).endswith(RUSSIAN)


def test_what_wins() -> None:
    meta = b"<meta charset=windows-1251>"
    assert decode(b"\xef\xbb\xbf" + meta + "ü".encode(), "text/html; charset=koi8-r").endswith("ü")
    assert decode(meta + RUSSIAN.encode("koi8-r"), "text/html; charset='koi8-r'").endswith(RUSSIAN)
    assert decode(meta + RUSSIAN.encode("cp1251"), "text/html; charset=unknown").endswith(RUSSIAN)
    assert decode(b"<meta charset=utf-16>" + "ü".encode()).endswith("ü"), "it was read as ASCII so far"
    assert decode("ü".encode("utf-16-le"), "text/html; charset=utf-16") == "ü"


def test_two_bytes_a_character_without_a_mark() -> None:
    for codec in ("utf-16-le", "utf-16-be"):
        assert decode("<?xml version='1.0'?><p>früh".encode(codec)).endswith("<p>früh")


def test_a_bad_byte_costs_one_character() -> None:
    assert decode(b"caf\xe9 " + "früh im März".encode()) == "caf\ufffd früh im März"
    assert decode("café, früh und März: ü".encode("cp1252")) == "café, früh und März: ü"
    assert decode(b"caf\xe9 " + "früh".encode(), "text/html; charset=utf-8") == "caf\ufffd früh"
    assert decode("鹿の写真".encode("cp932") + b"\xff" + "鹿".encode("cp932"), "; charset=sjis").endswith("鹿")
