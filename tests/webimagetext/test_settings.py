"""Settings: a file fills them, flags win, and nothing that is misspelt or of the wrong kind passes."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from webimagetext.errors import UserError
from webimagetext.flags import parse_flags
from webimagetext.settings import fingerprint, from_dict, from_toml, pop_verb, to_dict, to_toml


@dataclass(frozen=True)
class Inner:
    """A part."""

    delay: float = 1.0
    """Seconds."""
    ports: tuple[int, ...] = (80,)
    """Ports."""


@dataclass(frozen=True)
class Outer:
    """The whole."""

    name: str = "x"
    """A name."""
    mode: Literal["fast", "slow"] = "fast"
    """A choice."""
    limit: int | None = None
    """A number, or none."""
    folder: Path = Path(".")
    """A folder."""
    shares: dict[str, float] = field(default_factory=dict)
    """Numbers by name."""
    on: bool = False
    """A switch."""
    http: Inner = field(default_factory=Inner)
    """A part."""

    def __post_init__(self) -> None:
        if self.name == "forbidden":
            raise ValueError("name: this one may not be")


FULL = Outer("y", "slow", 3, Path("a/b"), {"c": 0.5}, True, Inner(2.0, (1, 2)))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert from_toml(Outer, write(tmp_path, to_toml(FULL))) == FULL
    assert from_toml(Outer, write(tmp_path, to_toml(Outer()))) == Outer()
    assert "limit" not in to_dict(Outer())


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    found = from_toml(Outer, write(tmp_path, "limit = 7\n[http]\ndelay = 3\n"))
    assert found == Outer(limit=7, http=Inner(delay=3.0))
    assert isinstance(found.http.delay, float)


def test_flags_win_over_the_file() -> None:
    found = parse_flags(Outer, ["--http.delay", "9", "--name", "z"], prog="test", default=FULL)
    assert found == Outer("z", "slow", 3, Path("a/b"), {"c": 0.5}, True, Inner(9.0, (1, 2)))


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("naem = 'y'", "unknown key 'naem'", "did you mean 'name'?"),
        ("[http]\ndeley = 1.0", "http: unknown key 'deley'", "did you mean 'delay'?"),
        ("zzzzzz = 1", "unknown key 'zzzzzz'", "known here: folder, http, limit"),
        ("limit = 'many'", "limit: 'many' is not of type int", ""),
        ("limit = true", "limit: True is not of type int", ""),
        ("on = 1", "on: 1 is not of type bool", ""),
        ("mode = 'medium'", "mode: 'medium' is not one of 'fast', 'slow'", ""),
        ("[http]\nports = [80, 'x']", "ports[1]: 'x' is not of type int", ""),
        ("http = 3", "http: 3 is not of type Inner", ""),
        ("name = 'forbidden'", "this one may not be", ""),
        ("name = ", "not valid TOML", ""),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, problem: str, remedy: str) -> None:
    with pytest.raises(UserError) as error:
        from_toml(Outer, write(tmp_path, text))
    assert problem in error.value.problem
    assert "config.toml" in error.value.problem
    assert error.value.remedy.startswith(remedy)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such configuration file"):
        from_toml(Outer, tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(UserError, match="cannot be read"):
        from_toml(Outer, tmp_path / "latin.toml")


def test_dashes_and_underscores_are_one() -> None:
    @dataclass(frozen=True)
    class Long:
        """A long name."""

        two_words: int = 0
        """A number."""

    assert from_dict(Long, {"two-words": 4}, where="here") == Long(4)


def test_fingerprints_follow_the_contents() -> None:
    assert fingerprint(FULL, 1) == fingerprint(
        Outer("y", "slow", 3, Path("a/b"), {"c": 0.5}, True, Inner(2.0, (1, 2))), 1
    )
    assert fingerprint(FULL, 1) != fingerprint(FULL, 2)
    assert fingerprint(FULL) != fingerprint(Outer())
    # A change here makes every finished folder of every user be made again.
    contents = b'[{"delay": 1.0, "ports": [80]}, "x"]'
    assert fingerprint(Inner(), "x") == hashlib.sha256(contents).hexdigest()


def test_verbs() -> None:
    verbs = {"build": "makes it", "inspect": "shows it"}
    assert pop_verb(["build", "--size", "3"], verbs, prog="p", about="a") == ("build", ["--size", "3"])
    with pytest.raises(UserError, match="no command 'biuld'") as error:
        pop_verb(["biuld"], verbs, prog="p", about="a")
    assert error.value.remedy == "did you mean 'build'?"


@pytest.mark.parametrize(("words", "status"), [([], 2), (["-h"], 0), (["--help"], 0)])
def test_the_list_of_verbs(words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        pop_verb(words, {"build": "makes it"}, prog="python -m p", about="About p.")
    assert ending.value.code == status
    printed = capsys.readouterr().out
    assert "About p." in printed and "build" in printed and "makes it" in printed
