"""How many cores a process has to itself.

In: the environment. Out: a number of threads. Worker processes stand side by side, one a core, and say so to their
libraries by OMP_NUM_THREADS; what counts for these counts for the threads of our own.
"""

import os

__all__ = ["OWN_CORES", "own_cores"]

OWN_CORES = "OMP_NUM_THREADS"


def own_cores() -> int:
    """The number that the environment names, else that of the machine."""
    stated = os.environ.get(OWN_CORES, "")
    return int(stated) if stated.isdecimal() and int(stated) else os.cpu_count() or 1
