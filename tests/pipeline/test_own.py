"""Parts of a user's own: rules, readers and steps by name, what is told when they fail, and that their code decides."""

import importlib
import sys
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, read_table
from pipeline.own import load, own_rules
from pipeline.tables.schema import REJECTS
from tests.pipeline.small_job import Job
from webimagetext.errors import UserError

HERE = "tests.pipeline.test_own"
BATCH = pa.RecordBatch.from_pydict({"pair_id": [1, 2, 3], "url": ["u"] * 3, "caption": ["one", "two", "three"]})


def long_words(batch: pa.RecordBatch) -> list[str | None]:
    return ["long" if len(text) > 3 else None for text in batch.column("caption").to_pylist()]


class Ending:
    """A rule as ours are, with a name and a column that the ledger quotes."""

    name = "ending"
    detail = "url"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        return pa.array(["e" if text.endswith("e") else None for text in batch.column("caption").to_pylist()]), {}


def too_few(batch: pa.RecordBatch) -> list[str | None]:
    return [None]


def fails(batch: pa.RecordBatch) -> list[str | None]:
    raise ZeroDivisionError("of mine")


class Blue(beam.PTransform):
    def expand(self, rows: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return rows | beam.Map(_blue).with_output_types(pa.RecordBatch)


def _blue(batch: pa.RecordBatch) -> pa.RecordBatch:
    reasons = ["blue" if "blue" in text else None for text in batch.column("caption").to_pylist()]
    return batch.append_column("reason", pa.array(reasons, pa.string()))


class NoReason(beam.PTransform):
    def expand(self, rows: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return rows | beam.Map(lambda batch: batch).with_output_types(pa.RecordBatch)


def test_functions_and_classes_are_rules() -> None:
    plain, kind = own_rules("text.rules", [f"{HERE}:long_words", f"{HERE}:Ending"])
    assert (plain.name, kind.name) == ("long_words", "ending")
    assert [rule.detail for rule in (plain, kind)] == ["caption", "url"]  # type: ignore[attr-defined]
    assert plain(BATCH)[0].to_pylist() == [None, None, "long"]
    assert kind(BATCH)[0].to_pylist() == ["e", None, "e"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("too_few", "gave 1 answers for 3 rows"),
        ("fails", r"failed in .*test_own.py, line \d+: ZeroDivisionError: of mine"),
    ],
)
def test_a_rule_that_is_wrong_is_told(name: str, said: str) -> None:
    (rule,) = own_rules("text.rules", [f"{HERE}:{name}"])
    with pytest.raises(UserError, match=rf"text.rules: {HERE}:{name} {said}"):
        rule(BATCH)


@pytest.mark.parametrize("name", ["no.such.module:f", f"{HERE}:nothing", f"{HERE}:HERE"])
def test_what_is_not_there_is_told(name: str) -> None:
    with pytest.raises(UserError, match=f"extract.reader: {name}"):
        load("extract.reader", name)


def dropped(run: RunFolder, stage: str) -> dict[str, int]:
    table = read_table(run.rejects(stage), REJECTS)
    counts = table.group_by("reason").aggregate([([], "count_all")]).to_pylist()
    return {row["reason"]: row["count_all"] for row in counts}


def captions(folder: str) -> list[str]:
    return [text for batch in iter_batches(folder, ["caption"]) for text in batch.column("caption").to_pylist()]


def test_steps_stand_between_the_stages_and_account_for_their_rows(job: Job) -> None:
    run = job.run("steps", "--steps.candidates", f"{HERE}:Blue", "--balance.t", "100")
    assert not [text for text in captions(run.matched) if "blue" in text] and captions(run.matched)
    assert dropped(run, "match")["blue"] == 6
    moved = job.run("steps", "--steps.matched", f"{HERE}:Blue", "--steps.candidates", "--balance.t", "100")
    assert captions(moved.matched) == captions(run.matched) and dropped(moved, "match")["blue"] == 6
    late = job.run("steps", "--package.steps", f"{HERE}:Blue", "--steps.matched", "--balance.t", "100")
    assert [text for text in captions(late.matched) if "blue" in text]
    assert sorted(captions(late.joined)) == sorted(captions(run.joined)) and dropped(late, "package")["blue"] == 6


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--text.rules", "fails", "ZeroDivisionError: of mine"),
        ("--steps.candidates", "NoReason", "gave rows that do not fit"),
        ("--steps.matched", "nothing", "cannot be loaded"),
        ("--package.steps", "nothing", "cannot be loaded"),
        ("--package.hooks.rules", "nothing", "cannot be loaded"),
        ("--text.rules", "", "does not name a function"),
    ],
)
def test_a_part_that_fails_ends_the_run_in_a_line(
    job: Job, option: str, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(job.config), "--output", str(job.folder / "wrong"), option, f"{HERE}:{name}"]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_the_code_of_a_rule_decides(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    part = tmp_path / "part_of_mine.py"

    def run_with(word: str) -> set[str]:
        part.write_text(
            f"def rule(batch):\n    return ['mine' if {word!r} in t else None for t in batch['caption'].to_pylist()]\n"
        )
        importlib.invalidate_caches()
        sys.modules.pop("part_of_mine", None)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        run = job.run("code", "--text.rules", "part_of_mine:rule", "--balance.t", "100")
        return {color for color in ("red", "green") if any(color in text for text in captions(run.matched))}

    assert run_with("red") == {"green"}
    assert run_with("green") == {"red"}
    assert not [path for path in job.asked["code"] if path.endswith(".html")]
