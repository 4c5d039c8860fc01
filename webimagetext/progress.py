"""Progress of long work: one redrawn line on a terminal, a plain line every ten seconds elsewhere.

In: ``advance(n)`` calls from the work. Out, on standard error: done, total, rate, time left. Silent with
``WEBIMAGETEXT_QUIET=1``.
"""

import os
import sys
import time
from types import TracebackType
from typing import Self, TextIO

__all__ = ["Progress", "human_bytes", "human_time"]

REDRAW_SECONDS = 0.2
LOG_SECONDS = 10.0


def human_time(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3675`` -> ``1:01:15``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def human_bytes(count: float) -> str:
    """``1536`` -> ``1.5 KB``, in steps of 1,000, as disks and networks are sold."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class Progress:
    """A progress line for ``label``, counting ``unit`` up to ``total`` (None when unknown); a context manager.

    ``unit="B"`` shows bytes. ``note`` is free text at the end of the line. ``advance`` and ``set`` cost a clock read.
    """

    def __init__(self, label: str, unit: str, total: float | None = None, *, stream: TextIO | None = None) -> None:
        self.label, self.unit, self.total = label, unit, total
        self.done: float = 0
        self.note = ""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._quiet = os.environ.get("WEBIMAGETEXT_QUIET") == "1"
        self._start = time.monotonic()
        self._first: float = 0  # what was done before this process began, left out of the rate
        self._shown = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def resume_at(self, done: float) -> None:
        """Counts ``done`` as finished by an earlier run, so that the rate and the time left stay true."""
        self.done = self._first = done

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Adds ``amount`` to what is done."""
        self.set(self.done + amount, note)

    def set(self, done: float, note: str | None = None) -> None:
        """States what is done in all."""
        self.done = done
        if note is not None:
            self.note = note
        now = time.monotonic()
        if now - self._shown >= (REDRAW_SECONDS if self._terminal else LOG_SECONDS):
            self._shown = now
            self._show("\r", self.line(now))

    def line(self, now: float | None = None) -> str:
        """The line as it stands: label, share, done of total, rate, time left, note."""
        spent = (now or time.monotonic()) - self._start
        rate = (self.done - self._first) / spent if spent > 0 else 0.0
        parts = [f"{self.label}:"]
        if self.total:
            parts.append(f"{100 * min(1.0, self.done / self.total):3.0f} %")
        parts.append(self._amount(self.done) + (f" of {self._amount(self.total)}" if self.total else ""))
        parts.append(f"{human_bytes(rate)}/s" if self.unit == "B" else f"{rate:,.1f} {self.unit}/s")
        if self.total and rate > 0 and self.done < self.total:
            parts.append(f"{human_time((self.total - self.done) / rate)} left")
        return "  ".join([*parts, self.note] if self.note else parts)

    def close(self, *, failed: bool = False) -> None:
        """Ends the line with the totals and the time it took."""
        spent = time.monotonic() - self._start
        ending = "stopped after" if failed else "in"
        text = f"{self.label}: {self._amount(self.done)} {ending} {human_time(spent)}"
        self._show("\r", "  ".join([text, self.note] if self.note else [text]), end="\n")

    def _amount(self, value: float) -> str:
        return human_bytes(value) if self.unit == "B" else f"{value:,.0f} {self.unit}"

    def _show(self, start: str, text: str, end: str = "") -> None:
        if self._quiet:
            return
        if self._terminal:
            self._stream.write(f"{start}{text}\x1b[K{end}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()
