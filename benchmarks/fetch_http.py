"""Images downloaded, resized and packed over plain HTTP, against img2dataset."""

from typing import Any

from benchmarks.fetching import compare

__all__ = ["run"]


def run() -> dict[str, Any]:
    """The comparison over HTTP."""
    return compare("http")
