"""Remembers what Beam works out anew for every step of a graph, which is half of what a small run costs.

Beam reads the signatures of all methods of a step some eight times, looking for state and timers among others, reads
the sources of its functions, and parses its command line each time an option is asked for: 100,000 signatures and 2,700
command lines for the fifteen graphs of a run of 60 pairs, more than half of its 7.4 seconds of processor time. They
depend on code and on the command line alone. Where Beam has other insides than those known here, nothing is changed.
"""

import types
from argparse import Namespace
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import ValueProvider
from apache_beam.transforms import core, userstate

__all__ = ["install", "remember_mixed", "remember_signatures", "remember_specs", "remember_views"]

Arguments = tuple[list[str], list[Any]]
Specs = tuple[set[Any], set[Any]]
View = TypeVar("View", bound=PipelineOptions)
MAX_VIEWS = 1024  # of one command line there are some 40
INSIDES = {"_flags", "_visible_options", "_all_options"}


@cache
def install() -> None:
    """Has Beam, in this process, remember all of them."""
    for owner, name, remember in (
        (core, "get_function_args_defaults", remember_signatures),
        (core, "_check_fn_use_yield_and_return", remember_mixed),
        (userstate, "get_dofn_specs", remember_specs),
        (PipelineOptions, "view_as", remember_views),
    ):
        if hasattr(owner, name):
            setattr(owner, name, remember(getattr(owner, name)))


def remember_signatures(read: Callable[[Any], Arguments]) -> Callable[[Any], Arguments]:
    """``read``, which gives a function's arguments and defaults, asked once for each function whose methods are asked
    for. Anything but a method goes to it as before."""
    known: WeakKeyDictionary[types.FunctionType, Arguments] = WeakKeyDictionary()

    def remembered(method: Any) -> Arguments:
        function = getattr(method, "__func__", None)
        # What Beam is told about one object by an attribute of it would be lost on the others of its class.
        if type(method) is not types.MethodType or type(function) is not types.FunctionType or vars(function):
            return read(method)
        found = known.get(function)
        if found is None:
            found = known[function] = read(method)
        return list(found[0]), list(found[1])

    return remembered


def remember_mixed(read: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """``read``, which looks in a function's source for ``yield`` beside ``return``, asked once for each source."""
    known: WeakKeyDictionary[types.CodeType, bool] = WeakKeyDictionary()

    def remembered(function: Any) -> bool:
        code = getattr(function, "__code__", None)
        if type(code) is not types.CodeType or hasattr(function, "__wrapped__"):
            return read(function)
        if code not in known:
            known[code] = read(function)
        return known[code]

    return remembered


def remember_specs(read: Callable[[Any], Specs]) -> Callable[[Any], Specs]:
    """``read``, which gives the state and the timers that a step's methods ask for, asked once for each class of step.
    A step that holds methods of its own goes to it as before."""
    known: WeakKeyDictionary[type[Any], Specs] = WeakKeyDictionary()

    def remembered(step: Any) -> Specs:
        if any(isinstance(value, types.MethodType) for value in vars(step).values()):
            return read(step)
        found = known.get(type(step))
        if found is None:
            found = known[type(step)] = read(step)
        return set(found[0]), set(found[1])

    return remembered


def remember_views(view_as: Callable[[Any, type[Any]], Any]) -> Callable[[Any, type[Any]], Any]:
    """``view_as``, which shows options as those of one class, with the command line parsed once a class."""
    known: dict[tuple[type[Any], tuple[str, ...]], Namespace] = {}

    def remembered(options: PipelineOptions, cls: type[View]) -> View:
        flags = options._flags
        # Without a list of flags those of this process are parsed, which may be others each time.
        if flags is None or cls.__init__ is not PipelineOptions.__init__:
            return view_as(options, cls)  # type: ignore[no-any-return]
        key = (cls, tuple(flags))
        if key not in known:
            view: View = view_as(options, cls)
            if set(vars(view)) == INSIDES and not _has_providers(view._visible_options):
                if len(known) >= MAX_VIEWS:
                    known.clear()
                known[key] = _copy(view._visible_options)
            return view
        view = object.__new__(cls)
        vars(view).update(_flags=flags, _visible_options=_copy(known[key]), _all_options=options._all_options)
        for name, value in vars(view._visible_options).items():
            options._all_options.setdefault(name, value)
        return view

    return remembered


def _copy(parsed: Namespace) -> Namespace:
    """A command line's options, whose lists and tables are nobody else's."""
    options = vars(parsed).items()
    return Namespace(
        **{name: type(value)(value) if isinstance(value, list | dict) else value for name, value in options}
    )


def _has_providers(parsed: Namespace) -> bool:
    return any(isinstance(value, ValueProvider) for value in vars(parsed).values())
