"""What is known of hosts survives the process: when each may be asked again, and what its policy files say."""

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer, answer

from pipeline.net.client import Memory, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.known import recall, remember
from pipeline.net.pace import HostMemory
from tests.pipeline.clock import StandingClock

ROBOTS = (
    b"User-agent: *\nDisallow: /\n\nUser-agent: webimagetext\nAllow: /open\nDisallow: /closed\nCrawl-delay: 40\n"
    b"Sitemap: /map.xml\n"
)
POLICIES: dict[str, Any] = {
    "/robots.txt": answer(ROBOTS),
    "/.well-known/tdmrep.json": answer(b'[{"location": "/reserved/*", "tdm-reservation": 1}]'),
    "/ai.txt": answer(b"User-Agent: *\nDisallow: *.mp3\n"),
    "/open": answer(b"x"),
    "/reserved/a": answer(b"x"),
    "/a.mp3": answer(b"x"),
}


async def _asked(config: HttpConfig, urls: list[str], memory: Memory) -> list[str]:
    async with PoliteClient(config, memory=memory) as client:
        return [(await client.get(url)).reason for url in urls] + await client.sitemaps(urls[0])


def asked(config: HttpConfig, urls: list[str], memory: Memory) -> list[str]:
    return asyncio.run(_asked(config, urls, memory))


def test_policies_are_not_asked_for_again(quick: HttpConfig, standing_clock: StandingClock, tmp_path: Path) -> None:
    file = str(tmp_path / "known")
    with HostileServer(POLICIES) as server:
        urls = [server.url + path for path in ("/open", "/closed", "/reserved/a", "/a.mp3")]
        first = Memory()
        told = asked(quick, urls, first)
        refused = ["refused_by_robots_txt", "refused_by_tdm_file", "refused_by_ai_txt"]
        assert told == ["", *refused, "/map.xml"]
        files = [path for path in server.paths() if path in ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt")]
        assert len(files) == 3
        remember(file, first, {"127.0.0.1"})
        second = Memory()
        recall(file, second)
        before = len(server.paths())
        assert asked(quick, urls, second) == told
        assert server.paths()[before:] == ["/open"]


def test_a_hosts_turn_comes_no_sooner_in_the_next_process(
    quick: HttpConfig, standing_clock: StandingClock, tmp_path: Path
) -> None:
    """Forty seconds between two requests, of which fifteen pass between the processes."""
    file = str(tmp_path / "known")
    with HostileServer(POLICIES, clock=standing_clock.now) as server:
        first, second = Memory(), Memory()
        asked(quick, [server.url + "/open"], first)
        last = server.log[-1][0]
        wall = time.time()
        remember(file, first, {"127.0.0.1"}, now=lambda: wall)
        standing_clock.moment += 15
        recall(file, second, now=lambda: wall + 15)
        asked(quick, [server.url + "/open"] * 2, second)
        assert [moment - last for moment, path in server.log if path == "/open"][1:] == pytest.approx([40.0, 80.0])


@pytest.mark.parametrize(("jump", "wait"), [(-3600.0, 40.0), (0.0, 40.0), (10.0, 30.0), (86_400.0, 0.0)])
def test_a_clock_that_jumps_lengthens_no_wait(
    standing_clock: StandingClock, tmp_path: Path, jump: float, wait: float
) -> None:
    file = str(tmp_path / "known")
    first, second = Memory(), Memory()
    first.hosts["a"] = HostMemory(last_start=0.0, delay=40.0)
    remember(file, first, {"a"}, now=lambda: 1e9)
    recall(file, second, now=lambda: 1e9 + jump)
    assert second.hosts["a"].wait() == pytest.approx(wait)


def test_only_what_will_be_of_use_is_kept(standing_clock: StandingClock, tmp_path: Path) -> None:
    file = str(tmp_path / "known")
    first, second = Memory(), Memory()
    first.hosts |= {name: HostMemory(not_before=wait) for name, wait in (("slow", 9.0), ("quick", 0.4), ("other", 9.0))}
    remember(file, first, {"slow", "quick"})
    second.hosts["slow"] = mine = HostMemory(not_before=12.0)
    recall(file, second)
    assert list(second.hosts) == ["slow"] and second.hosts["slow"] is mine


@pytest.mark.parametrize("content", [None, b"", b"{}", b"x\x9c\x03\x00", b'\x78\x9c{"form": 1'])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "known").write_bytes(content)
    memory = Memory()
    recall(str(tmp_path / "known"), memory)
    assert not memory.hosts and not memory.policies


def test_a_memory_is_bounded(standing_clock: StandingClock) -> None:
    memory = Memory()
    for number in range(100):
        memory.hosts[str(number)] = HostMemory(not_before=5.0 if number % 10 == 0 else 0.0)
    memory.shorten(100)
    assert len(memory.hosts) == 100
    memory.shorten(60)
    assert len(memory.hosts) == 70 and all(str(number) in memory.hosts for number in range(0, 100, 10))


def test_a_client_forgets_hosts_that_it_has_done_with(quick: HttpConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.net.client._HOSTS_REMEMBERED", 8)
    memory = Memory()
    with HostileServer({"/0": answer(b"x")}, address="0.0.0.0") as server:
        urls = [f"http://127.0.1.{host}:{server.port}/0" for host in range(1, 40)]
        told = asked(dataclasses.replace(quick, concurrent_hosts=2), urls, memory)
    assert told[:39] == [""] * 39
    assert len(memory.hosts) <= 9 and len(memory.policies) <= 9


def test_a_host_in_use_is_not_forgotten(quick: HttpConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.net.client._HOSTS_REMEMBERED", 8)
    with HostileServer({"/0": answer(b"x")}, address="0.0.0.0") as server:
        used = f"http://127.0.0.9:{server.port}/0"
        urls = [url for host in range(1, 40) for url in (f"http://127.0.1.{host}:{server.port}/0", used)]
        asked(dataclasses.replace(quick, concurrent_hosts=2, binding_signals=("robots_txt",)), urls, Memory())
        again = 1  # the first host, at the end, for its sitemaps
        assert server.paths().count("/robots.txt") == 39 + 1 + again
