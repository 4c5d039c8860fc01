"""The decorator of the loops that run as machine code: compiled by numba, kept on disk where the disk allows it.

In: a function of NumPy arrays and numbers. Out: the same function, compiled at its first call without holding Python's
lock. The code is cached beside the module or in the user's cache folder; on an install where neither can be written (a
read-only container without a home) it is compiled anew in each process, which costs a few seconds and changes no
result.

numba renews the cache when the function's own file changes; here it is renewed too when a compiled function or a
constant of another file does that is compiled into it. ``NUMBA_DISABLE_JIT=1`` runs everything as plain Python, to step
through it.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import numba
import numpy as np

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """``function`` compiled by numba, with its machine code cached when there is a place for it."""
    try:
        made: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Function, numba.njit(nogil=True)(function))
    if (kept := _cache_file(made)) is not None:
        kept._source_stamp = (kept._source_stamp, tuple(_built_in(function)))
    return cast(Function, made)


def _cache_file(made: Any) -> Any:
    """What numba holds its cache of a function against; None where it has none."""
    return getattr(getattr(made, "_cache", None), "_cache_file", None)


def _built_in(function: Any) -> Iterator[tuple[str, object]]:
    """What of a function's globals is a part of its machine code: functions by what they were made from, values as they
    are."""
    for name in sorted(set(function.__code__.co_names)):
        value = function.__globals__.get(name)
        if (kept := _cache_file(value)) is not None:
            yield name, kept._source_stamp
        elif isinstance(value, np.ndarray):
            yield name, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        elif isinstance(value, int | float | str | bytes | tuple):
            yield name, repr(value)
