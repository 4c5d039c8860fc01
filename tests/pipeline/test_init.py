"""``init`` writes each job's configuration with the answers in it, and asks for what was not given."""

import os
import pty
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.config import RunConfig
from pipeline.init import JOBS, InitFlags, configuration
from webimagetext.errors import UserError
from webimagetext.settings import from_dict

TEMPLATES = Path(__file__).parents[2] / "pipeline" / "jobs"


def answers(*said: str) -> tuple[Any, list[str]]:
    """A way to ask that gives these answers, and the questions that were asked."""
    left, asked = list(said), list[str]()

    def ask(question: str) -> str:
        asked.append(question)
        if not left:
            raise EOFError
        return left.pop(0)

    return ask, asked


def differences(name: str, text: str) -> dict[str, Any]:
    """The values that differ from those of the job's file."""
    before, now = tomllib.loads((TEMPLATES / JOBS[name].file).read_text()), tomllib.loads(text)
    from_dict(RunConfig, now, where="test")
    flat = [
        {
            f"{table}.{key}": value
            for table, values in content.items()
            for key, value in (values if isinstance(values, dict) else {"": values}).items()
            if not isinstance(value, dict)
        }
        for content in (before, now)
    ]
    assert flat[0].keys() == flat[1].keys()
    return {key: value for key, value in flat[1].items() if flat[0][key] != value}


def test_a_site_with_all_that_is_asked() -> None:
    ask, asked = answers("https://a.example/, b.example", "me@a.example", "de", "mine.txt", "250")
    text = configuration(JOBS["site"], InitFlags(output="here.toml"), ask, "init")
    assert [question.partition("[")[2].rstrip("]: ") for question in asked] == ["", "", "en", "queries.parquet", "1000"]
    assert differences("site", text) == {
        "extract.seeds": ["https://a.example/", "b.example"],
        "extract.max_pages": 250,
        "http.contact": "me@a.example",
        "text.language": "de",
        "queries.": "mine.txt",
    }
    assert "run here.toml" in text and "own_site.toml" not in text


def test_what_is_given_is_not_asked_and_an_empty_answer_is_the_default() -> None:
    ask, asked = answers("", "", "")
    flags = InitFlags(inputs=('two "quoted".csv', "a\\b.csv"), contact="https://a.example/bot", language="all")
    assert differences("list", configuration(JOBS["list"], flags, ask, "init")) == {
        "extract.inputs": ['two "quoted".csv', "a\\b.csv"],
        "http.contact": "https://a.example/bot",
        "text.detector": "off",
    }
    assert len(asked) == 2


def test_a_crawl_has_a_name_and_archives_need_no_contact() -> None:
    ask, asked = answers("", "me@a.example", "", "", "0.002")
    crawl = differences("common-crawl", configuration(JOBS["common-crawl"], InitFlags(), ask, "init"))
    assert crawl == {"http.contact": "me@a.example", "extract.sample": 0.002}
    assert "[CC-MAIN-" in asked[0]
    archives = configuration(JOBS["archives"], InitFlags(inputs=("x/*.warc.gz",)), None, "init")
    assert differences("archives", archives) == {"extract.inputs": ["x/*.warc.gz"]}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["a.example", "nobody", "", "", ""], "contact 'nobody'"),
        (["a.example", "", "", "", ""], "--contact is needed"),
        (["", "", "", "", ""], "--inputs and --contact are needed"),
        (["a.example", "me@a.example", "", "", "many"], "'many' is no whole number"),
        (["a.example"], "no more answers"),
    ],
)
def test_an_answer_that_will_not_do(said: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        configuration(JOBS["site"], InitFlags(), answers(*said)[0], "init")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sites"], "did you mean 'site'"),
        ([], "no job given"),
        (["site", "list"], "'list' belongs to no option"),
        (["site"], "--inputs and --contact are needed"),
        (["site", "--output", "there.toml"], "is there already"),
        (["list", "--inputs", "a.csv", "--contact", "me@a.example", "--size", "7"], "sample"),
    ],
)
def test_nothing_is_written_for_a_mistake(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.toml").write_text("mine")
    assert main(["init", *words]) == 2
    assert told in capsys.readouterr().err
    assert os.listdir() == ["there.toml"] and Path("there.toml").read_text() == "mine"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_at_a_terminal_it_asks(terminal: tuple[int, int], tmp_path: Path) -> None:
    typist, end = terminal
    os.write(typist, b"a.example\nme@a.example\n\n\n\n")
    command = [sys.executable, "-m", "webimagetext", "init", "site"]
    environment = os.environ | {"PYTHONPATH": str(TEMPLATES.parents[1])}
    subprocess.run(command, stdin=end, stdout=end, stderr=end, cwd=tmp_path, env=environment, check=True, timeout=60)
    assert differences("site", (tmp_path / "run.toml").read_text()) == {
        "extract.seeds": ["a.example"],
        "http.contact": "me@a.example",
    }
    assert "Pages at most [1000]" in os.read(typist, 10_000).decode()
