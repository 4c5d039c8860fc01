"""The command line: options in any place, values of each kind, mistakes with the nearest right word, help in 80
columns."""

import importlib
import linecache
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from webimagetext.errors import UserError
from webimagetext.flags import help_text, parse_flags, split_words
from webimagetext.options import FLAT, options_of


@dataclass(frozen=True)
class Table:
    """Requests of one kind.

    More about them, which --help leaves out.
    """

    delay: float = 1.5
    """Seconds between two of them, which is said here at such a length that a line of eighty columns cannot hold it."""
    loopback: bool = False
    """Also this machine."""
    t: int = 20
    """Pairs."""


@dataclass(frozen=True)
class Base:
    """A part that others extend."""

    inherited: str = ""
    """From the base."""


@dataclass(frozen=True)
class Settings(Base):
    """Everything there is."""

    mode: Literal["words", "metaclip"] = "words"
    """How."""
    seeds: tuple[str, ...] = ()
    """Where."""
    ports: tuple[int, ...] = (80, 443)
    """Which."""
    marks: tuple[Literal["email", "phone"], ...] = ()
    """What."""
    minimum: dict[str, float] = field(default_factory=dict)
    """Least."""
    total: int | None = None
    """Wanted."""
    place: Path = Path(".")
    """There."""
    check_all: bool = True
    """Look."""
    http: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        if self.total == 0:
            raise ValueError("total is zero")


@dataclass(frozen=True)
class Flags:
    """A program."""

    output: str = ""
    """Folder."""
    config: Settings = field(default_factory=Settings, metadata=FLAT)


def parsed(*words: str) -> Settings:
    return parse_flags(Settings, words, prog="test")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--inherited", "x"], {"inherited": "x"}),
        (["--mode=metaclip"], {"mode": "metaclip"}),
        (["--mode", "words", "--mode", "metaclip"], {"mode": "metaclip"}),
        (["--seeds", "a", "b", "--total", "7"], {"seeds": ("a", "b"), "total": 7}),
        (["--seeds"], {"seeds": ()}),
        (["--seeds=a=b"], {"seeds": ("a=b",)}),
        (["--ports", "1"], {"ports": (1,)}),
        (["--marks", "phone", "email"], {"marks": ("phone", "email")}),
        (["--minimum", "a", "0.5", "b", "-2"], {"minimum": {"a": 0.5, "b": -2.0}}),
        (["--total", "None"], {"total": None}),
        (["--total", "-3"], {"total": -3}),
        (["--place", "/x"], {"place": Path("/x")}),
        (["--no-check-all"], {"check_all": False}),
        (["--check_all"], {"check_all": True}),
        (["--http.loopback", "--http.delay", "2"], {"http": Table(2.0, True)}),
        (["--http.loopback", "--http.no-loopback"], {"http": Table()}),
    ],
)
def test_values_of_each_kind(words: list[str], changes: dict[str, Any]) -> None:
    assert parsed(*words) == Settings(**changes)
    value = parsed(*words).http.delay
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (["--mdoe", "words"], "there is no option '--mdoe'", "did you mean '--mode'?"),
        (["--MODE", "words"], "there is no option '--MODE'", "did you mean '--mode'?"),
        (["--T", "2"], "there is no option '--T'", "did you mean '--http.t'?"),
        (["--http.T=2"], "there is no option '--http.T'", "did you mean '--http.t'?"),
        (["-mode"], "there is no option '-mode'", "did you mean '--mode'?"),
        (["--zzzzzzzzz"], "there is no option '--zzzzzzzzz'", "test --help lists them"),
        (["--mode", "Words"], "--mode: 'Words' is not one of 'words', 'metaclip'", "did you mean 'words'?"),
        (["--mode", "xyz"], "--mode: 'xyz' is not one of", "one of: words, metaclip"),
        (["--marks", "email", "fone"], "--marks: 'fone' is not one of", "did you mean 'phone'?"),
        (["--total", "many"], "--total: 'many' is not a whole number", ""),
        (["--total", "1.5"], "--total: '1.5' is not a whole number", ""),
        (["--http.delay", "x"], "--http.delay: 'x' is not a number", ""),
        (["--total"], "--total needs a value", "--total INT"),
        (["--total", "--http.loopback"], "--total needs a value", "--total INT"),
        (["--minimum", "a"], "--minimum: 'a' has no value", "--minimum [NAME VALUE ...]"),
        (["--check-all=yes"], "--check-all takes no value", "--check-all alone, or --no-check-all"),
        (["--no-check-all=yes"], "--no-check-all takes no value", "--no-check-all alone, or --check-all"),
        (["word"], "'word' belongs to no option", "usage: test [options]"),
        (["--total", "0"], "total is zero", ""),
    ],
)
def test_mistakes_are_told_in_a_line_with_the_nearest_word(words: list[str], problem: str, remedy: str) -> None:
    with pytest.raises(UserError) as error:
        parsed(*words)
    assert error.value.problem.startswith("test: ") and problem in error.value.problem
    assert error.value.remedy == remedy
    assert "\n" not in error.value.problem


@pytest.mark.parametrize(
    "line",
    [
        "run.toml --output x --http.t 4",
        "--output x run.toml --http.t 4",
        "--output=x --http.t=4 run.toml",
        "--http.t 4 --output x run.toml",
        "--http.no-loopback run.toml --http.t 4 --output x",
    ],
)
def test_files_stand_anywhere(line: str) -> None:
    words = split_words(Flags(), line.split(), prog="test", usage="FILE")
    assert words.files == ["run.toml"]
    assert words.apply(Flags(config=Settings(inherited="file"))) == Flags("x", Settings("file", http=Table(t=4)))


@pytest.mark.parametrize("columns", [None, "200", "80", "60", "30"])
def test_help_keeps_to_the_columns_and_shows_the_wanted_table_first(
    columns: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as ending:
        split_words(Flags(), ["--total", "x", "-h"], prog="test", usage="FILE [options]")
    assert not ending.value.code
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0] == "usage: test FILE [options]"
    widest = max(map(len, lines))
    assert widest <= max(40, min(80, int(columns or 80)))
    if columns in (None, "200", "80"):
        assert widest > 70
    assert text.index("--output STR") < text.index("--inherited STR") < text.index("http options:")
    for said in (
        "From the base.",
        "--mode {words,metaclip}",
        "--ports [INT ...]",
        "(default: 80 443)",
        "Requests of one kind.",
    ):
        assert said in text
    assert "More about them" not in text
    assert "--http.loopback, --http.no-loopback" in text.replace("\n      ", " ")


def test_tables_asked_for_come_before_the_others() -> None:
    @dataclass(frozen=True)
    class Two:
        """Two tables."""

        first: Table = field(default_factory=Table)
        second: Table = field(default_factory=Table)

    options = list(options_of(Two()))
    assert [option.name for option in options][:2] == ["first.delay", "first.loopback"]
    text = help_text(options, prog="p", usage="", about="", first=("second",))
    assert text.index("second options:") < text.index("first options:")


@pytest.mark.parametrize("now", ["", "class Flags(\n", "x = 1\n", None])
def test_a_source_that_changes_under_a_program_costs_the_help_alone(
    now: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "changing_flags.py"
    source.write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Flags:\n    size: int = 3\n    'Many.'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    flags = importlib.import_module("changing_flags").Flags()
    if now is None:
        source.unlink()
    else:
        source.write_text(now)
    linecache.clearcache()
    try:
        assert [option.name for option in options_of(flags)] == ["size"]
    finally:
        del sys.modules["changing_flags"]
