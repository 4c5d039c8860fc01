"""The decorator of the loops that run as machine code: compiled by numba, kept on disk where the disk allows it.

In: a function of NumPy arrays and numbers. Out: the same function, compiled at its first call without holding Python's
lock. The code is cached beside the module or in the user's cache folder; on an install where neither can be written (a
read-only container without a home) it is compiled anew in each process, which costs a few seconds and changes no
result.

The cache is renewed when the function's own file changes: after changing a compiled function that another file's calls,
delete the ``.nbi`` files in the ``__pycache__`` folders. ``NUMBA_DISABLE_JIT=1`` runs everything as plain Python, to
step through it.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """``function`` compiled by numba, with its machine code cached when there is a place for it."""
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Function, numba.njit(nogil=True)(function))
