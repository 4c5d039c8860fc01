"""Places among the requests: never more than there are, given by urgency, none lost to those who no longer wait."""

import asyncio
import random

import pytest

from pipeline.net.slots import URGENCY, Places, Slots


@pytest.mark.parametrize("kind", [Places, Slots])
def test_places_go_by_urgency_and_then_by_who_came_first(kind: type[Places]) -> None:
    order: list[str] = []

    async def wait(places: Places, name: str, urgency: int) -> None:
        URGENCY.set(urgency)
        async with places:
            order.append(name)
            await asyncio.sleep(0)

    async def run() -> None:
        places = kind(1)
        await places.acquire()
        waiting = [
            asyncio.create_task(wait(places, name, urgency))
            for name, urgency in (("a", 1), ("b", 500), ("c", 1), ("d", 30), ("e", 500))
        ]
        await asyncio.sleep(0)
        assert places.locked()
        places.release()
        await asyncio.gather(*waiting)
        assert not places.locked()

    asyncio.run(run())
    assert order == ["b", "e", "d", "a", "c"]


@pytest.mark.parametrize("kind", [Places, Slots])
def test_no_place_is_lost_or_made(kind: type[Places]) -> None:
    """Three hundred come and go, some give up while they wait, some at the moment when they are given a place."""
    draw = random.Random(1)
    inside = most = through = 0

    async def visit(places: Places) -> None:
        nonlocal inside, most, through
        URGENCY.set(draw.randrange(5))
        async with places:
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(draw.random() / 300)
                through += 1
            finally:
                inside -= 1

    async def run() -> None:
        places = kind(4)
        tasks = [asyncio.create_task(visit(places)) for _ in range(300)]
        for task in draw.sample(tasks, 120):
            await asyncio.sleep(draw.random() / 2000)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert inside == 0
        for _ in range(4):
            assert not places.locked()
            await asyncio.wait_for(places.acquire(), 1)
        assert places.locked()

    asyncio.run(run())
    assert most == 4 and 180 <= through < 300


def test_one_who_gives_up_with_the_place_in_hand_hands_it_on() -> None:
    async def run() -> None:
        places = Places(1)
        await places.acquire()
        first, second = (asyncio.create_task(places.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        places.release()  # to the first, which is cancelled before it knows
        first.cancel()
        assert await asyncio.wait_for(second, 5) is True and first.cancelled() and places.locked()

    asyncio.run(run())
