"""Names and texts of any script where the locale or the terminal knows ASCII alone, and names that are none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.cli_reference import ROOT
from query_builder.config import BuildConfig
from webimagetext.errors import UserError
from webimagetext.flags import parse_flags
from webimagetext.settings import from_dict, read_toml

NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ASCII_TERMINAL = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
STRICT_ERRORS = {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"}


def program(folder: Path, environment: dict[str, str], *words: str | bytes) -> tuple[int, str]:
    """The status and all the output of a program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        timeout=240,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize(
    "environment",
    [NO_LOCALE, *(pytest.param(each, marks=pytest.mark.slow) for each in (ASCII_TERMINAL, STRICT_ERRORS))],
)
def test_the_programs_take_any_name_and_print_any_text(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "dö🐕"
    folder.mkdir()
    (folder / "tëxts.txt").write_text("café\n🐕 dog\nplain\n", encoding="utf-8")
    shown = "café" if environment is NO_LOCALE else "caf\\xe9"
    for words, status, told in (
        (("query_builder", "import", "dö🐕/tëxts.txt", "--output", "dö🐕/q.parquet"), 0, "3 queries"),
        (("query_builder", "inspect", "dö🐕/q.parquet"), 0, shown),
        (("webimagetext", "queries", "inspect", "dö🐕/q.parquet", "--find", "café"), 0, f"'{shown}' is query 0"),
        (("webimagetext", "--help"), 0, "usage: python -m webimagetext COMMAND"),
        (("pipeline", "run", "dö🐕/nö.toml", "--output", "dö🐕/r"), 2, "no such configuration file"),
        (("trainer.export", "--checkpoint", "dö🐕", "--output", "ö"), 2, "there is no checkpoint here"),
    ):
        ended, output = program(tmp_path, environment, *words)
        assert (ended, told in output, "Traceback" in output) == (status, True, False), output
    assert sorted(path.name for path in folder.iterdir())[:1] == ["q.parquet"]


def test_a_name_that_is_not_utf_8_is_refused_in_a_line(tmp_path: Path) -> None:
    status, output = program(tmp_path, {"PYTHONUTF8": "1"}, "query_builder", "import", b"caf\xe9.txt")
    assert status == 2 and output.startswith("error: 'caf�.txt': is not UTF-8") and "Traceback" not in output


@pytest.mark.parametrize("word", ["caf\udce9", "a\0b", "\ud800"])
def test_no_setting_holds_such_a_name(word: str) -> None:
    with pytest.raises(UserError, match="is not UTF-8, or has a zero byte"):
        parse_flags(BuildConfig, ["--output", word], prog="test")
    with pytest.raises(UserError, match=r"here: dump\[1\]: .* is not UTF-8, or has a zero byte"):
        from_dict(BuildConfig, {"dump": ["good ö", word]}, where="here")


@pytest.mark.parametrize("kind", ["folder", "bytes", "closed", "huge", "absent", "under a file", "device", "pipe"])
def test_what_is_no_configuration_file_is_told_in_a_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(b"PAR1\0\xff\xfe")
    elif kind == "huge":
        path.touch()
        os.truncate(path, 10 << 30)
    elif kind == "closed":
        path.write_text("")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "under a file":
        path.write_text("")
        path = path / "x.toml"
    with pytest.raises(UserError) as error:
        read_toml(path)
    assert error.value.problem.startswith(str(path)) and "\n" not in error.value.problem
