"""An orderly stop: a signal is noted, and the loop ends between two steps, where everything can be saved.

In: SIGTERM (a scheduler's) or SIGINT (Ctrl-C). Out: ``Stop.signal``, which the loop looks at.
"""

import signal
from types import FrameType

__all__ = ["Stop"]


class Stop:
    """Remembers a signal to end, so that the loop can end between two steps; a second signal ends at once."""

    def __init__(self) -> None:
        self.signal = 0
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def close(self) -> None:
        """Puts the former handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
