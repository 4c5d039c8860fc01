"""One command for all programs: it lists them, passes words on, and their messages name what was typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs.cli_reference import ROOT
from webimagetext.__main__ import COMMANDS, main


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webimagetext", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_help_lists_all_commands_in_80_columns() -> None:
    done = typed("--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "usage: python -m webimagetext COMMAND …"
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    stated = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version"))
    assert capsys.readouterr().out.split() == ["webimagetext", stated.split('"')[1]]


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("name", ["webimagetext", "/usr/bin/webimagetext", "/x/webimagetext/__main__.py"])
def test_usage_names_what_was_typed(
    verb: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, verb, "--help"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert not ending.value.code
    prog = "python -m webimagetext" if name.endswith(".py") else "webimagetext"
    usage = capsys.readouterr().out.splitlines()[0]
    assert usage.startswith(f"usage: {prog} {verb} ")
    assert len(usage) <= 80


def test_mistakes_name_what_was_typed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text("[balance]\nT = 20\n")
    lines = {
        ("quries",): "there is no command 'quries'\n  did you mean 'queries'?",
        ("queries", "biuld"): "queries: there is no command 'biuld'\n  did you mean 'build'?",
        ("queries", "import"): "queries import: 0 files given where some belong",
        ("run", "--output", "x"): "run: no configuration file given\n  usage: python -m webimagetext run CONFIG.toml",
        ("run", "--output", "x", str(config)): "my.toml: balance: unknown key 'T'\n  did you mean 't'?",
        ("run", str(config), "more.toml", "--output", "x"): "run: 'more.toml' belongs to no option",
        ("run", "--extract.seeds", "a", str(config)): "stands before --extract.seeds, which takes several values",
        ("fetch", "--fetch.fromat", "TAR"): "fetch: there is no option '--fetch.fromat'",
        ("package", "--package.format", "TAR", str(config)): "balance: unknown key 'T'",
        ("export-model",): "export-model: --checkpoint and --output are needed",
        ("evaluate", "retrieval"): "evaluate retrieval: --checkpoint and --data are needed",
        (
            "train",
            "--output",
            "x",
        ): "train: --train-data and --output are needed\n  e.g. --train-data 'run/shards/*.tar'",
        ("rerank", "--prompt", "x"): "rerank: --checkpoint, --prompt and --images are needed\n  e.g. --checkpoint DIR",
        ("rerank", "--crop", "Squash"): "rerank: --crop: 'Squash' is not one of",
    }
    for words, told in lines.items():
        assert main(list(words)) == 2, words
        assert told in capsys.readouterr().err, words
    config.write_text("")
    assert main(["run", str(config)]) == 2
    assert "run: --output is needed" in capsys.readouterr().err
    assert main(["package", "--package.format", "TAR", str(config), "--output", "x"]) == 2
    assert "--package.format: 'TAR' is not one of" in capsys.readouterr().err
    config.write_text('[extract]\nsource = "page"\n')
    assert main(["run", "--output=x", str(config)]) == 2
    assert "source: 'page' is not one of" in (told := capsys.readouterr().err) and "did you mean 'pages'?" in told


def test_the_trainers_programs_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr("webimagetext.__main__.leave", left.append)
    for verb in COMMANDS:
        monkeypatch.setattr(sys, "argv", ["webimagetext", verb, "--no-such-option"])
        assert main() == 2
        assert main([verb, "--no-such-option"]) == 2
    assert left == [2] * 5  # train, evaluate, export, rerank and models, without arguments of a caller's


def test_training_ends_with_its_status() -> None:
    done = typed("train", "--batch-sise", "3")
    assert done.returncode == 2
    assert done.stderr.startswith("error: python -m webimagetext train: there is no option '--batch-sise'")
