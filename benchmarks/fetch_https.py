"""Images downloaded, resized and packed over TLS, against img2dataset."""

from typing import Any

from benchmarks.fetching import compare

__all__ = ["run"]


def run() -> dict[str, Any]:
    """The comparison over HTTPS."""
    return compare("https")
