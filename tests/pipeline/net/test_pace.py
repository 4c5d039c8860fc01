"""A host's pace by a clock that stands still between sleeps: exactly its delay between two requests, and its
back-off."""

import asyncio
import dataclasses

import pytest

from pipeline.net.config import HttpConfig
from pipeline.net.pace import HostGivenUpError, HostMemory, HostPace
from tests.pipeline.clock import StandingClock


def starts(clock: StandingClock, hosts: list[HostPace], requests: int, connecting: float = 0.0) -> list[list[float]]:
    """When each host's requests are sent, all asked for at once; none ends before the last one has been sent."""
    moments: list[list[float]] = [[] for _ in hosts]

    async def ask(number: int, everyone: asyncio.Semaphore, over: asyncio.Event) -> None:
        async with hosts[number].turn(everyone) as sent:
            await clock.sleep(connecting)
            sent()
            moments[number].append(clock.now())
            if sum(map(len, moments)) == requests * len(hosts):
                over.set()
            await over.wait()

    async def run() -> None:
        everyone, over = asyncio.Semaphore(100), asyncio.Event()
        await asyncio.gather(*(ask(number, everyone, over) for _ in range(requests) for number in range(len(hosts))))

    asyncio.run(run())
    return moments


def test_requests_of_a_host_are_its_delay_apart_however_many_may_run(
    quick: HttpConfig, standing_clock: StandingClock
) -> None:
    host = HostPace(dataclasses.replace(quick, delay=0.5), HostMemory())
    assert starts(standing_clock, [host], 5) == [[0.0, 0.5, 1.0, 1.5, 2.0]]


def test_the_delay_counts_from_when_a_request_was_sent(quick: HttpConfig, standing_clock: StandingClock) -> None:
    host = HostPace(dataclasses.replace(quick, delay=0.5), HostMemory())
    assert starts(standing_clock, [host], 3, connecting=0.25) == [[0.25, 1.0, 1.75]]


def test_hosts_do_not_wait_for_each_other(quick: HttpConfig, standing_clock: StandingClock) -> None:
    config = dataclasses.replace(quick, delay=0.5)
    assert starts(standing_clock, [HostPace(config, HostMemory()) for _ in range(3)], 3) == [[0.0, 0.5, 1.0]] * 3


def test_a_longer_delay_is_taken_over_and_outlives_the_client(quick: HttpConfig, standing_clock: StandingClock) -> None:
    memory = HostMemory()
    first = HostPace(dataclasses.replace(quick, delay=0.5), memory)
    first.ask_for_delay(0.25)
    assert starts(standing_clock, [first], 2) == [[0.0, 0.5]]
    first.ask_for_delay(2.0)
    assert starts(standing_clock, [HostPace(quick, memory)], 2) == [[2.5, 4.5]]


@pytest.mark.parametrize(("attempt", "wait"), [(0, 0.5), (1, 1.0), (2, 2.0), (9, 4.0)])
def test_a_failure_holds_the_next_request_back(
    quick: HttpConfig, standing_clock: StandingClock, attempt: int, wait: float
) -> None:
    host = HostPace(dataclasses.replace(quick, backoff=0.5, max_backoff=4.0), HostMemory())
    host.slow_down(attempt=attempt)
    assert starts(standing_clock, [host], 1) == [[wait]]


def test_what_a_host_asks_for_is_kept_or_ends_it(quick: HttpConfig, standing_clock: StandingClock) -> None:
    host = HostPace(dataclasses.replace(quick, backoff=0.5, max_backoff=4.0), HostMemory())
    host.slow_down(3.0, attempt=5)
    assert starts(standing_clock, [host], 1) == [[3.0]]
    host.slow_down(4.5)
    with pytest.raises(HostGivenUpError, match="asks to wait 4 s"):
        starts(standing_clock, [host], 1)
