"""The benchmark command: it lists what there is, refuses what there is not, and prints one JSON object last."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.__main__ import BENCHMARKS, main
from webimagetext.errors import UserError


def test_help_lists_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    assert ending.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in (*BENCHMARKS, "all", "table"))


def test_an_unknown_name_says_which_was_meant() -> None:
    with pytest.raises(UserError, match="matsch") as error:
        main(["matsch"])
    assert "'match'" in error.value.remedy


def test_options_are_refused() -> None:
    with pytest.raises(UserError, match="--fast"):
        main(["match", "--fast"])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_its_module(name: str) -> None:
    assert importlib.util.find_spec(f"benchmarks.{name.replace('-', '_')}") is not None


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_words_its_lines(name: str) -> None:
    assert callable(table.module_of(name).run) and callable(table.module_of(name).rows)


def test_the_last_line_is_the_result_and_is_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    result = {"ours": 4.0, "peer": 2.0, "ratio": 2.0, "unit": "pages/s", "equal": True}
    module = types.ModuleType("benchmarks.fetch_http")
    monkeypatch.setattr(module, "run", lambda: print("warming up") or result, raising=False)
    monkeypatch.setitem(sys.modules, "benchmarks.fetch_http", module)
    assert main(["fetch-http"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"name": "fetch-http"} | result
    (kept,) = table.stored(["fetch-http"], tmp_path)
    assert {"name": "fetch-http"} | result == {key: kept[key] for key in ("name", *result)}
    del result["equal"]
    with pytest.raises(ValueError, match="equal"):
        main(["fetch-http"])
