"""Asking any command for help loads nothing heavy, so that it answers at once."""

import subprocess
import sys

import pytest

from docs.cli_reference import ROOT, commands

HEAVY = {"aiohttp", "apache_beam", "numba", "numpy", "pandas", "pyarrow", "torch"}
PROBE = """
import runpy, sys
module, *words = sys.argv[1:]
sys.argv = [module, *words]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as ending:
    assert not ending.code, ending.code
print("\\n" + " ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_help_loads_nothing_heavy() -> None:
    loaded: dict[str, set[str]] = {}

    def ask(command: str) -> str:
        words = [sys.executable, "-c", PROBE, *command.split(), "--help"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        text, _, modules = done.stdout.rstrip().rpartition("\n")
        loaded[command] = HEAVY & set(modules.split())
        return text

    assert len(commands(ask)) == len(loaded) > 10
    assert {command: heavy for command, heavy in loaded.items() if heavy} == {}


@pytest.mark.parametrize("command", ["query_builder build", "pipeline run", "trainer.run"])
def test_an_unknown_option_is_refused_before_any_work(command: str) -> None:
    words = [sys.executable, "-m", *command.split(), "--no-such-option"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
