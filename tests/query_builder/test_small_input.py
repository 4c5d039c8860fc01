"""Inputs too small for the default thresholds, and no dump at all."""

import os
from pathlib import Path

import pytest

from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.explain import explain
from query_builder.lists import check_list, read_list
from query_builder.schema import candidates_path
from query_builder.summary import fitting_thresholds
from webimagetext.errors import UserError


@pytest.mark.parametrize("with_wordnet", [False, True])
def test_the_defaults_on_a_small_dump_give_titles_and_synsets_and_thresholds_that_fit(
    with_wordnet: bool, tmp_path: Path, wordnet_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = "<siteinfo><namespaces><namespace key='0' case='first-letter' /></namespaces></siteinfo>"
    pages = "".join(
        f"<page><title>{name}</title><ns>0</ns><id>1</id><revision><text>One galore pair.</text></revision></page>\n"
        for name in ("Alpha", "Beta", "Gamma")
    )
    (tmp_path / "small.xml").write_text(f'<mediawiki xml:lang="en">\n{site}\n{pages}</mediawiki>\n')
    output = str(tmp_path / "queries.parquet")
    wordnet = wordnet_folder if with_wordnet else None
    build(BuildConfig(dump=(str(tmp_path / "small.xml"),), wordnet=wordnet, output=output, workers=1))
    told = capsys.readouterr().out
    assert "no word occurs 100 times: the list is of titles and synsets alone" in told
    assert "thresholds that fit 9 words of text: --min-word-count 3 --min-bigram-count 2" in told
    found = set(read_list(output)["query"].to_pylist())
    assert {"alpha", "beta", "gamma"} <= found
    assert ("galore" in found) == with_wordnet


def test_thresholds_fall_with_the_cube_root_of_the_text() -> None:
    config = BuildConfig()
    assert fitting_thresholds(config, 2_500_000_000) == ""
    assert fitting_thresholds(config, 9_000_000_000) == ""
    assert fitting_thresholds(config, 2_500_000) == "--min-word-count 10 --min-bigram-count 2"
    assert fitting_thresholds(config, 312_500_000) == "--min-word-count 50 --min-bigram-count 10"
    assert fitting_thresholds(BuildConfig(min_word_count=50), 312_500_000) == "--min-bigram-count 10"
    assert fitting_thresholds(config, 0) == "--min-word-count 3 --min-bigram-count 2"


def test_wordnet_alone_makes_a_list(tmp_path: Path, wordnet_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "queries.parquet")
    build(BuildConfig(wordnet=wordnet_folder, output=output))
    assert "5 names in normal form" in capsys.readouterr().out
    table = read_list(output)
    assert table["query"].to_pylist() == ["22 caliber", "dog", "galore", "harbour", "st louis"]
    assert table["surface"].to_pylist() == [".22 caliber", "dog", "galore", "harbour", "St. Louis"]
    assert table["sources"].to_pylist() == [["synset"]] * 5
    assert table["synsets"].to_pylist()[1] == ["dog.n.01", "dog.v.01"]
    assert check_list(output) == 5
    assert "synset: dog.n.01" in explain(output, "dog")[1]
    assert explain(output, "cat") == ["'cat' is not in the list."]
    build(BuildConfig(wordnet=wordnet_folder, output=output, size=1))
    assert read_list(output)["query"].to_pylist() == ["dog"]


def test_without_any_input_there_is_a_remedy(tmp_path: Path, wordnet_folder: str) -> None:
    with pytest.raises(UserError, match="no dump given"):
        build(BuildConfig(output=str(tmp_path / "q.parquet")))
    with pytest.raises(UserError, match="--pageviews needs a dump"):
        build(BuildConfig(wordnet=wordnet_folder, pageviews=("x",), output=str(tmp_path / "q.parquet")))
    with pytest.raises(UserError, match="--compat metaclip needs a dump"):
        build(BuildConfig(wordnet=wordnet_folder, compat="metaclip", output=str(tmp_path / "q.parquet")))


def small(folder: Path, text: str, **settings: object) -> BuildConfig:
    """A build of one page with ``text``."""
    page = f"<page><title>A</title><ns>0</ns><id>1</id><revision><text>{text}</text></revision></page>"
    (folder / "small.xml").write_text(f"<mediawiki>\n<siteinfo></siteinfo>\n{page}\n</mediawiki>\n")
    output = str(folder / "queries.parquet")
    return BuildConfig(dump=(str(folder / "small.xml"),), output=output, workers=1, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("alpha beta gamma", "--min-word-count 1 --min-bigram-count 1"),
        ("alpha beta Beta ½ ½", "--min-word-count 2 --min-bigram-count 2"),
        ("alpha Alpha ALPHA alpha", "--min-word-count 3 --min-bigram-count 2"),
    ],
)
def test_the_thresholds_proposed_are_reached(
    text: str, options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path, text, size=1)  # full with the title, and still worth a word
    build(config)
    assert f"of text: {options}\n" in capsys.readouterr().out
    least = int(options.split()[1])
    build(BuildConfig(**{**vars(config), "min_word_count": least, "size": 9}))
    assert max(n or 0 for n in read_list(config.output)["word_count"].to_pylist()) >= least


def test_a_byte_changed_in_the_middle_is_seen_whatever_the_file_says_of_its_time(tmp_path: Path) -> None:
    filler = "x " * 70_000  # beyond both ends, which a glance reads
    config = small(tmp_path, f"{filler}middle {filler}", keep_work=True, min_word_count=1)
    build(config)
    dump = tmp_path / "small.xml"
    times = dump.stat().st_atime_ns, dump.stat().st_mtime_ns
    dump.write_text(dump.read_text().replace("middle", "muddle"))
    os.utime(dump, ns=times)
    build(config)
    found = read_list(config.output)["query"].to_pylist()
    assert "muddle" in found and "middle" not in found


def test_without_the_near_misses_a_build_makes_them_and_inspect_says_so(tmp_path: Path) -> None:
    config = small(tmp_path, "alpha beta", min_word_count=1)
    build(config)
    near = Path(candidates_path(config.output))
    near.unlink()
    assert explain(config.output, "alpha")[1].startswith("  word: 1 occurrences")
    with pytest.raises(UserError, match=r"the near misses that belong to .* are missing") as raised:
        explain(config.output, "gamma")
    assert "run the command that made it once more" in str(raised.value.remedy)
    build(config)
    assert "gamma' is not in the list" in explain(config.output, "gamma")[0]
