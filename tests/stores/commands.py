"""Commands that read their words from the command line, called with words."""

import sys
from collections.abc import Sequence
from unittest import mock

from query_builder.cli import main

__all__ = ["query_builder"]


def query_builder(words: Sequence[str]) -> int:
    """Runs ``python -m query_builder`` in this process; returns the exit status."""
    with mock.patch.object(sys, "argv", ["query_builder", *words]):
        return main()
