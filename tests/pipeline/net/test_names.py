"""Names are looked up beside each other: servers that do not answer for some names hold up none of the others."""

import asyncio
import dataclasses
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from aiohttp import AsyncResolver
from hostile_server import HostileServer, answer

from pipeline.net.client import PoliteClient
from pipeline.net.config import HttpConfig

SLOW, HEALTHY = 60, 40


@pytest.fixture
def names() -> Iterator[int]:
    """The port of a name server that knows every name as 127.0.0.1, and never answers for one that begins with
    slow."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        over = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not over.is_set():
                try:
                    asked, client = server.recvfrom(4096)
                except TimeoutError:
                    continue
                end = asked.index(b"\0", 12) + 5
                kind = struct.unpack("!H", asked[end - 4 : end - 2])[0]
                if asked[13:17] == b"slow":
                    continue
                address = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if kind == 1 else b""
                head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if address else 0, 0, 0)
                server.sendto(head + asked[12:end] + address, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


def test_names_that_nobody_answers_for_hold_up_no_others(quick: HttpConfig, names: int) -> None:
    config = dataclasses.replace(
        quick, connect_timeout=4.0, deadline=20.0, host_failures=1, binding_signals=("robots_txt",)
    )
    order: list[str] = []

    async def ask(client: PoliteClient, url: str) -> None:
        order.append((await client.get(url)).reason)

    async def run(port: int) -> None:
        resolver = AsyncResolver(nameservers=[f"127.0.0.1:{names}"], timeout=2.0, tries=2)
        async with PoliteClient(dataclasses.replace(config, ports=(port,)), resolver=resolver) as client:
            slow = [f"http://slow{number}.example:{port}/0" for number in range(SLOW)]
            healthy = [f"http://well{number}.example:{port}/0" for number in range(HEALTHY)]
            await asyncio.gather(*(ask(client, url) for url in (*slow, *healthy)))

    with HostileServer({"/0": answer(b"x")}) as server:
        asyncio.run(run(server.port))
    assert order[:HEALTHY] == [""] * HEALTHY
    assert set(order[HEALTHY:]) <= {"connect_timeout", "dns_error"} and len(order) == SLOW + HEALTHY
