"""What tests of engines share."""

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def forgotten_servers() -> Iterator[None]:
    """Beam drops its handles on job servers that still run, of which Python warns when it clears them away: here, and
    not in whatever test is then running."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
