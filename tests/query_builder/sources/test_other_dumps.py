"""Dumps that are not today's pages-articles, and page views of every kind, down to the titles of a list."""

import lzma
from pathlib import Path

import pytest

from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.lists import read_list
from query_builder.sources.dump import OTHER_NAMESPACES, plan_shards, read_pages
from query_builder.sources.page import OLDER_REVISIONS, Ledger
from query_builder.sources.pieces import container
from webimagetext.errors import UserError

HEAD = "<mediawiki><siteinfo><dbname>{}</dbname></siteinfo>\n"


def revision(number: int, text: str, time: str = "") -> str:
    stamp = f"<timestamp>{time}</timestamp>" if time else ""
    return (
        f"<revision><id>{number}</id>{stamp}<contributor><username>Zorb</username></contributor>"
        f"<comment>quux</comment><text>{text}</text></revision>"
    )


def page(title: str, *revisions: str, namespace: str = "<ns>0</ns>", redirect: str = "") -> str:
    return f"<page><title>{title}</title>{namespace}<id>1</id>{redirect}{''.join(revisions)}</page>\n"


def dump(*pages: str, name: str = "enwiki") -> str:
    return HEAD.format(name) + "".join(pages) + "</mediawiki>\n"


def read(path: Path, text: str) -> tuple[list[tuple[str, str | None, str]], Ledger]:
    path.write_text(text)
    ledger, found = Ledger(), []
    for shard in plan_shards((str(path),)):
        names = frozenset({"talk", "vorlage", "user talk"})
        for batch in read_pages(shard, skip_corrupt=False, ledger=ledger, namespaces=names):
            found += [(each.title, each.target, batch.buffer[each.start : each.end].decode()) for each in batch.pages]
    return found, ledger


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    path = tmp_path / "d.xml"
    path.write_text(dump(page("Foo", *(revision(k, f"word{k} alpha", f"20{k}0") for k in (1, 2, 3)))))
    return BuildConfig(
        dump=(str(path),), output=str(tmp_path / "q.parquet"), min_word_count=1, min_bigram_count=1, size=99, workers=1
    )


def variant(config: BuildConfig, **changes: object) -> BuildConfig:
    return BuildConfig(**{**vars(config), **changes})  # type: ignore[arg-type]


def test_a_dump_of_all_revisions_gives_the_newest_and_says_so(
    config: BuildConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    build(config)
    assert read_list(config.output)["query"].to_pylist() == ["alpha", "foo", "word3"]
    assert "left out 2 older revisions of articles and redirects" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("revisions", "text"),
    [
        ([revision(1, "a", "2020-01-01T00:00:00Z"), revision(2, "b", "2021-01-01T00:00:00Z")], "b"),
        ([revision(1, "a", "2021-01-01T00:00:00Z"), revision(2, "b", "2020-01-01T00:00:00Z")], "a"),
        ([revision(1, "a", "2021"), revision(2, "b", "2021"), revision(3, "c")], "b"),
        ([revision(1, "a"), revision(2, "b")], "b"),
        ([revision(1, "a").replace("<text>a</text>", "<text />"), revision(2, "b")], "b"),
    ],
)
def test_the_newest_revision_is_that_of_the_latest_time(tmp_path: Path, revisions: list[str], text: str) -> None:
    found, ledger = read(tmp_path / "d.xml", dump(page("A", *revisions), page("B", revision(9, "x"))))
    assert found == [("A", None, text), ("B", None, "x")]
    assert (ledger[OLDER_REVISIONS], ledger["pages"], ledger["articles"]) == (len(revisions) - 1, 2, 2)


@pytest.mark.parametrize(
    ("text", "redirect", "target"),
    [
        ("#REDIRECT [[Bar]]", "", "Bar"),
        ("\n #redirect: [[foo_bar#part|shown]] {{R}}", "", "Foo bar"),
        ("#WEITERLEITUNG [[R&amp;amp;B]]", "", "R&B"),
        ("#REDIRECTION[[Bar]]", "", "Bar"),
        ("#転送 [[Bar]]", "", "Bar"),
        ("#перенаправление [[:Bar]]", "", "Bar"),
        ("#REDIRECT [[Bar]]", "<redirect />", "Bar"),
        ("gone", "<redirect />", ""),
        ("#REDIRECT [[Bar]]", '<redirect title="Baz" />', "Baz"),
        ("# [[Bar]]", "", None),
        ("#REDIRECTED [[Bar]]", "", None),
        ("no #REDIRECT [[Bar]]", "", None),
    ],
)
def test_redirects_are_told_by_their_text_too(tmp_path: Path, text: str, redirect: str, target: str | None) -> None:
    found, ledger = read(tmp_path / "d.xml", dump(page("A", revision(1, text), redirect=redirect)))
    assert [(title, to) for title, to, _ in found] == [("A", target)]
    assert ledger["redirects"] == (target is not None)


def test_without_a_number_a_title_tells_its_namespace(tmp_path: Path) -> None:
    titles = ("Talk:A", "vorlage:B", "User_talk:C", "Vorlagen:D", "Star Wars: E", "F")
    found, ledger = read(tmp_path / "d.xml", dump(*(page(title, revision(1, "x"), namespace="") for title in titles)))
    assert [title for title, _, _ in found] == ["Vorlagen:D", "Star Wars: E", "F"]
    assert ledger[OTHER_NAMESPACES] == 3
    found, _ = read(tmp_path / "d.xml", dump(page("Talk:A", revision(1, "x"))))
    assert len(found) == 1, "the number counts where there is one"


def test_the_header_names_the_namespaces(config: BuildConfig) -> None:
    names = '<namespaces><namespace key="10" case="first-letter">Vorlage</namespace></namespaces></siteinfo>'
    pages = [page(title, revision(1, "beta"), namespace="") for title in ("Vorlage:X", "Template:Y", "Zeta")]
    Path(config.dump[0]).write_text(dump(*pages, name="dewiki").replace("</siteinfo>", names))
    build(variant(config, language="de"))
    assert read_list(config.output)["query"].to_pylist() == ["beta", "zeta"]


def test_xz_is_read_and_archives_are_named(config: BuildConfig, tmp_path: Path) -> None:
    build(config)
    text = Path(config.dump[0]).read_bytes()
    packed = tmp_path / "d.xml.xz"
    packed.write_bytes(lzma.compress(text[:99]) + lzma.compress(text[99:]))
    assert container(str(packed)) == "xz"
    again = variant(config, dump=(str(packed),), output=str(tmp_path / "again.parquet"))
    build(again)
    assert read_list(again.output).to_pylist() == read_list(config.output).to_pylist()
    packed.write_bytes(lzma.compress(text)[:-20])
    with pytest.raises(UserError, match=r"d.xml.xz: at byte [0-9,]+: the file is cut off"):
        build(again)
    for start, name, command in ((b"7z\xbc\xaf\x27\x1c", "7z", "7z e -so"), (b"PK\x03\x04", "zip", "unzip -p")):
        packed.write_bytes(start + b"x" * 50)
        with pytest.raises(UserError, match=f"d.xml.xz: a {name} archive.*") as raised:
            build(again)
        assert command in str(raised.value.remedy)


def test_a_dump_of_another_language_is_refused(config: BuildConfig) -> None:
    path = Path(config.dump[0])
    text = path.read_text()
    path.write_text(text.replace("enwiki", "dewiki"))
    with pytest.raises(UserError, match=r"d.xml: a dump of dewiki, and --language is en") as raised:
        build(config)
    assert "--language de" in str(raised.value.remedy)
    build(variant(config, language="de"))
    for name, language in (("zh_yuewiki", "zh-yue"), ("be_x_oldwiki", "be-tarask"), ("mycompany", "en"), ("", "fr")):
        path.write_text(text.replace("enwiki", name))
        build(variant(config, language=language))


def test_an_input_that_is_given_twice_is_said(config: BuildConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"d.xml: given twice"):
        build(variant(config, dump=config.dump * 2))
    copy = tmp_path / "copy.xml"
    copy.write_bytes(Path(config.dump[0]).read_bytes())
    with pytest.raises(UserError, match=r"copy.xml: holds the same as .*d.xml"):
        build(variant(config, dump=(*config.dump, str(copy))))


def test_pages_that_two_dumps_have_are_said(
    config: BuildConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(config)
    assert "twice" not in capsys.readouterr().out
    other = tmp_path / "e.xml"
    other.write_text(dump(page("Foo", revision(1, "x")), page("Bar", revision(1, "y")), page("Foo", revision(1, "z"))))
    build(variant(config, dump=(*config.dump, str(other))))
    assert "twice    2 pages have the title of another page" in capsys.readouterr().out


def test_views_of_a_wikipedia_are_not_those_of_another_project(config: BuildConfig, tmp_path: Path) -> None:
    path = Path(config.dump[0])
    path.write_text(path.read_text().replace("enwiki", "enwiktionary"))
    build(config)
    (tmp_path / "views").write_text("en.wikipedia Foo 1 desktop 7 A7\n")
    with pytest.raises(UserError, match=r"a dump of enwiktionary, and the page views .* are those of en.wikipedia"):
        build(variant(config, pageviews=(str(tmp_path / "views"),)))


def test_titles_with_marks_apart_from_their_letters_are_the_same(config: BuildConfig, tmp_path: Path) -> None:
    rows = "en.wikipedia Cafe\u0301 null desktop 5 A5\nen.wikipedia e\u0301cole null desktop 7 A7\nen Caf%C3%A9 90 0\n"
    assert titles(config, tmp_path, rows, numbered(5, "Café"), numbered(6, "École")) == {"Café": 95, "École": 7}


def titles(config: BuildConfig, tmp_path: Path, rows: str, *pages: str) -> dict[str, int]:
    Path(config.dump[0]).write_text(dump(*pages))
    (tmp_path / "views").write_text(rows)
    build(variant(config, pageviews=(str(tmp_path / "views"),), min_page_views=0))
    listed = read_list(config.output).to_pylist()
    return {row["titles"][0]: row["page_views"] for row in listed if row["titles"]}


def numbered(number: int, title: str) -> str:
    return page(title, revision(1, "x")).replace("<id>1</id>", f"<id>{number}</id>", 1)


def test_views_by_page_id_reach_the_page_whatever_its_title(config: BuildConfig, tmp_path: Path) -> None:
    pages = [
        page(title, revision(1, "x")).replace("<id>1</id>", f"<id>{k}</id>", 1) for k, title in enumerate("ABCD", 10)
    ]
    pages += [page(title, revision(1, "x")) for title in "EF"]  # both have the ID 1
    rows = (
        "en.wikipedia A 10 desktop 1 A1",
        "en.wikipedia Old_name 11 desktop 20 A1",
        "en.wikipedia Old_name 12 desktop 300 A1",
        "en.wikipedia - 13 desktop 4000 A1",
        "en.wikipedia - null desktop 9 A1",
        "en.wikipedia B 13 desktop 50000 A1",
        "en.wikipedia Gone 1 desktop 9 A1",
        "en.wikipedia Gone 99 desktop 9 A1",
    )
    found = titles(config, tmp_path, "\n".join(rows), *pages)
    assert found == {"A": 1, "B": 50020, "C": 300, "D": 4000, "E": 0, "F": 0}


def test_the_views_of_untitled_rows_are_not_those_of_a_page_called_so(config: BuildConfig, tmp_path: Path) -> None:
    pages = [
        page(title, revision(1, "x")).replace("<id>1</id>", f"<id>{k}</id>", 1) for k, title in ((5, "-"), (6, "A"))
    ]
    found = titles(config, tmp_path, "en.wikipedia - 6 desktop 7 A7\nen.wikipedia - 5 desktop 8 A8\n", *pages)
    assert found == {"A": 7}  # "-" has no word


@pytest.mark.parametrize("quoted", ['"\\"Zeroes\\""', '"""Zeroes"""', '"Zeroes"'])
def test_a_title_wholly_in_quotes_has_its_views(config: BuildConfig, tmp_path: Path, quoted: str) -> None:
    rows = f'en.wikipedia {quoted} 2 desktop 99 A9\nen.wikipedia "plain" 2 desktop 5 A5\n'
    found = titles(config, tmp_path, rows, page('"Zeroes"', revision(1, "x")), page("Plain", revision(1, "x")))
    assert found == {'"Zeroes"': 99, "Plain": 5}


def test_what_is_no_page_views_names_the_formats(config: BuildConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"views: not one row of en\.wikipedia") as raised:
        titles(config, tmp_path, "<html>404</html>\n", page("A", revision(1, "x")))
    assert "pageview_complete, hourly or pagecounts-ez" in str(raised.value.remedy)
