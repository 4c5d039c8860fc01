"""The function for Python programs, and the code that the page on parts of one's own shows."""

import re
import tomllib
from pathlib import Path

import pytest

import webimagetext
from docs.cli_reference import ROOT
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job
from webimagetext.errors import UserError
from webimagetext.settings import from_toml

SHOWN = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)


def test_a_run_from_python_is_the_run_of_the_command(job: Job, first: RunFolder) -> None:
    table = tomllib.loads(job.config.read_text())
    for number, config in enumerate((job.config, table, from_toml(RunConfig, job.config))):
        steps = webimagetext.run(config, str(job.folder / f"called-{number}"), workers=1)
        rows = {step.name: step.rows_out for step in steps}
        assert rows["package"] == rows["join"] == 12 or rows["package"] > 0
        assert (job.folder / f"called-{number}" / "funnel.json").read_text() == Path(first.funnel).read_text()


def test_a_mistake_is_an_error_and_no_exit(job: Job) -> None:
    with pytest.raises(UserError, match="unknown key 'sed'"):
        webimagetext.run({"sed": 1}, str(job.folder / "mistaken"))
    with pytest.raises(UserError, match="there is no run here"):
        webimagetext.run(job.config, str(job.folder / "mistaken"), verb="curate")
    assert not (job.folder / "mistaken").exists()


def test_the_page_shows_code_that_works(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(job.config.read_text())
    (tmp_path / "queries.parquet").write_bytes((job.folder / "queries.parquet").read_bytes())
    assert len(SHOWN) == 2
    exec(SHOWN[0], {"__name__": "shown"})
    assert "'package': " in capsys.readouterr().out
    exec(SHOWN[1], {"__name__": "shown"})
    assert "'query_ids': [" in capsys.readouterr().out
