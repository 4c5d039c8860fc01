"""What a user or a rule leaves out of the list: function words, numbers, stop words, texts of their own."""

from pathlib import Path

import pytest

from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.explain import explain
from query_builder.lists import read_list
from query_builder.schema import read_metadata
from tests.query_builder.conftest import dump, page
from webimagetext.errors import UserError

TEXT = "The harbour of Los Angeles. In 21 members there is a big Apollo 13 and an 8-bit steam engine. "


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    (tmp_path / "dump.xml").write_text(dump([page("1984", TEXT * 30), page("Big", "Los Angeles")]))
    return BuildConfig(
        dump=(str(tmp_path / "dump.xml"),), output=str(tmp_path / "q.parquet"), size=1000, workers=1,
        min_word_count=10, min_pmi=1.0,
    )  # fmt: skip


def queries(config: BuildConfig, **changes: object) -> set[str]:
    build(BuildConfig(**{**vars(config), **changes}))  # type: ignore[arg-type]
    return set(read_list(config.output)["query"].to_pylist())


def test_function_words_and_numbers_are_out_by_default_and_told(config: BuildConfig) -> None:
    found = queries(config)
    assert {"los angeles", "apollo 13", "8 bit", "steam engine", "the", "1984"} <= found
    assert not {"harbour of", "21 members", "21", "13"} & found
    assert explain(config.output, "harbour of")[1].endswith("but a word of it is a function word")
    assert explain(config.output, "21 members")[1].endswith("but it begins with a number")
    assert explain(config.output, "21")[1].endswith("but it is a number")
    metadata = read_metadata(config.output)
    assert metadata is not None and metadata["rules"]["bigram"]["number"] == 1
    assert metadata["rules"]["word"]["number"] == 3
    kept = queries(config, function_words="keep", bare_numbers="keep")
    assert {"harbour of", "21 members", "21", "13"} <= kept


def test_stop_words_are_no_words_and_in_no_bigram(config: BuildConfig, tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_text("Steam\nBig\n")
    found = queries(config, stop_words=str(tmp_path / "stop.txt"))
    assert not {"steam", "steam engine", "big apollo"} & found
    assert {"engine", "big"} <= found, "Big is a title"
    row = next(row for row in read_list(config.output).to_pylist() if row["query"] == "big")
    assert (row["sources"], row["word_count"]) == (["title"], 30)
    assert explain(config.output, "steam")[1].endswith("but it is a stop word")
    assert explain(config.output, "steam engine")[1].endswith("but a word of it is a stop word")


def test_what_is_excluded_leaves_its_place_to_the_next(config: BuildConfig, tmp_path: Path) -> None:
    before = queries(config, size=6, budget=("words=2", "bigrams=2", "titles=2"))
    gone = {min(before - {"1984", "big"}), "big"}
    (tmp_path / "own.csv").write_text("text\n" + "\n".join(gone).upper() + "\n")
    after = queries(config, size=6, budget=("words=2", "bigrams=2", "titles=2"), exclude=(str(tmp_path / "own.csv"),))
    assert not gone & after and len(after) == 6
    for text in gone:
        assert any(line.endswith("left out by --exclude") for line in explain(config.output, text))


def test_another_content_of_a_file_makes_another_list(config: BuildConfig, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("steam")
    assert "engine" in queries(config, exclude=(str(path),))
    path.write_text("engine")
    found = queries(config, exclude=(str(path),))
    assert "engine" not in found and "steam" in found


def test_the_published_rules_know_none_of_it(config: BuildConfig, tmp_path: Path) -> None:
    queries(config, compat="metaclip")
    first = Path(config.output).read_bytes()
    options = {"function_words": "keep", "bare_numbers": "keep", "min_log_likelihood": 1e9}
    queries(config, compat="metaclip", output=str(tmp_path / "other.parquet"), **options)
    assert (tmp_path / "other.parquet").read_bytes() == first
    with pytest.raises(UserError, match="--exclude: has no place in the published rules"):
        queries(config, compat="metaclip", exclude=("x",))
