"""Tells the engine how long a worker waited for its hosts' turns.

Dataflow reads the counter of this name, as Beam's own connectors count it, and does not add machines for work that
waits on purpose. Other engines show it among their counters.
"""

from apache_beam.io.components.adaptive_throttler import ThrottlingSignaler

__all__ = ["Throttled"]


class Throttled:
    """Call it with seconds; whole ones are counted, fractions kept for the next call. To be made and called while
    processing."""

    def __init__(self) -> None:
        self._signal = ThrottlingSignaler("webimagetext")
        self._rest = 0.0

    def __call__(self, seconds: float) -> None:
        self._rest += seconds
        if self._rest >= 1:
            self._signal.signal_throttled(int(self._rest))
            self._rest %= 1
