"""How torch's threads wait for each other on a processor.

By default they spin, which is quick when every thread has a core of its own and ruinous when it has not: the threads
that decode pictures, or another program, then push a spinning thread's partner off its core (measured on two busy
cores: steps 8 times slower). Sleeping costs microseconds. Must be called before torch is imported.
"""

import os

__all__ = ["wait_asleep"]


def wait_asleep() -> None:
    """Lets waiting threads sleep, unless the user has chosen otherwise by OMP_WAIT_POLICY."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
