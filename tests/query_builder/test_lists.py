"""What counts as a query list: what is optional, what is needed, and texts of one's own in normal form."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from query_builder.config import DiffConfig, InspectConfig, ReportConfig
from query_builder.diff import compare, diff
from query_builder.explain import explain
from query_builder.importing import collect, import_to
from query_builder.inspect import inspect
from query_builder.lists import check_list, is_query_list, read_list
from query_builder.normalize import NORMAL_FORM, normalize
from query_builder.report import report
from query_builder.schema import QUERIES, read_metadata
from webimagetext.errors import UserError

NAMES = ["a cat", "dog", "日 本"]

LONG = random.Random(1).randbytes(300_000).hex()  # a packed file of several blocks


def ids(count: int) -> pa.Array:
    return pa.array(range(count), pa.uint32())


def test_a_list_needs_query_and_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"query": NAMES[::-1], "id": pa.array([2, 1, 0], pa.int64())}), path)
    assert is_query_list(str(path))
    table = read_list(str(path))
    assert table.schema.remove_metadata().names == QUERIES.names
    assert table["query"].to_pylist() == table["surface"].to_pylist() == NAMES
    assert table["sources"].to_pylist() == [[], [], []]
    assert table["word_count"].to_pylist() == [None] * 3
    assert table["admitted"].to_pylist() == [""] * 3
    assert read_list(str(path), ("surface",)).to_pydict() == {"surface": NAMES}
    assert check_list(str(path)) == 3


def test_columns_that_are_there_are_kept_and_filled(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    columns = {
        "query": pa.array(NAMES).dictionary_encode(),
        "surface": ["A cat", None, "日本"],
        "id": ids(3),
        "sources": [["synset"], None, ["word", "mine"]],
        "word_count": pa.array([None, 7, 0], pa.int32()),
    }
    pq.write_table(pa.table(columns), path)
    table = read_list(str(path))
    assert table["surface"].to_pylist() == ["A cat", "dog", "日本"]
    assert table["sources"].to_pylist() == [["synset"], [], ["word", "mine"]]
    assert table["word_count"].to_pylist() == [None, 7, 0]
    assert table["titles"].to_pylist() == [[], [], []]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"query": ["a", "b"], "id": np.array([0, 2], np.uint32)}, "ids are not the numbers from 0 to 1"),
        ({"query": ["a", "b"], "id": np.array([1, 1], np.uint32)}, "ids are not the numbers from 0 to 1"),
        ({"query": pa.array([], pa.string()), "id": ids(0)}, "the query list is empty"),
        ({"query": ["a", "Dog"], "id": ids(2)}, "query 1, 'Dog', is not in normal form ('dog')"),
        ({"query": ["a", None], "id": ids(2)}, "query 1, the empty text, finds nothing"),
        ({"query": ["b", "a", "a"], "id": ids(3)}, "two queries are equal: 'a'"),
        ({"query": [1, 2], "id": pa.array([[0], [1]])}, "not a query list"),
        ({"price": [1.5, 2.5]}, "no column with a usual name"),
        ({"text": [1, 2]}, "the column text holds int64, not texts"),
    ],
)
def test_what_a_run_cannot_use_is_named(tmp_path: Path, columns: dict[str, object], problem: str) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(UserError) as error:
        check_list(str(path))
    assert f"{path}: " in error.value.problem and problem in error.value.problem
    assert error.value.remedy


def test_missing_cut_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such query list"):
        check_list(str(tmp_path / "none.parquet"))
    whole = tmp_path / "q.parquet"
    pq.write_table(pa.table({"query": NAMES, "id": ids(3)}), whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a Parquet file"):
        check_list(str(cut))
    (tmp_path / "empty.txt").write_bytes(b"\n  \n\xe2\x80\xa6\n")
    with pytest.raises(UserError, match="no query in it"):
        check_list(str(tmp_path / "empty.txt"))
    (tmp_path / "fake.parquet").write_text("dog\n")
    with pytest.raises(UserError, match="not a Parquet file"):
        check_list(str(tmp_path / "fake.parquet"))


def test_for_the_published_rule_the_letters_count(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"query": ["Dog", "dog", "St. Louis"], "id": ids(3)}), path)
    assert check_list(str(path), "metaclip") == 3
    with pytest.raises(UserError, match="normal form"):
        check_list(str(path))
    own = tmp_path / "own.json"
    own.write_text(json.dumps(["dog", "Dog", "St. Louis"]))
    assert (check_list(str(own)), check_list(str(own), "metaclip")) == (2, 3)
    assert read_list(str(own), ("query",), as_written=True)["query"].to_pylist() == ["Dog", "St. Louis", "dog"]


def test_a_list_of_another_normal_form_is_refused_with_what_to_do(tmp_path: Path) -> None:
    def written(name: str, **metadata: object) -> str:
        path = tmp_path / name
        table = pa.table({"query": NAMES, "id": ids(3)})
        pq.write_table(table.replace_schema_metadata({"query_builder": json.dumps(metadata)}), path)
        return str(path)

    assert check_list(written("today.parquet", normal_form=NORMAL_FORM)) == 3
    for path in (written("unnumbered.parquet", settings={}), written("later.parquet", normal_form=NORMAL_FORM + 1)):
        with pytest.raises(UserError, match=rf"another normal form.*\({NORMAL_FORM}\)") as refused:
            check_list(path)
        assert "make it anew" in refused.value.remedy
        assert "\n" not in refused.value.problem + refused.value.remedy
        assert check_list(path, "metaclip") == 3

    (tmp_path / "own.txt").write_text("Dog\n")
    import_to(str(tmp_path / "own.parquet"), [str(tmp_path / "own.txt")])
    assert (read_metadata(str(tmp_path / "own.parquet")) or {})["normal_form"] == NORMAL_FORM


def write_forms(folder: Path) -> dict[str, str]:
    """The same four texts in every form that is read, by name."""
    texts = ["Dog", "New York", "Café, noir", "日本"]
    lines = "\r\n".join([*texts, ""])
    (folder / "a.txt").write_text(lines)
    (folder / "marked.txt").write_bytes(lines.encode("utf-8-sig"))
    (folder / "wide.txt").write_bytes(lines.encode("utf-16"))
    (folder / "unended.list").write_text("\n".join(texts))
    (folder / "packed.txt.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "a.csv").write_text("number,Text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(texts)))
    (folder / "bare.csv").write_text("".join(f'"{text}"\n' for text in texts))
    (folder / "german.csv").write_text("name;n\n" + "".join(f"{text};1\n" for text in texts))
    (folder / "a.tsv").write_text("n\tquery\n" + "".join(f'1\t"{text}"\n' for text in texts))
    (folder / "a.json").write_text(json.dumps(texts))
    (folder / "counts.json").write_text(json.dumps(dict.fromkeys(texts, 3)))
    (folder / "under.json").write_text(json.dumps({"entries": texts}))
    (folder / "objects.json").write_text(json.dumps([{"id": 1, "name": text} for text in texts]))
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"n": [1, 2, 3, 4], "caption": texts}), folder / "a.parquet")
    pq.write_table(pa.table({"title": pa.array(texts).dictionary_encode()}), folder / "unnamed.bin")
    return {path.name: str(path) for path in folder.iterdir()}


def test_every_form_gives_the_same_list(tmp_path: Path) -> None:
    expected = sorted(map(normalize, ["Dog", "New York", "Café, noir", "日本"]))
    forms = write_forms(tmp_path)
    assert len(forms) == 16
    for name, path in forms.items():
        assert read_list(path, ("query",))["query"].to_pylist() == expected, name
        assert read_list(path, ("sources",))["sources"].to_pylist() == [[f"list:{name}"]] * 4, name
        assert check_list(path) == 4, name


def test_what_became_of_the_texts_is_told(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.csv"
    first.write_text("Dog\ndog\nDOG!\n…\n" + "x" * 1001 + "\n" + "y" * 1000 + "\n\n")
    second.write_text("text,source\ndog,zoo\ncat,zoo\ncat,house\nbird,\n")
    found = collect([str(first), str(second)])
    assert [row.query for row in found.rows] == ["bird", "cat", "dog", "y" * 1000]
    assert found.rows[2].sources == ("list:a.txt", "zoo")
    assert found.rows[2].surface == "Dog"
    assert found.rows[1].sources == ("zoo", "house")
    assert found.rows[0].sources == ("list:b.csv",)
    head, *told = found.lines()
    assert head == "10 texts gave 4 queries"
    assert told[0] == "  4 equal to an earlier one: 'dog' = 'Dog', 'DOG!' = 'Dog', 'cat' = 'cat', …"
    assert told[1] == "  1 without a word: '…'"
    assert told[2].startswith("  1 longer than 1,000 characters: a.txt line 5 ('xxx")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", b"dog\ncaf\xe9\n", "line 2: the byte 0xe9 is not UTF-8"),
        ("a.txt", b"dog\0cat\n", "not a text file: there is a zero byte at character 3"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json", b'["dog", 3]', "entry 2 is 3, not a text"),
        ("a.json", b'"dog"', "neither a list nor an object"),
        ("a.json", b'[{"price": 1}]', "no column with a usual name"),
        ("a.jsonl", b'"dog"\n{\n', "line 2: not JSON"),
        ("a.csv", b'text\n"dog\ncat\n', "not a table"),
        ("a.csv", b"1,dog\n2,cat\n", "no column with a usual name, such as query, text or name, among: 1, dog"),
        ("a.txt.gz", gzip.compress(b"dog\n" * 99, mtime=0)[:-9], "cannot be unpacked"),
        (
            "a.txt.zst",
            zstandard.compress(b"dog\n" + LONG.encode())[:-9],
            "cannot be unpacked",
        ),
    ],
)
def test_unreadable_texts_are_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        check_list(str(tmp_path / name))
    assert problem in error.value.problem and name in error.value.problem


def test_a_column_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("'hood\twordnet\ndog\tzoo\n")
    assert [row.query for row in collect([str(path)], "1").rows] == ["dog", "hood"]
    assert [row.query for row in collect([str(path)], "2").rows] == ["wordnet", "zoo"]
    with pytest.raises(UserError, match="no column 3 among 2"):
        collect([str(path)], "3")
    assert [row.query for row in collect([str(path)], "Wordnet").rows] == ["zoo"]
    with pytest.raises(UserError, match="no column 'price' among: 'hood, wordnet"):
        collect([str(path)], "price")


def test_inspect_diff_and_report_take_every_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forms = write_forms(tmp_path)
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"query": ["cat", "dog"], "id": ids(2)}), bare)
    for name, path in {**forms, "bare.parquet": str(bare)}.items():
        inspect(path, InspectConfig())
        shown = capsys.readouterr().out
        assert f"{path}: {2 if name == 'bare.parquet' else 4} queries" in shown
        assert ("no source: 2 in its places" if name == "bare.parquet" else f"list:{name}: 4 in its places") in shown
        report(path, ReportConfig(output=str(tmp_path / "page.html")))
        page = (tmp_path / "page.html").read_text()
        assert "<h3>no source</h3>" in page if name == "bare.parquet" else f"<h3>list:{name}</h3>" in page
        assert explain(path, "DOG!")[0].startswith("'dog' is query ")
        assert explain(path, "bird") == ["'bird' is not in the list."]
    capsys.readouterr()
    diff(forms["a.txt"], str(bare), DiffConfig())
    told = capsys.readouterr().out
    assert "in both 1   only in old 3   only in new 1" in told
    assert "list:a.txt: 0 kept, 4 gone, 0 new" in told
    assert "word:" not in told
    changes = {change.source: change for change in compare(forms["a.csv"], forms["a.json"])}
    assert changes["list:a.json"].new == ("café noir", "dog", "new york", "日 本")
