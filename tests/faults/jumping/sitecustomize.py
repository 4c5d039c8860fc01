"""A wall clock that jumps, for every Python process that is begun with this folder on its path: an hour back, then a
day ahead, then right again, each for a part of a second. It is Python's clock alone, and the system's stays right."""

import sys
import time

_JUMPS = (0.0, -3600.0, 24 * 3600.0)
_EACH_SECONDS = 0.37
_time = time.time


def _jumping() -> float:
    caller = sys._getframe(1).f_globals.get("__name__", "")
    if caller.startswith("grpc."):  # its compiled part waits for the system's clock to come to such a time
        return _time()
    return _time() + _JUMPS[int(time.monotonic() / _EACH_SECONDS) % len(_JUMPS)]


time.time = _jumping
time.time_ns = lambda: int(_jumping() * 1e9)
