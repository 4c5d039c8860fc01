"""What Beam is spared from working out anew is what it would have worked out."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.transforms import core, userstate
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec

from pipeline.engines import graph_cache
from pipeline.engines.graph_cache import remember_mixed, remember_signatures, remember_specs, remember_views

plain_specs = userstate.get_dofn_specs
plain_arguments = core.get_function_args_defaults
plain_view = PipelineOptions.view_as


class Steps(beam.DoFn):  # type: ignore[misc]
    """Methods of every kind that a step has."""

    def plain(self, element: str, times: int = 2, *rest: str, only: bool = False) -> None:
        """Has a default, further arguments, and one by name."""

    def timed(self, element: str, at: Any = beam.DoFn.TimestampParam) -> None:
        """Asks Beam for something by its default."""

    @staticmethod
    def alone(element: str) -> None:
        """Has no object."""

    @classmethod
    def of_class(cls, element: str, more: int = 3) -> None:
        """Has the class for its object."""

    @wraps(plain)
    def wrapped(self, *args: Any) -> None:
        """Shows the arguments of another."""


def free(element: str, further: int = 1) -> None:
    """No method at all."""


@pytest.mark.parametrize("name", ["plain", "timed", "alone", "of_class", "wrapped", "process"])
def test_arguments_are_those_that_beam_reads(name: str) -> None:
    remembered = remember_signatures(plain_arguments)
    for method in (getattr(Steps(), name), getattr(Steps(), name), getattr(Steps, name), free, len, str):
        assert remembered(method) == plain_arguments(method)


def test_a_method_is_read_once_for_all_objects() -> None:
    asked: list[Any] = []

    def read(method: Any) -> tuple[list[str], list[Any]]:
        asked.append(method)
        found: tuple[list[str], list[Any]] = plain_arguments(method)
        return found

    remembered = remember_signatures(read)
    first, second = remembered(Steps().plain), remembered(Steps().plain)
    assert len(asked) == 1 and first == second == (["element", "times"], [2])
    first[0].append("mine")
    assert remembered(Steps().plain)[0] == ["element", "times"]


SEEN, LATER = BagStateSpec("seen", VarIntCoder()), TimerSpec("later", TimeDomain.WATERMARK)
STATE, TIMER = beam.DoFn.StateParam(SEEN), beam.DoFn.TimerParam(LATER)


class Stateful(beam.DoFn):  # type: ignore[misc]
    """Asks for a state and a timer."""

    def process(self, element: str, seen: Any = STATE) -> None:
        """Asks for the state."""

    def set_later(self, timer: Any = TIMER) -> None:
        """Asks for the timer."""


def test_state_and_timers_are_those_that_beam_finds() -> None:
    remembered = remember_specs(plain_specs)
    for step in (Stateful(), Steps(), Stateful(), Steps()):
        found = remembered(step)
        assert found == plain_specs(step)
        found[0].clear()  # the next step's are its own
    assert remembered(Stateful()) == ({SEEN}, {LATER})


def test_a_class_of_steps_is_searched_once_but_for_those_with_methods_of_their_own() -> None:
    asked: list[Any] = []

    def read(step: Any) -> tuple[set[Any], set[Any]]:
        asked.append(step)
        found: tuple[set[Any], set[Any]] = plain_specs(step)
        return found

    remembered = remember_specs(read)
    first, second, own = Steps(), Steps(), Steps()
    own.process = Stateful().process
    assert [remembered(step) for step in (first, second, own)] == [(set(), set()), (set(), set()), ({SEEN}, set())]
    assert asked == [first, own]


def mixed(element: str) -> Any:
    """Both gives and returns."""
    if element:
        return [element]
    yield element


def test_sources_are_searched_once_each() -> None:
    asked: list[Any] = []

    def read(function: Any) -> bool:
        asked.append(function)
        found: bool = core._check_fn_use_yield_and_return(function)
        return found

    remembered = remember_mixed(read)
    functions = [mixed, free, Steps().plain, mixed, free, Steps().plain, len]
    assert [remembered(function) for function in functions] == [True, False, False, True, False, False, False]
    assert len(asked) == 4


FLAGS = ["--runner=DirectRunner", "--experiments=one", "--experiments=two", "--streaming"]


def _seen(view_as: Callable[[Any, type[Any]], Any], flags: list[str]) -> list[object]:
    """What views of one command line say, with a change by one of them in between."""
    options = PipelineOptions(flags)
    standard, debug = view_as(options, StandardOptions), view_as(options, DebugOptions)
    told: list[object] = [standard.runner, standard.streaming, debug.experiments, type(debug)]
    view_as(options, DebugOptions).add_experiment("three")
    view_as(options, StandardOptions).runner = "Other"
    told += [debug.experiments, standard.runner, view_as(options, DebugOptions).lookup_experiment("three")]
    told += [sorted(dir(debug)), options.get_all_options(drop_default=True)]
    return told


def test_views_are_those_that_beam_makes() -> None:
    remembered = remember_views(plain_view)
    for flags in (FLAGS, FLAGS[:1], FLAGS):  # the second of the same must not see what was changed in the first
        assert _seen(remembered, flags) == _seen(plain_view, flags)
    with pytest.raises(AttributeError):
        remembered(PipelineOptions(FLAGS), StandardOptions).experiments


def test_a_command_line_is_parsed_once() -> None:
    asked: list[type[Any]] = []

    def view_as(options: Any, cls: type[Any]) -> Any:
        asked.append(cls)
        return plain_view(options, cls)

    remembered = remember_views(view_as)
    for flags in (FLAGS, FLAGS, FLAGS[1:]):
        remembered(PipelineOptions(flags), StandardOptions)
    assert asked == [StandardOptions] * 2


def test_beam_remembers_once_however_often_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipelineOptions, "view_as", plain_view)
    monkeypatch.setattr(core, "get_function_args_defaults", plain_arguments)
    monkeypatch.setattr(userstate, "get_dofn_specs", plain_specs)
    graph_cache.install.cache_clear()
    graph_cache.install()
    there = core.get_function_args_defaults, PipelineOptions.view_as, userstate.get_dofn_specs
    graph_cache.install()
    assert (core.get_function_args_defaults, PipelineOptions.view_as, userstate.get_dofn_specs) == there
    assert all(now is not plain for now, plain in zip(there, (plain_arguments, plain_view, plain_specs), strict=True))
    graph_cache.install.cache_clear()  # the rest of this process has the functions from before this test
