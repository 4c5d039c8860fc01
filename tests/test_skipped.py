"""What is told at the end of a run of the tests: every reason with its count, after pytest's own last line."""

import subprocess
import sys
from pathlib import Path

from docs.cli_reference import ROOT
from tests.skipped import told

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_peers(number):
    pytest.skip("the peers' environment is not built (make peers)")

@pytest.mark.skipif(True, reason="no browser is here (apt install chromium)")
def test_browser():
    pass

def test_that_runs():
    pass
"""


def test_reasons_are_counted_the_most_frequent_first() -> None:
    lines = list(told(["b (get b)", "a (get a)", "c (get c)", "c (get c)"], "not slow and not spark"))
    assert lines[:3] == ["2 skipped: c (get c)", "1 skipped: a (get a)", "1 skipped: b (get b)"]
    assert lines[3:] == ["left out: the tests that take longer (make test-slow)"]
    assert list(told([], "")) == []


def test_the_last_lines_of_pytest_in_one_process_and_in_two(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(
        "from tests.skipped import SkippedTests\n\ndef pytest_configure(config):\n"
        "    config.pluginmanager.register(SkippedTests())\n"
    )
    for processes in ("0", "2"):
        command = [sys.executable, "-m", "pytest", "-q", "-n", processes, "-c", str(tmp_path / "pytest.ini")]
        command += ["--basetemp", str(tmp_path / "base")]
        (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
        done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
        closing, *rest = done.stdout.splitlines()[-3:]
        assert closing.startswith("1 passed, 4 skipped in "), done.stdout
        assert rest == [
            "3 skipped: the peers' environment is not built (make peers)",
            "1 skipped: no browser is here (apt install chromium)",
        ]
