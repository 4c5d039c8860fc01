"""Fixtures for tests that ask a server on loopback."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.net.config import HttpConfig

sys.path.insert(0, str(Path(__file__).parent))  # for hostile_server, which is a script too

from hostile_server import HostileServer

_connections: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        _connections.append(str(address[0]) if isinstance(address, tuple) else str(address))


sys.addaudithook(_watch)


@pytest.fixture
def connections() -> list[str]:
    """The addresses this process connects to from here on, as the interpreter itself reports them."""
    _connections.clear()
    return _connections


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    """A fresh hostile server."""
    with HostileServer() as server:
        yield server


@pytest.fixture
def quick() -> HttpConfig:
    """A configuration without delays, with low limits, for servers on loopback."""
    return HttpConfig(
        contact="https://example.org/bot",
        delay=0.0,
        backoff=0.01,
        max_backoff=0.2,
        deadline=3.0,  # a busy machine needs more than one for what answers at once
        max_bytes=1_000_000,
        host_failures=10_000,
        concurrency_per_host=16,
        allow_loopback=True,
    )
