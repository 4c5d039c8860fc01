"""What Beam works out anew for each of a graph's steps, remembered: a third of the time of a small graph.

In: Beam's own functions. Out: such as give the same answers. For every step Beam inspects the signatures of all its
methods several times, and parses the options again for each class of them. The answers depend on nothing but the
function, and on the class and the words. Tests build hundreds of small graphs; a user's few are not worth it.
"""

import copy
import functools
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

__all__ = ["remember"]

Arguments = tuple[list[str], list[Any]]


def remember() -> None:
    """Puts what remembers into the place of both functions, in this process; to be called once."""
    core.get_function_args_defaults = _remembered_arguments(core.get_function_args_defaults)
    PipelineOptions.__init__ = _remembered_options(PipelineOptions.__init__)


def _remembered_arguments(inspect: Callable[[Any], Arguments]) -> Callable[[Any], Arguments]:
    known: dict[Any, Arguments] = {}

    @functools.wraps(inspect)
    def arguments(function: Any) -> Arguments:
        # A bound method is made at each look-up; its function lasts.
        plain = getattr(function, "__func__", None)
        if plain is None:
            return inspect(function)
        if plain not in known:
            known[plain] = inspect(function)
        names, defaults = known[plain]
        return [*names], [*defaults]

    return arguments


def _remembered_options(parse: Callable[..., None]) -> Callable[..., None]:
    known: dict[tuple[type, tuple[str, ...]], Namespace] = {}

    @functools.wraps(parse)
    def options(self: Any, flags: Sequence[str] | None = None, **values: Any) -> None:
        if flags is None or isinstance(flags, str):  # the command line's, which may be another every time; or a mistake
            parse(self, flags, **values)
            return
        key = type(self), tuple(flags)
        if key not in known:
            parse(self, flags)
            known[key] = copy.deepcopy(self._visible_options)
        self._flags = flags
        self._visible_options = copy.deepcopy(known[key])
        self._all_options = {**vars(self._visible_options), **values}

    return options
