"""A clock that goes only where somebody sleeps: what is said of delays is then exact, and the same on a busy
machine."""

import asyncio

import pytest

from pipeline.net import pace

__all__ = ["StandingClock", "standing_clock"]


class StandingClock(pace.Clock):
    """Stands still but for those who sleep; who sleeps at the same moment wakes at the same moment."""

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        """The moment to which the last sleeper has moved it."""
        return self.moment

    async def sleep(self, seconds: float) -> None:
        """Lets the others run once, then moves the clock."""
        until = self.moment + seconds
        await asyncio.sleep(0)
        self.moment = max(self.moment, until)


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> StandingClock:
    """The clock of every host's pace in this process while the test runs."""
    clock = StandingClock()
    monkeypatch.setattr(pace, "CLOCK", clock)
    return clock
