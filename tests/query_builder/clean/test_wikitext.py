"""The cleaner against rules of wikitext, hostile pages, and an independent parser on real articles."""

from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from benchmarks.query_builder_oracle import agreement, count
from query_builder.clean.markup import Markup, markup_tables, site_rules
from query_builder.clean.wikitext import clean_text
from query_builder.normalize import words
from query_builder.sources.dump import plan_shards, read_pages, read_site_info
from query_builder.sources.page import Ledger


@pytest.fixture(scope="module")
def tables() -> Markup:
    return markup_tables(site_rules("en", {6: ("Datei",), 14: ("Категория",)}))


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("'''Los''' ''Angeles''", "Los Angeles"),
        ("'''L'''os ''An''geles it's", "Los Angeles it s"),
        ("a [[b]] c [[d|e f]] g", "a b c e f g"),
        ("[[bus]]es and [[Los Angeles|L]]A", "buses and LA"),
        ("a {{b|{{c}}|d}} e", "a e"),
        ("a {{b|{{c e", "a b c e"),
        ("x\n{|\n| a\n{|\n| b\n|}\n|}\ny", "x y"),
        ("x {{t|\n{|\n|a\n|}\n|}} y", "x y"),
        ("x {{t|a=1\n|}} y", "x y"),
        ("<table><tr><td>a<table>b</table></td></tr></table>c", "c"),
        ("a<ref name=x>n {{c}}</ref> b<ref name=x/> c", "a b c"),
        ("a<!-- b --> c <!-- d", "a c"),
        ("a <math>x_1</math> b <nowiki>[[c]] {{d}}</nowiki>", "a b c d"),
        ("H<sub>2</sub>O<br/>x", "H2O x"),
        ("[[File:a.jpg|thumb|b [[c]] d]]e [[Category:F]] [[:Category:G]] [[Datei:h.png]]", "e Category G"),
        ("[[категория:x]][[Категория:y]]z [[de:Hund]]", "z"),
        ("see http://a.b/c?d=e f [http://g.h i j] [//k.l m]", "see f i j m"),
        ("caf&eacute; &amp;nbsp; &#233;&#xE9; &unknown; R&B", "café nbsp éé unknown R B"),
        ("__NOTOC__ a __b__", "a b"),
        ("a____b __C_d e__F", "a b C d e F"),
        (f"__{'A' * 30}__ b __{'C' * 31}__", f"b {'C' * 31}"),
        ("== Head ==\n* item", "Head item"),
        ("[[a\nb]] c|d", "a b c d"),
        ("}} ]] |} a", "a"),
        ("a < b and c> d <e f", "a b and c d e f"),
        ("{{nowrap|Los Angeles}} {{lang|fr|école}}s", "Los Angeles écoles"),
        ("{{convert|5|km}} {{convert|5|to|10|km|mi}} {{cvt|3|ft|m|abbr=on}}", "5 km 5 to 10 km 3 ft"),
        ("{{formatnum:1234}} {{Sortname|Ada|King|Ada Lovelace}}", "1234 Ada King"),
        ("{{small|a {{abbr|b|c}} [[d|e]]}} f", "a b e f"),
        ("{{transl|ja|ISO|kana}} {{transl|ja|kana}} {{lang-de|Hund}}", "kana kana Hund"),
        ("{{nowrap|1=a b}} {{lang|fr|italic=no|c}} {{color|2=d|1=red}} {{abbr|e f|title=g}}", "a b c d e f"),
        ("{{nihongo|a|b|c|d}} {{frac|1|2}}", "a b c 1 2"),
        ("a {{Infobox|b={{nowrap|c}}|d}} {{nowrap}} {{nowrap|e {{f", "a e f"),
        ("x{{quote|Hello|y}}z", "x Hello z"),
        ("[[c|{{nowrap|d]] e}} f", "d e f"),
    ],
)
def test_rules_of_wikitext(wikitext: str, expected: str, tables: Markup) -> None:
    text, _ = clean_text(escape(wikitext), tables)
    assert " ".join("".join(c if c.isalnum() else " " for c in text).split()) == expected


def test_what_was_taken_out_parts_the_words_but_a_note_does_not(tables: Markup) -> None:
    assert "\n" in clean_text("a {{b}} c", tables)[0]
    assert "\n" not in clean_text("a&lt;ref&gt;b&lt;/ref&gt; c '''d''' [[e|f]]", tables)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{disambiguation}}", True),
        ("{{ Disambig|geo}}", True),
        ("__DISAMBIG__", True),
        ("{{hndis|A}}", True),
        ("{{Infobox}}", False),
    ],
)
def test_disambiguation_is_told_by_template(text: str, expected: bool, tables: Markup) -> None:
    assert clean_text(f"a {text}", tables)[1] is expected


HOSTILE = [
    "{{", "[[", "{{{", "&lt;ref&gt;", "&lt;!--", "&lt;math&gt;", "&lt;b", "{|\n", "\n|}", "[[a|", "[[File:a|", "'''",
    "__", "://",
    "&lt;table&gt;", "&lt;/ref&gt;", "]]}}", "&amp;", "&amp;#", "http://a[", "{{a}}", "[[a]]", "&lt;nowiki&gt;",
    "\n:{|", ":", "{{lang|", "{{nowrap|", "{{quote|x}}", "{{lang|a=", "{{formatnum:", "|", "{{convert|to|to|",
    "{{lang|a|''b'''|", "''{{nowrap|'''[[a|", "''a'''", "''a'''\n",
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_page_of_two_megabytes_is_no_trouble(piece: str, tables: Markup) -> None:
    # Quadratic time would take minutes here; the benchmarks time it.
    clean_text(piece * (2_000_000 // len(piece)), tables)
    clean_text((piece + "x }} ") * (1_000_000 // len(piece)), tables)


def test_any_nesting_of_markup_ends_and_keeps_within_its_buffers(tables: Markup) -> None:
    import random

    draw = random.Random(3)
    parts = [
        *HOSTILE,
        "}}",
        "|}",
        "]]",
        "|",
        "a b",
        "\n",
        "&lt;/math&gt;",
        "--&gt;",
        "é",
        "&lt;/nowiki&gt;",
        "&lt;/table&gt;",
        "''",
        "''''",
        "1=",
    ]
    for _ in range(300):
        clean_text("".join(draw.choices(parts, k=draw.randrange(1, 200))), tables)


def _compare(path: Path, tables: Markup) -> tuple[float, float]:
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    pages = 0
    for shard in plan_shards((str(path),)):
        for batch in read_pages(shard, skip_corrupt=False, ledger=Ledger()):
            for page in batch.pages:
                if page.target is None:
                    text = batch.buffer[page.start : page.end].decode()
                    ours.update(words(clean_text(text, tables)[0]))
                    theirs.update(count(text)[0])
                    pages += 1
    return agreement(ours, theirs), pages


def test_real_articles_give_the_words_that_an_independent_parser_finds(shared_data: Path) -> None:
    path = shared_data / "wikipedia" / "dbpedia" / "en-wiki.xml.bz2"
    share, pages = _compare(path, markup_tables(site_rules("en", read_site_info(str(path)).namespaces)))
    assert pages > 10
    assert share > 0.99
