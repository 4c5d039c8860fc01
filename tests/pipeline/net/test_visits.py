"""All hosts of a process at once: none waits for another, none that cannot be reached keeps a place, the one with most
to ask begins first, and a shortage of sockets is nobody's fault."""

import asyncio
import dataclasses
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile_server import HostileServer, Writer

from pipeline.net import transport
from pipeline.net.client import PoliteClient
from pipeline.net.config import HostConfig, HttpConfig
from pipeline.net.slots import Slots
from pipeline.net.visits import Visit, Visits, visits
from tests.pipeline.clock import StandingClock
from webimagetext.errors import UserError

Outcome = dict[str, str]


def outcome(http: HttpConfig, urls: dict[str, list[str]]) -> Outcome:
    """The reason of each URL, in the order of the answers; each host's URLs are one visit, given one visit at a
    time."""
    reasons: Outcome = {}
    left = threading.Semaphore(0)
    errors: list[BaseException] = []

    def visit(of_host: list[str]) -> Visit:
        async def work(client: PoliteClient, _slots: Slots, _goes_on: Callable[[], bool]) -> None:
            for url in of_host:
                reasons[url] = (await client.get(url)).reason

        def ended(error: BaseException | None) -> None:
            errors.extend([error] if error is not None else [])
            left.release()

        return Visit(len(of_host), work, ended)

    with visits(http) as shared:
        shared.begin(map(visit, urls.values()))
        for _ in urls:
            assert left.acquire(timeout=60)
    if errors:
        raise errors[0]
    return reasons


def addresses(server: HostileServer, hosts: int, paths: int = 1) -> dict[str, list[str]]:
    return {
        f"127.0.1.{host}": [f"http://127.0.1.{host}:{server.port}/{path}" for path in range(paths)]
        for host in range(1, hosts + 1)
    }


def meeting(hosts: int) -> tuple[Callable[[Writer], Any], list[int]]:
    """An answer that waits until so many hosts are asked for it at the same time."""
    here: list[int] = []
    all_here = asyncio.Event()

    async def answer(writer: Writer) -> None:
        here.append(1)
        if len(here) == hosts:
            all_here.set()
        await all_here.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        await writer.drain()

    return answer, here


def test_no_host_waits_for_another(quick: HttpConfig) -> None:
    answer, here = meeting(30)
    with HostileServer({"/0": answer}, address="0.0.0.0") as server:
        found = outcome(dataclasses.replace(quick, deadline=30.0), addresses(server, 30))
    assert set(found.values()) == {""} and len(here) == 30


@pytest.fixture
def full() -> Iterator[int]:
    """A port of 127.0.2.x at which nobody answers: so many wait to be let in that the system drops who comes."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("0.0.0.0", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.2.1", port))
        yield port


def test_a_host_that_cannot_be_reached_keeps_no_place(quick: HttpConfig, full: int) -> None:
    """Eight silent ones begin first, for two requests at a time; all the others have answered before they time out."""
    config = dataclasses.replace(quick, concurrency=2, connect_timeout=4.0, deadline=20.0)
    silent = {f"127.0.2.{host}": [f"http://127.0.2.{host}:{full}/0"] for host in range(2, 10)}
    with HostileServer({"/0": BODY}, address="0.0.0.0") as server:
        found = outcome(config, silent | addresses(server, 12))
    assert list(found.values()) == [""] * 12 + ["connect_timeout"] * 8


async def _body(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    await writer.drain()


async def _late(writer: Writer) -> None:
    await asyncio.sleep(1.0)
    await _body(writer)


BODY, LATE = _body, _late


def test_the_wait_for_a_place_is_no_part_of_the_deadline(quick: HttpConfig) -> None:
    """Five answers of a second each, one at a time, within a deadline of three."""
    config = dataclasses.replace(quick, concurrency=1, binding_signals=("robots_txt",))
    with HostileServer({"/0": LATE}, address="0.0.0.0") as server:
        found = outcome(config, addresses(server, 5))
    assert list(found.values()) == [""] * 5


def test_the_host_with_most_to_ask_begins_first(quick: HttpConfig) -> None:
    config = dataclasses.replace(quick, concurrent_hosts=1)
    with HostileServer({f"/{path}": BODY for path in range(9)}, address="0.0.0.0") as server:
        hosts = addresses(server, 4, 9)
        wanted = {host: urls[:number] for (host, urls), number in zip(hosts.items(), (2, 9, 4, 9), strict=True)}
        found = outcome(config, wanted)
    assert [url.split("/")[2].split(":")[0] for url in found] == [
        host for host in ("127.0.1.2", "127.0.1.4", "127.0.1.3", "127.0.1.1") for _ in wanted[host]
    ]


def test_what_ends_a_visit_is_told(quick: HttpConfig) -> None:
    with pytest.raises(UserError, match="contact"):
        outcome(dataclasses.replace(quick, contact=""), {"192.0.2.1": ["http://192.0.2.1/"]})


def test_a_lack_of_sockets_is_nobodys_fault(quick: HttpConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third connection cannot be made; no host is blamed, and all are asked."""
    made = []

    def scarce(config: HttpConfig) -> Callable[[Any], socket.socket]:
        make = transport_guard(config)

        def socket_or_none(info: Any) -> socket.socket:
            made.append(info)
            if len(made) % 3 == 0:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return make(info)

        return socket_or_none

    transport_guard = transport.guarded_socket
    monkeypatch.setattr(transport, "guarded_socket", scarce)
    with HostileServer({"/0": BODY, "/1": BODY}, address="0.0.0.0") as server:
        found = outcome(dataclasses.replace(quick, host_failures=1), addresses(server, 12, 2))
    assert list(found.values()) == [""] * 24 and len(made) > 12


def test_visits_that_are_given_up_end(quick: HttpConfig) -> None:
    """Those under way as well as those that wait for their turn; others go on."""
    over = threading.Event()
    begun, ended = [], []

    def visit(name: str, seconds: float) -> Visit:
        async def work(_client: PoliteClient, _slots: Slots, _goes_on: Callable[[], bool]) -> None:
            begun.append(name)
            await asyncio.sleep(seconds)

        def end(error: BaseException | None) -> None:
            ended.append((name, type(error)))
            if name == "other":
                over.set()

        return Visit(1, work, end)

    shared = Visits(dataclasses.replace(quick, concurrent_hosts=1))
    long, waiting, other = visit("long", 3600), visit("waiting", 0), visit("other", 0)
    shared.begin([long, waiting, other])
    while not begun:
        over.wait(0.01)
    shared.stop([long, waiting])
    assert over.wait(30)
    shared.close()
    shared.stop([other])  # nothing is left to stop
    assert begun == ["long", "other"] and ended == [("long", asyncio.CancelledError), ("other", type(None))]


def test_a_hosts_time_is_over_when_nobody_elses_lasts(quick: HttpConfig) -> None:
    """A short visit goes on beside a longer one, and while more are to come; then both leave what is not begun."""
    over = threading.Semaphore(0)
    asked = {"short": 0, "long": 0}
    at_end = {}

    def visit(name: str, seconds: float) -> Visit:
        async def work(_client: PoliteClient, _slots: Slots, goes_on: Callable[[], bool]) -> None:
            while goes_on():
                asked[name] += 1
                await asyncio.sleep(0.01)

        def ended(error: BaseException | None) -> None:
            at_end[name] = error
            over.release()

        return Visit(1, work, ended, seconds)

    with visits(quick) as shared:
        with shared.expecting():
            shared.begin([visit("short", 0.0)])
            assert not over.acquire(timeout=0.1)
            shared.begin([visit("long", 0.3)])
            before = asked["short"]
        for _ in range(2):
            assert over.acquire(timeout=30)
        assert at_end == {"short": None, "long": None}
        assert asked["short"] > before + 5  # beside the long one
        shared.begin([visit("none", 0.0)])
        assert over.acquire(timeout=30) and "none" not in asked


def test_a_visit_ends_at_its_moment(quick: HttpConfig) -> None:
    """Even with what is under way."""
    over = threading.Event()
    told = []

    async def work(_client: PoliteClient, _slots: Slots, _goes_on: Callable[[], bool]) -> None:
        await asyncio.sleep(3600)

    def ended(error: BaseException | None) -> None:
        told.append(error)
        over.set()

    with visits(quick) as shared:
        shared.begin([Visit(1, work, ended, until=time.time() + 0.05)])
        assert over.wait(30)
    assert told == [None]


def test_a_host_with_a_pace_of_its_own_keeps_it(quick: HttpConfig, standing_clock: StandingClock) -> None:
    """Its delay, and not that of the others, which its Crawl-delay would still outdo."""
    config = dataclasses.replace(
        quick, delay=7.0, concurrency_per_host=1, binding_signals=("robots_txt",), hosts=(HostConfig("127.0.1.1", 3.0),)
    )
    with HostileServer({f"/{path}": BODY for path in range(4)}, address="0.0.0.0", clock=standing_clock.now) as server:
        outcome(config, {"127.0.1.1": addresses(server, 1, 4)["127.0.1.1"]})
        assert [moment for moment, _ in server.log] == [0.0, 3.0, 6.0, 9.0, 12.0]
