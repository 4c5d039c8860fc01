"""Several lists as one."""

from pathlib import Path

import pyarrow as pa
import pytest

from query_builder.cli import main
from query_builder.importing import import_to
from query_builder.lists import check_list, read_list
from query_builder.merging import merge
from query_builder.rows import write_queries
from query_builder.schema import Query
from webimagetext.errors import UserError

COUNTED = [
    Query("dog", "Dog", ("word", "title"), "word", word_count=7, titles=("Dog",)),
    Query("hong kong", "Hong Kong", ("bigram",), "bigram", bigram_count=3, pmi=8.5),
]
SYNSETS = [
    Query("cat", "cat", ("synset",), "synset", synsets=("cat.n.01",)),
    Query("dog", "dog", ("synset",), "synset", word_count=9, page_views=70, titles=("Hound",), synsets=("dog.n.01",)),
]


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / name) for name in ("a.parquet", "b.parquet", "own.txt")]
    for path, rows in zip(paths, (COUNTED, SYNSETS), strict=False):
        write_queries(path, rows, {"settings": {"compat": "none"}})
    Path(paths[2]).write_text("HONG-KONG\nbird\n")
    return paths


def test_every_query_is_in_once_with_all_that_is_known(lists: list[str]) -> None:
    rows = {row.query: row for row in merge(lists, frozenset())}
    assert list(rows) == ["bird", "cat", "dog", "hong kong"]
    assert rows["dog"] == Query(
        "dog", "Dog", ("word", "title", "synset"), "word",
        word_count=7, page_views=70, titles=("Dog", "Hound"), synsets=("dog.n.01",),
    )  # fmt: skip
    assert rows["hong kong"].sources == ("bigram", "list:own.txt")
    assert (rows["hong kong"].pmi, rows["bird"].admitted) == (8.5, "list:own.txt")
    assert merge(lists[1::-1], frozenset())[1].word_count == 9, "the first list's"


def test_the_command_writes_a_list_without_what_is_excluded(
    lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "not.txt").write_text("Dog\nno such\n")
    output = str(tmp_path / "all.parquet")
    assert main(["merge", *lists, "--exclude", str(tmp_path / "not.txt"), "--output", output]) == 0
    assert capsys.readouterr().out == f"{output}: 3 queries of 6 in 3 lists\n"
    assert read_list(output)["query"].to_pylist() == ["bird", "cat", "hong kong"]
    assert check_list(output) == 3
    assert main(["merge", lists[0], "--exclude", lists[0], "--output", output]) == 2
    assert "every query of the lists is excluded" in capsys.readouterr().err


def test_an_import_leaves_out_what_is_excluded(lists: list[str], tmp_path: Path) -> None:
    (tmp_path / "not.txt").write_text("Bird!\n")
    found = import_to(str(tmp_path / "q.parquet"), [lists[2]], exclude=[str(tmp_path / "not.txt")])
    assert [row.query for row in found.rows] == ["hong kong"]
    assert list(found.lines())[1] == "  1 excluded: 'bird'"
    with pytest.raises(UserError, match="every text is excluded"):
        import_to(str(tmp_path / "q.parquet"), [lists[2]], exclude=[lists[2]])


def test_lists_of_both_rules_of_matching_are_not_mixed(lists: list[str], tmp_path: Path) -> None:
    old = str(tmp_path / "old.parquet")
    write_queries(old, [Query("Dog", "Dog", ("title",), "title")], {"settings": {"compat": "metaclip"}})
    with pytest.raises(UserError, match="a list made with --compat metaclip"):
        merge([lists[0], old], frozenset())
    with pytest.raises(UserError, match="a list made with --compat none"):
        merge([lists[0], old], frozenset(), as_written=True)
    assert [row.query for row in merge([old, lists[2]], frozenset(), as_written=True)] == ["Dog", "HONG-KONG", "bird"]


def test_a_list_of_queries_and_ids_alone_is_one_of_them(lists: list[str], tmp_path: Path) -> None:
    bare = tmp_path / "bare.parquet"
    pa.parquet.write_table(pa.table({"query": ["cat", "owl"], "id": pa.array([0, 1], pa.uint32())}), bare)
    rows = {row.query: row for row in merge([str(bare), lists[1]], frozenset())}
    assert rows["cat"].sources == ("synset",) and rows["owl"].sources == ()
