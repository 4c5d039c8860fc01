"""What a run of the tests left out, told after its closing line: every reason once, with its number of tests.

A reason says what is missing and, in parentheses or after a colon, how to get it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

__all__ = ["SkippedTests", "told"]

PREFIX = "Skipped: "


def told(reasons: Iterable[str], selection: str) -> Iterator[str]:
    """The lines: each reason with its count, the most frequent first, then what the selection of markers left out."""
    for reason, count in sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0])):
        yield f"{count} skipped: {reason}"
    if "not slow" in selection:
        yield "left out: the tests that take longer (make test-slow)"


class SkippedTests:
    """A pytest plugin; with several processes, the one that reports."""

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Prints the lines, after pytest's own last one."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or hasattr(config, "workerinput"):
            return
        reports = reporter.stats.get("skipped", [])
        reasons = [
            report.longrepr[2].removeprefix(PREFIX) if isinstance(report.longrepr, tuple) else str(report.longrepr)
            for report in reports
        ]
        for line in told(reasons, config.option.markexpr):
            reporter.write_line(line)
