"""Every number in every program's settings has a range, which holds however the settings are made and which --help
shows."""

import ast
import dataclasses
import importlib
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from docs.cli_reference import PACKAGES, ROOT
from pipeline.config import RunConfig
from trainer.config import RunConfig as TrainerConfig
from trainer.models.spec import ModelSpec
from webimagetext.errors import UserError
from webimagetext.flags import help_text, parse_flags
from webimagetext.options import options_of
from webimagetext.ranges import Limits, Range, Ranged, kinds_of, limits_of
from webimagetext.settings import from_dict

NAMES = ("Config", "Flags", "Spec")  # how the classes of settings end
NAN, INF = float("nan"), float("inf")


def settings() -> Iterator[type[Any]]:
    """Every dataclass of settings in the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                decorated = isinstance(node, ast.ClassDef) and any(
                    "dataclass" in ast.dump(d) for d in node.decorator_list
                )
                if decorated and node.name.endswith(NAMES):
                    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                    yield getattr(importlib.import_module(module), node.name)


SETTINGS = {f"{cls.__module__}.{cls.__name__}": cls for cls in settings()}


def unlimited(cls: type[Any]) -> list[str]:
    """The number fields of a dataclass without a range."""
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [name for name, hint in hints.items() if kinds_of(hint) & {int, float}]
    return [name for name in names if name not in limits_of(cls)]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_number_has_a_range_and_is_checked(name: str) -> None:
    cls = SETTINGS[name]
    assert issubclass(cls, Ranged), "settings are checked by their base"
    assert unlimited(cls) == []
    least = {field.name: 8 for field in dataclasses.fields(cls) if field.default is field.default_factory}
    for changed, limits in limits_of(cls).items():
        for wrong in (NAN, INF, -INF, 2**63, *edges(limits.range)[0]):
            value = (
                {"x": wrong} if dict in origins(cls, changed) else (wrong,) if tuple in origins(cls, changed) else wrong
            )
            with pytest.raises(UserError, match=changed):
                cls(**{**least, changed: value})


def origins(cls: type[Any], name: str) -> set[Any]:
    hint = typing.get_type_hints(cls)[name]
    return {typing.get_origin(part) for part in (hint, *typing.get_args(hint))}


def edges(range_: Range) -> tuple[list[float], list[float]]:
    """Numbers just outside of a range, and those at its ends within."""
    outside = [end - 1 for end in (range_.least,) if end is not None and end - 1 != range_.also]
    outside += [end + 1 for end in (range_.most,) if end is not None]
    outside += [end for end in (range_.above, range_.below) if end is not None]
    inside = [end for end in (range_.least, range_.most, range_.also) if end is not None]
    return outside, inside


def test_the_walk_finds_the_programs_and_would_notice_a_field() -> None:
    assert {"pipeline.config.RunConfig", "query_builder.config.BuildConfig", "trainer.rerank.RerankConfig"} <= set(
        SETTINGS
    )
    assert {"pipeline.__main__.RulesFlags", "trainer.evaluate.config.ZeroshotConfig"} <= set(SETTINGS)
    assert len(SETTINGS) > 25

    @dataclass(frozen=True)
    class Loose(Ranged):
        """Some numbers without a range."""

        ranged: Annotated[int, Range(0)] = 0
        plain: int = 0
        maybe: float | None = None
        several: tuple[int, ...] = ()
        named: dict[str, float] = field(default_factory=dict)
        text: str = ""
        switch: bool = False

    assert unlimited(Loose) == ["plain", "maybe", "several", "named"]


@pytest.mark.parametrize(
    ("range_", "inside", "outside", "words"),
    [
        (Range(1), [1, 2**62], [0, -1, NAN, INF], "from 1 up"),
        (Range(0, 1), [0, 0.5, 1], [-0.01, 1.01, NAN], "from 0 to 1"),
        (Range(0, below=1), [0, 0.999], [1, 1.5, -1, NAN], "from 0 up to but not including 1"),
        (Range(above=0), [1e-300, 3], [0, -1, INF], "above 0"),
        (Range(above=0, most=1), [1e-9, 1], [0, 1.1], "above 0 and at most 1"),
        (Range(1, also=0), [0, 1, 4.5], [0.5, -1, NAN], "0 or from 1 up"),
        (Range(-1, 8), [-1, 8], [-2, 9], "from -1 to 8"),
        (Range(), [-1e300, 0, 7], [NAN, INF, -INF, 2**63, -(2**63) - 1], ""),
    ],
)
def test_what_a_range_holds(range_: Range, inside: list[float], outside: list[float], words: str) -> None:
    assert [value for value in inside if value not in range_] == []
    assert [value for value in outside if value in range_] == []
    assert range_.words == words


@pytest.mark.parametrize(
    ("cls", "line", "told"),
    [
        (TrainerConfig, "--beta2 1.5", "--beta2 1.5: give a number from 0 up to but not including 1"),
        (TrainerConfig, "--log-steps 0", "--log-steps 0: give a whole number from 1 up"),
        (TrainerConfig, "--source-weights 1 nan", "--source-weights 1 nan: give a number from 0 up"),
        (TrainerConfig, "--learning-rate=-0.1", "--learning-rate -0.1: give a number from 0 up"),
        (TrainerConfig, "--epochs inf", "--epochs inf: give a number above 0"),
        (RunConfig, "--seed 99999999999999999999", "give a whole number from 0 to 9223372036854775807, below 2^63"),
        (RunConfig, "--http.ports 80 65536", "--http.ports 80 65536: give a whole number from 1 to 65535"),
        (RunConfig, "--image.max-aspect-ratio 0.5", "--image.max-aspect-ratio 0.5: give 0 or a number from 1 up"),
        (RunConfig, "--package.hooks.minimum clip nan", "minimum clip nan: give a number that is finite"),
        (RunConfig, "--balance.tail-share 0", "--balance.tail-share 0: give a number above 0 and at most 1"),
    ],
)
def test_an_option_out_of_its_range_is_told_in_one_line(cls: type[Any], line: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        parse_flags(cls, line.split(), prog="test")
    assert str(error.value).startswith("test: --") and told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"seed": -1}, "run.toml: seed = -1: give a whole number from 0 to 9223372036854775807"),
        ({"balance": {"t": 0}}, "run.toml: balance: t = 0: give a whole number from 1 up"),
        (
            {"package": {"near-duplicates": 9}},
            "run.toml: package: near-duplicates = 9: give a whole number from 0 to 8",
        ),
        ({"http": {"delay": INF}}, "run.toml: http: delay = inf: give a number from 0 up"),
    ],
)
def test_a_file_with_a_number_out_of_its_range_is_told_in_one_line(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        from_dict(RunConfig, values, where="run.toml")
    assert str(error.value) == told


def test_a_number_or_several_in_one_field() -> None:
    stages = {"embed_dim": 16, "image_size": 32, "vision_width": 8, "vision_heads": 4}
    assert ModelSpec(**stages, vision_layers=(1, 1, 1, 1)).vision_layers == (1, 1, 1, 1)
    with pytest.raises(UserError, match="vision_layers"):
        ModelSpec(**stages, vision_layers=(1, 0, 1, 1))
    assert limits_of(ModelSpec)["vision_layers"] == Limits(Range(1), True)
    assert not limits_of(TrainerConfig)["learning_rate"].whole
    assert limits_of(RunConfig)["seed"].whole


def test_help_shows_the_range_beside_the_default() -> None:
    text = " ".join(help_text(list(options_of(TrainerConfig())), prog="p", usage="", about="").split())
    assert "(default: 0.98; from 0 up to but not including 1)" in text
    assert "Peak; left out: the published one of the model. (from 0 up)" in text
