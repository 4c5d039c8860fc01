"""A wall clock that jumps, for every Python process that is begun with this folder on its path: an hour back, then a
day ahead, then right again, each for a part of a second."""

import time

_JUMPS = (0.0, -3600.0, 24 * 3600.0)
_EACH_SECONDS = 0.37
_time = time.time


def _jumping() -> float:
    return _time() + _JUMPS[int(time.monotonic() / _EACH_SECONDS) % len(_JUMPS)]


time.time = _jumping
time.time_ns = lambda: int(_jumping() * 1e9)
