"""Progress: what the line says, on a terminal and in a log, and that a resumed run does not boast."""

import io

import pytest

from webimagetext import progress
from webimagetext.progress import Progress, human_bytes, human_time


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that progress sees: change its one entry."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("WEBIMAGETEXT_QUIET", raising=False)
    return now


def test_units() -> None:
    assert [human_time(seconds) for seconds in (0, 75, 3675)] == ["0:00", "1:15", "1:01:15"]
    assert [human_bytes(count) for count in (0, 999, 1536, 2_000_000, 3.5e12)] == [
        "0 B",
        "999 B",
        "1.5 KB",
        "2.0 MB",
        "3.5 TB",
    ]


def test_the_line_says_share_rate_and_time_left(clock: list[float]) -> None:
    line = Progress("fetch", "images", 400, stream=io.StringIO())
    clock[0] += 10
    line.set(100, "3 failed")
    assert line.line() == "fetch:   25 %  100 images of 400 images  10.0 images/s  0:30 left  3 failed"


def test_what_an_earlier_run_did_is_not_in_the_rate(clock: list[float]) -> None:
    line = Progress("read", "B", 10_000, stream=io.StringIO())
    line.resume_at(5_000)
    clock[0] += 10
    line.advance(1_000)
    assert line.line() == "read:   60 %  6.0 KB of 10.0 KB  100 B/s  0:40 left"


def test_a_log_gets_a_line_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("count", "pages", stream=stream) as line:
        for _ in range(25):
            clock[0] += 1
            line.advance()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3  # after 10 and 20 seconds, and at the end
    assert lines[-1] == "count: 25 pages in 0:25"
    assert "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_redrawn(clock: list[float]) -> None:
    stream = Terminal()
    with Progress("count", "pages", 3, stream=stream) as line:
        for _ in range(3):
            clock[0] += 1
            line.advance()
    assert stream.getvalue().count("\r") == 4
    assert stream.getvalue().count("\n") == 1


def test_a_failure_does_not_read_as_done(clock: list[float]) -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError), Progress("count", "pages", 3, stream=stream):
        raise ValueError
    assert "stopped after" in stream.getvalue()


def test_it_can_be_silenced(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    stream = io.StringIO()
    with Progress("count", "pages", 3, stream=stream) as line:
        clock[0] += 60
        line.advance()
    assert stream.getvalue() == ""
