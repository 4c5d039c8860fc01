"""Images downloaded, resized and packed over plain HTTP, against img2dataset."""

from typing import Any

from benchmarks.fetching import compare, rows_of
from benchmarks.table import Row

__all__ = ["rows", "run"]


def run() -> dict[str, Any]:
    """The comparison over HTTP."""
    return compare("http")


def rows(result: dict[str, Any]) -> list[Row]:
    """The lines of the table."""
    return rows_of(result, "HTTP")
