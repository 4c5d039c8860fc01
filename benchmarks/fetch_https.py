"""Images downloaded, resized and packed over TLS, against img2dataset."""

from typing import Any

from benchmarks.fetching import compare, rows_of
from benchmarks.table import Row

__all__ = ["rows", "run"]


def run() -> dict[str, Any]:
    """The comparison over HTTPS."""
    return compare("https")


def rows(result: dict[str, Any]) -> list[Row]:
    """The lines of the table."""
    return rows_of(result, "HTTPS")
