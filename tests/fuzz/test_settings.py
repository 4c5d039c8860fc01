"""Configurations and command lines of anything: settings that can be written and read again, or one line of words."""

import dataclasses
import datetime
import tempfile
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import RunConfig
from query_builder.config import BuildConfig
from query_builder.select import parse_budgets
from tests.fuzz.hostile import documents, texts
from trainer.config import RunConfig as TrainerConfig
from trainer.models.spec import ModelSpec
from webimagetext.errors import UserError
from webimagetext.flags import parse_flags
from webimagetext.options import options_of
from webimagetext.settings import from_dict, from_toml, read_toml, to_dict, to_toml

PROGRAMS = (RunConfig, BuildConfig, TrainerConfig)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, -1, 2**63, 2**31, 0.5, 1e400, 10**400, float("nan")])
)
PLAIN = st.one_of(
    NUMBERS,
    st.booleans(),
    texts(["a", "words", "none", "module:name", "/"], most=3),
    st.just(datetime.date(2026, 1, 1)),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts(["a"], most=2), inner, max_size=2)),
    max_leaves=6,
)


def tables(cls: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Dictionaries by the fields of a dataclass, or near them, with any values."""
    hints = typing.get_type_hints(cls)
    nested = {name: tables(kind) for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    values = {name: nested.get(name, VALUES) for name in hints}
    some = st.sets(st.sampled_from(sorted(values)), max_size=3)
    known = some.flatmap(lambda names: st.fixed_dictionaries({name: st.one_of(values[name], VALUES) for name in names}))
    return st.one_of(known, known, st.dictionaries(texts(["seed", "-"], most=3), VALUES, max_size=2))


@pytest.mark.parametrize("cls", [*PROGRAMS, ModelSpec])
@given(data=st.data())
def test_any_table_is_settings_or_a_line(cls: type[Any], data: st.DataObject) -> None:
    table = data.draw(tables(cls))
    try:
        made = from_dict(cls, table, where="here")
    except UserError as error:
        assert str(error).encode("utf-8", "backslashreplace") and "\n" not in error.problem
        return
    text = to_toml(made)
    text.encode()
    again = from_dict(cls, tomllib.loads(text), where="again")
    assert to_dict(again) == to_dict(made)


@given(
    documents(
        [
            b"[extract]\n",
            b"seed = ",
            b"1\n",
            b"inf",
            b"nan",
            b"'",
            b'"',
            b"[http]\n",
            b"ports = [",
            b"]\n",
            b"\\ud800",
            b"= ",
        ]
    )
)
def test_any_file_is_a_configuration_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.toml")
        path.write_bytes(content)
        try:
            read_toml(path)
            from_toml(RunConfig, path)
        except UserError as error:
            assert "\n" not in error.problem and "run.toml" in error.problem


NAMES = {cls: [f"--{option.name}" for option in options_of(cls())] for cls in PROGRAMS}


@pytest.mark.parametrize("cls", PROGRAMS)
@given(data=st.data())
def test_any_command_line_is_settings_or_a_line(cls: type[Any], data: st.DataObject) -> None:
    odd = [
        "--",
        "-",
        "---",
        "-x",
        "--no-x",
        "--=",
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 5000,
        "²",
        "１",
        "0x10",
        "1_0",
        "None",
        "True",
        "",
    ]
    words = data.draw(
        st.lists(st.one_of(st.sampled_from(NAMES[cls]), st.sampled_from(odd), texts(["=", "1"], most=3)), max_size=5)
    )
    try:
        made = parse_flags(cls, [word for word in words if word not in ("-h", "--help")], prog="test")
    except UserError as error:
        assert str(error) and "\n" not in error.problem
        return
    to_toml(made).encode()


@given(st.lists(texts(["words", "bigrams", "=", "1", "²", "-1", "9" * 30], most=4), max_size=3), st.integers(1, 10**6))
def test_any_budgets_fill_the_list_or_are_refused(budgets: list[str], size: int) -> None:
    try:
        assert sum(parse_budgets(tuple(budgets), size).values()) <= size
    except UserError as error:
        assert str(error)
