import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher
from query_builder.lists import read_list
from query_builder.normalize import normalize
from tests.oracles.matching import NgramOracle, published_rule
from webimagetext.errors import UserError


def test_words_equal_the_oracle_on_odd_captions(queries_parquet: Path, odd_captions: list[str], tmp_path: Path) -> None:
    matcher = Matcher(build_automaton(str(queries_parquet), str(tmp_path / "automaton")))
    oracle = NgramOracle(matcher.queries.to_pylist())
    matches = matcher.match(pa.array(odd_captions))
    assert matches.to_pylist() == [oracle.match(caption) for caption in odd_captions]
    assert matches.type.value_type == pa.uint32()


NAMED = [
    # (what is tried, query as a person would write it, captions that hold it, captions that do not)
    (
        "quotes",
        "hot dog",
        ["“hot dog”", "'hot dog'", "«hot dog»", "the hot dog’s bun", 'a "hot" dog'],
        ["hotdog", "hot 2 dog"],
    ),
    ("brackets", "cat", ["(cat)", "[cat]", "{cat}", "<cat>", "（cat）", "【cat】"], ["(cats)", "[concat]"]),
    ("hyphens", "new york", ["New-York", "new‐york", "new‑york", "new–york", "new—york", "NEW - YORK"], ["newyork"]),
    ("a hyphen in the query", "e-mail", ["e mail", "E-Mail", "e_mail", "e.mail"], ["email"]),
    ("slashes", "cat", ["dog/cat", "dog\\cat", "cat/dog", "dog⁄cat", "dog|cat"], ["dog/cats"]),
    ("abbreviations", "U.S.", ["the U.S. today", "u.s", "U. S.", "U S", "U.S.A."], ["US", "us"]),
    ("an apostrophe", "rock 'n' roll", ["rock’n’roll", "Rock n Roll", "rock `n´ roll"], ["rocknroll", "rock and roll"]),
    (
        "no-break spaces",
        "new york",
        ["new\u00a0york", "new\u202fyork", "new\u2007york", "new\u3000york"],
        ["newyork", "new x york"],
    ),
    ("combining marks", "café", ["cafe\u0301", "CAFE\u0301", "café.", "(CAFÉ)"], ["cafe", "cafés"]),
    ("several marks", "việt nam", ["Vie\u0323\u0302t Nam", "VIỆT NAM", "vi\u1ec7t nam"], ["viet nam"]),
    ("emoji", "dog", ["dog🐕", "🐕dog🐕", "a dog❤️", "🐕‍🦺 dog", "dog👍🏽"], ["🐕", "dogs🐕"]),
    ("Han", "日本", ["日本", "日本の犬", "今日本当", "(日本)"], ["日 x 本", "本日"]),
    ("kana", "ラーメン", ["熱いラーメン", "ﾗｰﾒﾝ"], ["ラメン"]),
    ("Hangul", "서울", ["서울 2024", "\u1109\u1165\u110b\u116e\u11af"], ["서울시"]),
    ("dotted I", "istanbul", ["İstanbul", "İSTANBUL", "ISTANBUL", "I\u0307stanbul"], ["ıstanbul"]),
    ("full width and ligatures", "fine dog", ["ｆｉｎｅ　ｄｏｇ", "ﬁne dog", "𝐟𝐢𝐧𝐞 𝐝𝐨𝐠"], ["fin edog"]),
    ("Greek capitals", "ελλάς", ["ΕΛΛΆΣ", "Ελλάς"], ["ελλας"]),
    (
        "what nobody sees",
        "hot dog",
        ["❤️hot dog", "h\u00adot dog\ufe0f", "\u200bhot\u200b dog", "hot d\u200dog"],
        ["hot\u200bdog"],
    ),
    ("a joiner", "میخواهم", ["می\u200cخواهم"], ["می خواهم"]),
    ("trade marks", "hot dog", ["Hot™ Dog℠", "Hot® Dog™"], ["hot tm dog"]),
    ("signs of numbers", "2 1 2 inch", ["2½ inch", "2 1/2 inch", "②½inch"], ["21 2 inch", "2 ½inches"]),
    ("raised and lowered", "h2o", ["H₂O", "h₂o¹", "H2O™"], ["H²O", "h 2 o"]),
    ("units and numbered signs", "5 kg", ["5㎏", "№5㎏", "⑤㎏", "5️⃣ kg"], ["5kg"]),
    ("the sharp s", "straße", ["Straße", "STRAẞE"], ["strasse"]),
]


@pytest.mark.parametrize(("query", "holding", "other"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED])
def test_marks_and_scripts(
    query: str, holding: list[str], other: list[str], tmp_path: Path, write_queries: Callable[[Path, list[str]], Path]
) -> None:
    path = write_queries(tmp_path / "q.parquet", [query, "filler"])
    matcher = Matcher(build_automaton(str(path), str(tmp_path)))
    oracle = NgramOracle(matcher.queries.to_pylist())
    captions = [form.format(text) for text in [*holding, *other] for form in ("{}", "a {} b", "filler {} filler")]
    matches = matcher.match(pa.array(captions)).to_pylist()
    assert matches == [oracle.match(caption) for caption in captions]
    expected = [True] * 3 * len(holding) + [False] * 3 * len(other)
    wrong = [caption for caption, found, hit in zip(captions, matches, expected, strict=True) if (0 in found) != hit]
    assert wrong == []


def test_what_a_reader_expects_to_match(queries_parquet: Path, tmp_path: Path) -> None:
    matcher = Matcher(build_automaton(str(queries_parquet), str(tmp_path)))
    names = matcher.queries.to_pylist()

    def found(caption: str) -> set[str]:
        return {names[index] for index in matcher.match(pa.array([caption]))[0].as_py()}

    assert found("A (dog)/cat.") == {"dog", "cat"}
    assert found("NEW-YORK City") == {"new york", "york", "new york city"}
    assert found("Made in the U.S.") == {"the", "u s"}
    assert found("rock’n’roll") == {"rock n roll"}
    assert found("İSTANBUL") == {"istanbul"}
    assert found("日本") == {"日 本"}
    assert found("CAFE\u0301") == {"café"}
    assert found("dogs concatenate") == set()


def test_the_published_rule_exactly(queries_parquet: Path, odd_captions: list[str], tmp_path: Path) -> None:
    matcher = Matcher(build_automaton(str(queries_parquet), str(tmp_path), "metaclip"))
    entries = read_list(str(queries_parquet), ("surface",))["surface"].to_pylist()
    captions = [*odd_captions, "New York,New York", "U.S. dog", " dog", "dog ", "a  dog  ", "dog,hot dog", "7;7"]
    assert matcher.match(pa.array(captions)).to_pylist() == [published_rule(entries, text) for text in captions]


def test_the_published_rule_with_entries_that_hold_spaces_and_marks(tmp_path: Path) -> None:
    entries = ["a", "a  b", "st. louis", ",", ", ,", "b ,", "U.S."]
    table = pa.table({"query": [f"q{i}" for i in range(len(entries))], "surface": entries, "id": range(len(entries))})
    pq.write_table(table, tmp_path / "q.parquet")
    matcher = Matcher(build_automaton(str(tmp_path / "q.parquet"), str(tmp_path), "metaclip"))
    captions = ["a  b", "a,b", "st. louis", ",,", "a\t\tb,", "a b , ,", "", " ", "U.S."]
    assert matcher.match(pa.array(captions)).to_pylist() == [published_rule(entries, text) for text in captions]


def test_many_queries_and_real_captions(
    shared_data: Path, tmp_path: Path, write_queries: Callable[[Path, list[str]], Path]
) -> None:
    with gzip.open(shared_data / "queries" / "queries_648573.tsv.gz", "rt", encoding="utf-8") as stream:
        lines = [line.split("\t")[0] for line in stream]
    path = write_queries(tmp_path / "q.parquet", [line for line in lines if normalize(line)])
    captions = pq.read_table(shared_data / "captions" / "laion_test_10000.parquet").column("TEXT").combine_chunks()
    matcher = Matcher(build_automaton(str(path), str(tmp_path)))
    oracle = NgramOracle(matcher.queries.to_pylist())
    expected = [oracle.match(caption or "") for caption in captions.to_pylist()]
    assert matcher.match(captions).to_pylist() == expected


def test_the_file_is_named_by_its_content_and_written_once(queries_parquet: Path, tmp_path: Path) -> None:
    first = build_automaton(str(queries_parquet), str(tmp_path / "a"))
    before = Path(first).stat().st_mtime_ns
    assert build_automaton(str(queries_parquet), str(tmp_path / "a")) == first
    assert Path(first).stat().st_mtime_ns == before
    second = build_automaton(str(queries_parquet), str(tmp_path / "b"))
    assert Path(second).name == Path(first).name
    assert Path(second).read_bytes() == Path(first).read_bytes()
    assert Path(build_automaton(str(queries_parquet), str(tmp_path / "a"), "metaclip")).name != Path(first).name


def test_a_matcher_travels_as_its_path(queries_parquet: Path, tmp_path: Path) -> None:
    matcher = Matcher(build_automaton(str(queries_parquet), str(tmp_path)))
    data = pickle.dumps(matcher)
    assert len(data) < 1000
    assert (
        pickle.loads(data).match(pa.array(["hot dog"])).to_pylist() == matcher.match(pa.array(["hot dog"])).to_pylist()
    )


def test_an_automaton_on_an_object_store(
    queries_parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    path = build_automaton(str(queries_parquet), "memory://bucket/automaton")
    matcher = Matcher(path)
    assert matcher.queries[0].as_py() == "dog"
    assert len(list(tmp_path.glob("webimagetext-*/*.bin"))) == 1


def test_mistakes_are_named(tmp_path: Path, queries_parquet: Path) -> None:
    def built(table: pa.Table) -> str:
        pq.write_table(table, tmp_path / "bad.parquet")
        return build_automaton(str(tmp_path / "bad.parquet"), str(tmp_path))

    with pytest.raises(UserError, match="no such file"):
        build_automaton(str(tmp_path / "none.parquet"), str(tmp_path))
    with pytest.raises(UserError, match="ids are not"):
        built(pa.table({"query": ["a", "b"], "id": np.array([0, 2], np.uint32)}))
    with pytest.raises(UserError, match="two queries are equal"):
        built(pa.table({"query": ["a", "a"], "id": np.array([0, 1], np.uint32)}))
    with pytest.raises(UserError, match="'Dog', is not in normal form"):
        built(pa.table({"query": ["a", "Dog"], "id": np.array([0, 1], np.uint32)}))
    cut = tmp_path / "cut.bin"
    cut.write_bytes(Path(build_automaton(str(queries_parquet), str(tmp_path))).read_bytes()[:600])
    with pytest.raises(UserError, match="not a whole automaton file"):
        Matcher(str(cut))
    with pytest.raises(UserError, match="no such file"):
        Matcher(str(tmp_path / "none.bin"))
