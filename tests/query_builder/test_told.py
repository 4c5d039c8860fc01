"""What is told of a list: why each query is in it, its head and foot, and what each rule took out."""

import re
from pathlib import Path
from typing import Literal

import pytest

from query_builder.build import build
from query_builder.cli import main
from query_builder.config import BuildConfig, InspectConfig, ReportConfig
from query_builder.inspect import head_and_foot, inspect
from query_builder.lists import read_list
from query_builder.report import RULES, report
from query_builder.schema import REASONS, candidates_path
from tests.browser import needs_browser, opened
from tests.query_builder.conftest import dump, page

TEXT = "The harbour of Los Angeles. In 21 members there is a big steam engine, and a big one. "


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, wordnet_folder: str) -> str:
    folder = tmp_path_factory.mktemp("told")
    (folder / "dump.xml").write_text(dump([page("Big (film)", TEXT * 30 + "seldom " * 5)]))
    (folder / "not.txt").write_text("steam engine")
    output = str(folder / "q.parquet")
    build(
        BuildConfig(
            dump=(str(folder / "dump.xml"),), wordnet=wordnet_folder, output=output, size=1000, workers=1,
            min_word_count=10, min_pmi=1.0, exclude=(str(folder / "not.txt"),),
        )
    )  # fmt: skip
    return output


def test_every_query_says_why_it_is_in(built: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", built]) == 0
    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    rows = {row["query"]: row for row in read_list(built).to_pylist()}
    assert set(lines) == set(rows)
    assert lines["big"] == (
        f"{rows['big']['id']}\tword\tword: 60 occurrences (threshold 10); "
        "title: Big (film): views not given (threshold 70)"
    )
    assert lines["los angeles"].endswith("bigram\tbigram: 30 occurrences, PMI 4.18 (thresholds 20 and 1.0)")
    assert lines["dog"].endswith("synset\tsynset: dog.n.01, dog.v.01")
    assert main(["explain", built, "--source", "bigram"]) == 0
    assert {line.split("\t")[2] for line in capsys.readouterr().out.splitlines()} == {"bigram"}


def test_texts_are_explained_one_by_one(built: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", built, "Los Angeles", "steam engine", "seldom"]) == 0
    told = capsys.readouterr().out
    assert "'los angeles' is query" in told and "its words: los 30, angeles 30" in told
    assert "left out by --exclude" in told
    assert "5 occurrences, below the threshold of 10" in told


def test_what_was_given_is_said_to_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.txt").write_text("dog\n")
    assert main(["explain", str(tmp_path / "own.txt")]) == 0
    assert capsys.readouterr().out == "dog\t0\tlist:own.txt\tgiven by list:own.txt\n"


def test_head_and_foot_share_no_row(built: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = read_list(built)
    words = table.filter([admitted == "word" for admitted in table["admitted"].to_pylist()])
    head, foot = head_and_foot(words, "word", 2)
    assert [row["query"] for row in head] == ["a", "big"]
    assert [row["word_count"] for row in head + foot] == [60, 60, 30, 30]
    everything, nothing = head_and_foot(words, "word", len(words))
    assert len(everything) == len(words) and not nothing
    head, foot = head_and_foot(words, "word", len(words) - 1)
    assert {row["query"] for row in head} & {row["query"] for row in foot} == set()
    inspect(built, InspectConfig(top=2))
    assert "the last 2:" in capsys.readouterr().out


def test_the_report_says_what_each_rule_took_out(built: str, tmp_path: Path) -> None:
    assert set(RULES) == set(REASONS) - {""}
    page = tmp_path / "page.html"
    report(built, ReportConfig(output=str(page)))
    row = r"<tr><td>(\w+)<td>([^<]+)<td[^>]*>([\d,]+)<td[^>]*>(.*?)<td[^>]*>(.*?)(?=<tr>|</table>)"
    rows = re.findall(row, page.read_text())
    told = {(source, rule): (int(count), best, drawn) for source, rule, count, best, drawn in rows}
    function = told["bigram", RULES["function word"]]
    assert function[0] > 4 and "harbour of" in function[1] + function[2]
    assert told["bigram", RULES["number"]][1:] == ('<span class="chip">21 members</span>',) * 2
    assert told["bigram", RULES["excluded"]][0] == 1
    assert "seldom" in told["word", RULES["rare"]][1]
    Path(candidates_path(built)).rename(tmp_path / "gone")
    report(built, ReportConfig(output=str(page)))
    assert "No file beside the list tells of it" in page.read_text()
    (tmp_path / "gone").rename(candidates_path(built))


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_report_fits_its_window_in_both_schemes(
    built: str, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    report(built, ReportConfig(output=str(tmp_path / "page.html")))
    with opened(f"file://{tmp_path / 'page.html'}", width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        small = page.evaluate("[...document.querySelectorAll('.plot text')].map(t => t.getBoundingClientRect().height)")
        assert small and min(small) > 9
