"""The README's table of speeds says what the stored results say, and nothing else of the README changes with it."""

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks import table
from benchmarks.__main__ import BENCHMARKS, main
from webimagetext.errors import UserError

RESULTS = table.stored(BENCHMARKS, table.RESULTS)
MARKED = "# Title\n\n{begin}\nold\n{end}\n\n## Next\n"


def language(**changed: Any) -> dict[str, Any]:
    about = {"date": "2026-11-20", "machine": "2 cores of some kind", "load_before": 0.1}
    real = {"as they are": 98765, "80 words": 87654}
    return {**about, "name": "language", "ours": 64900, "peer": 345, "ratio": 188.1, "real": real, **changed}


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (2239871, 3, "2,240,000"),
        (361.6, 3, "362"),
        (12.96, 3, "13.0"),
        (0.7161, 2, "0.72"),
        (188.1, 2, "190"),
        (1.18, 2, "1.2"),
        (999.9, 3, "1,000"),
        (0, 3, "0"),
    ],
)
def test_figures_have_the_digits_that_count(value: float, digits: int, said: str) -> None:
    assert table.figure(value, digits) == said


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.951, "0.95"), (1.048, "1.05"), (2.83, "2.8"), (40.9, "41"), (188.1, "190")]
)
def test_ratios_are_exact_near_one(ratio: float, said: str) -> None:
    assert table.times(ratio) == said


def test_a_result_is_stored_with_day_machine_and_load(tmp_path: Path) -> None:
    table.store({"name": "match", "ours": 3}, 1.26, tmp_path / "results")
    table.store({"name": "loss", "ours": 4}, 0.0, tmp_path / "results")
    loss, match = table.stored(["step", "loss", "match"], tmp_path / "results")
    assert (loss["ours"], match["ours"], match["load_before"]) == (4, 3, 1.3)
    assert match["date"] == date.today().isoformat()
    assert "cores of" in match["machine"]


def test_the_table_is_made_of_each_results_own_words() -> None:
    text = table.rendered([language(), language(date="2026-11-22", ours=70123, ratio=203.2)])
    assert "Taken on 2 cores of some kind; 2026-11-20 to 2026-11-22." in text
    said = (
        "| `language` | the language rule alone: {} captions a second; of a web list, 98,800; of eighty words, 87,700 |"
    )
    assert said.format("64,900") + " langdetect: 345 | 190 |" in text
    assert said.format("70,100") + " langdetect: 345 | 200 |" in text


def test_without_results_the_remedy_is_named() -> None:
    with pytest.raises(UserError) as error:
        table.rendered([])
    assert "make bench-all" in error.value.remedy


def test_only_what_is_between_the_marks_changes() -> None:
    text = MARKED.format(begin=table.BEGIN, end=table.END)
    made = table.with_table(text, "new \\1\n")
    assert made == text.replace("old\n", "new \\1\n")
    assert table.with_table(made, "new \\1\n") == made
    with pytest.raises(UserError, match="marks"):
        table.with_table("# Title\n", "new\n")


def test_the_command_writes_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKED.format(begin=table.BEGIN, end=table.END), encoding="utf-8")
    (tmp_path / "language.json").write_text(json.dumps(language()), encoding="utf-8")
    monkeypatch.setattr(table, "README", readme)
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    assert main(["table"]) == 0
    assert "langdetect: 345" in readme.read_text(encoding="utf-8")
    assert readme.read_text(encoding="utf-8").endswith("## Next\n")


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: str(result["name"]))
def test_the_readme_has_the_stored_figures(result: dict[str, Any]) -> None:
    readme = table.README.read_text(encoding="utf-8")
    rows = table.module_of(result["name"]).rows(result)
    assert rows and all(f"| `{result['name']}` | {row.ours} | {row.other} | {row.ratio} |\n" in readme for row in rows)
    assert result["equal"] is True


def test_a_changed_figure_is_noticed() -> None:
    readme = table.README.read_text(encoding="utf-8")
    assert table.with_table(readme, table.rendered(RESULTS)) == readme
    changed = copy.deepcopy(RESULTS)
    next(result for result in changed if result["name"] == "language")["ours"] *= 2
    assert table.with_table(readme, table.rendered(changed)) != readme
