"""The polite client against a hostile server: every trouble has its reason, and nothing forbidden is asked or connected
to."""

import asyncio
import dataclasses
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hostile_server import HostileServer, answer, redirect

from pipeline.net.client import Answer, Memory, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.sniff import is_picture
from pipeline.reasons import setting_of
from tests.pipeline.clock import StandingClock
from webimagetext.errors import UserError

REASONS = {
    "/page": "",
    "/gzip": "",
    "/raw-deflate": "",
    "/drip": "deadline_exceeded",
    "/endless": "too_large",
    "/endless-without-length": "too_large",
    "/endless-headers": "bad_response",
    "/endless-interim": "deadline_exceeded",
    "/silent": "deadline_exceeded",
    "/gzip-bomb": "too_large",
    "/gzip-bomb-twice": "bad_encoding",
    "/gzip-cut": "bad_encoding",
    "/gzip-false": "bad_encoding",
    "/brotli-false": "bad_encoding",
    "/length-huge": "too_large",
    "/length-too-long": "truncated_body",
    "/length-too-short": "bad_response",
    "/length-negative": "bad_response",
    "/header-huge": "bad_response",
    "/headers-many": "bad_response",
    "/garbage": "bad_response",
    "/chunk-size-false": "bad_response",
    "/disconnect": "connection_lost",
    "/empty": "empty_body",
    "/loop": "too_many_redirects",
    "/loop-growing": "too_many_redirects",
    "/to-page": "",
    "/to-private": "forbidden_address",
    "/to-metadata": "forbidden_address",
    "/to-file": "forbidden_scheme",
    "/to-data": "forbidden_scheme",
    "/to-ftp": "forbidden_scheme",
    "/to-nothing": "bad_redirect",
    "/to-port-22": "forbidden_port",
    "/to-mapped": "forbidden_address",
    "/to-forbidden-path": "refused_by_robots_txt",
    "/private/page": "refused_by_robots_txt",
    "/reserved/page": "refused_by_tdm_file",
    "/song.mp3": "refused_by_ai_txt",
    "/429": "http_429",
    "/503": "http_503",
    "/404": "http_404",
    "/404-noindex": "http_404",
    "/noai": "refused_by_x_robots_tag",
    "/noai-for-us": "refused_by_x_robots_tag",
    "/noai-for-others": "",
    "/tdm": "refused_by_tdm_header",
}


async def _get_all(config: HttpConfig, urls: list[str], **options: object) -> list[Answer]:
    async with PoliteClient(config, **options) as client:  # type: ignore[arg-type]
        return list(await asyncio.gather(*(client.get(url) for url in urls)))


def get_all(config: HttpConfig, urls: list[str], **options: object) -> list[Answer]:
    return asyncio.run(_get_all(config, urls, **options))


def get(config: HttpConfig, url: str, **options: object) -> Answer:
    return get_all(config, [url], **options)[0]


class Names(AbstractResolver):
    """Answers every look-up of a name with the next of its addresses, as a rebinding name server does."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = {name.replace("_", "."): list(values) for name, values in addresses.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        values = self._addresses[host]
        address = values.pop(0) if len(values) > 1 else values[0]
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def test_every_misbehaviour_has_its_reason(hostile: HostileServer, quick: HttpConfig, connections: list[str]) -> None:
    answers = get_all(quick, [hostile.url + path for path in REASONS])
    assert {path: found.reason for path, found in zip(REASONS, answers, strict=True)} == REASONS
    assert set(connections) == {"127.0.0.1"}
    asked = hostile.paths()
    assert not [path for path in asked if path.startswith(("/private", "/reserved")) or path.endswith(".mp3")]
    for path in ("/noai", "/tdm", "/404", "/gzip-false"):  # a refusal and a lasting answer are asked for once
        assert asked.count(path) == 1
    assert asked.count("/429") == asked.count("/503") == 1 + quick.retries
    for found in answers:
        assert bool(found.body) == (found.reason == "")
        assert (
            found.consent == "allowed" or found.reason.endswith(found.consent) or found.reason.startswith("forbidden")
        )


def test_memory_stays_low(hostile: HostileServer) -> None:
    script = """
import asyncio, sys
from pipeline.net.client import PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.sniff import is_picture
async def main():
    config = HttpConfig(contact="a@example.org", delay=0, deadline=1, backoff=0, host_failures=999, allow_loopback=True)
    async with PoliteClient(config) as client:
        await asyncio.gather(*(client.get(url) for url in sys.argv[1:] * 8))
asyncio.run(main())
# Not getrusage: it remembers the process that this one was forked from.
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    bombs = [
        "/endless",
        "/gzip-bomb",
        "/gzip-bomb-twice",
        "/header-huge",
        "/endless-without-length",
        "/endless-headers",
    ]
    command = [sys.executable, "-c", script, *(hostile.url + path for path in bombs)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 300


def test_answers_carry_what_was_found(hostile: HostileServer, quick: HttpConfig) -> None:
    found = get(quick, hostile.url + "/to-page")
    assert (found.url, found.final_url) == (hostile.url + "/to-page", hostile.url + "/page")
    assert (found.status, found.header("Content-Type"), found.body[:6]) == (200, "text/html", b"<html>")
    assert (
        found.consent_evidence == "robots.txt: no rule; tdmrep.json: not reserved; ai.txt: no rule; headers: no refusal"
    )
    refused = get(quick, hostile.url + "/private/x")
    assert (refused.status, refused.consent, refused.detail) == (0, "robots_txt", "robots.txt: Disallow: /private/")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "fe80::1",
        "fd00::1",
    ],
)
def test_names_of_private_addresses_are_never_connected_to(
    address: str, quick: HttpConfig, connections: list[str]
) -> None:
    strict = dataclasses.replace(quick, allow_loopback=False)
    found = get(strict, "http://rebind.test/x", resolver=Names(rebind_test=[address]))
    assert (found.reason, connections) == ("forbidden_address", [])


def test_a_name_that_changes_its_address_is_stopped(quick: HttpConfig, connections: list[str]) -> None:
    """The first look-ups lead to the server, for robots.txt and its fellows; the next one inside the network."""
    names = Names(rebind_test=["127.0.0.1", "10.0.0.1"])
    closing = {"/robots.txt": answer(b"", "404 Not Found", Connection="close")}
    with HostileServer(closing) as server:
        config = dataclasses.replace(quick, ports=(server.port,), dns_cache_seconds=0)

        async def run() -> Answer:
            async with PoliteClient(config, resolver=names) as client:
                return await client.get(f"http://rebind.test:{server.port}/page")

        assert asyncio.run(run()).reason == "forbidden_address"
        assert "/page" not in server.paths()
    assert set(connections) <= {"127.0.0.1"}


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://0/",
            "http://localhost/",
        ),
        *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/"),
    ],
)
def test_odd_spellings_of_loopback_are_not_connected_to(url: str, quick: HttpConfig, connections: list[str]) -> None:
    found = get(dataclasses.replace(quick, allow_loopback=False), url)
    assert found.reason in ("forbidden_address", "bad_url", "dns_error")
    assert connections == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "forbidden_scheme"),
        ("data:text/html,x", "forbidden_scheme"),
        ("javascript:alert(1)", "forbidden_scheme"),
        ("http://example.org:22/", "forbidden_port"),
        ("http://user:pass@example.org/", "bad_url"),
        ("http://", "bad_url"),
        ("not a url", "bad_url"),
        ("http://[bad", "bad_url"),
        ("http://example.org:99999/", "bad_url"),
    ],
)
def test_urls_that_are_refused_as_they_stand(url: str, reason: str, quick: HttpConfig, connections: list[str]) -> None:
    assert get(quick, url).reason == reason
    assert connections == []


def test_a_public_site_needs_a_contact(quick: HttpConfig, connections: list[str]) -> None:
    nameless = dataclasses.replace(quick, contact="")
    with pytest.raises(UserError, match="contact"):
        get(nameless, "http://example.org/")
    assert connections == []


def test_a_redirect_to_a_public_site_without_a_contact_costs_that_url_alone(
    quick: HttpConfig, connections: list[str]
) -> None:
    nameless = dataclasses.replace(quick, contact="")
    away = redirect("http://93.184.216.34/page")
    with HostileServer({"/away": away, "/page": answer(b"here")}) as server:
        found = get_all(nameless, [server.url + "/away", server.url + "/page"])
        assert [each.reason for each in found] == ["no_contact", ""]
        assert (
            found[0].detail == "http://93.184.216.34/page: a public site is asked only by a visitor who says who it is"
        )
    with HostileServer({"/robots.txt": away, "/page": answer(b"here")}) as server:
        assert get(nameless, server.url + "/page").reason == "no_contact"
    assert set(connections) == {"127.0.0.1"}
    assert setting_of("no_contact") == "http.contact"


def test_tls_errors_have_their_reason(hostile: HostileServer, quick: HttpConfig) -> None:
    assert get(quick, hostile.url.replace("http:", "https:") + "/page").reason == "tls_error"


def test_a_closed_port_has_its_reason(quick: HttpConfig) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert get(quick, f"http://127.0.0.1:{port}/").reason == "connection_refused"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", ""),
        ("401 Unauthorized", ""),
        ("500 Oops", "robots_unreachable"),
        ("429 Slow", "robots_unreachable"),
    ],
)
def test_robots_answers_decide_by_their_status(status: str, reason: str, quick: HttpConfig) -> None:
    with HostileServer({"/robots.txt": answer(b"x", status)}) as server:
        assert get(quick, server.url + "/page").reason == reason
        assert ("/page" in server.paths()) == (reason == "")


def test_a_robots_redirect_is_followed_and_a_long_one_is_cut_not_dropped(quick: HttpConfig) -> None:
    rules = b"User-agent: *\nDisallow: /pa\n" + b"# padding\n" * 100_000
    with HostileServer({"/robots.txt": redirect("/other"), "/other": answer(rules)}) as server:
        assert get(quick, server.url + "/page").reason == "refused_by_robots_txt"


def test_an_unreachable_robots_file_forbids(quick: HttpConfig) -> None:
    with HostileServer({"/robots.txt": redirect("http://10.0.0.1/robots.txt")}) as server:
        assert get(quick, server.url + "/page").reason == "forbidden_address"
        assert "/page" not in server.paths()


def test_rules_for_ai_crawlers_bind_where_that_is_asked_for(quick: HttpConfig) -> None:
    rules = b"User-agent: *\nAllow: /\nUser-agent: GPTBot\nDisallow: /page"
    with HostileServer({"/robots.txt": answer(rules), "/page": answer(b"here")}) as server:
        assert get(quick, server.url + "/page").reason == ""
        found = get(dataclasses.replace(quick, obey_ai_crawler_rules=True), server.url + "/page")
        assert (found.reason, found.detail) == (
            "refused_by_robots_txt",
            "robots.txt: Disallow: /page (said to gptbot)",
        )


def test_policy_files_that_robots_disallows_are_not_asked_for(quick: HttpConfig) -> None:
    with HostileServer({"/robots.txt": answer(b"User-agent: *\nDisallow: /\nAllow: /page")}) as server:
        assert get(quick, server.url + "/page").reason == ""
        assert server.paths() == ["/robots.txt", "/page"]


def test_signals_that_do_not_bind_are_noted_and_ignored(hostile: HostileServer, quick: HttpConfig) -> None:
    lax = dataclasses.replace(quick, binding_signals=("tdm_header",))
    found = get(lax, hostile.url + "/private/page")
    assert (found.reason, found.consent) == ("", "allowed")
    assert "robots.txt: Disallow: /private/ (does not bind)" in found.consent_evidence
    assert get(lax, hostile.url + "/noai").reason == ""
    assert get(lax, hostile.url + "/tdm").reason == "refused_by_tdm_header"
    assert "/ai.txt" not in hostile.paths()


def test_robots_is_asked_for_once(hostile: HostileServer, quick: HttpConfig) -> None:
    memory = Memory()
    for _ in range(2):
        get_all(quick, [hostile.url + f"/page?{number}" for number in range(5)], memory=memory)
    assert hostile.paths().count("/robots.txt") == hostile.paths().count("/ai.txt") == 1


def test_the_delay_is_held_between_requests_of_one_host(quick: HttpConfig, standing_clock: StandingClock) -> None:
    patient = dataclasses.replace(quick, delay=5.0, concurrency_per_host=1)
    with HostileServer(clock=standing_clock.now) as server:
        get_all(patient, [server.url + f"/page?{number}" for number in range(8)])
        assert [moment for moment, _ in server.log] == [5.0 * number for number in range(8 + 3)]


def test_a_crawl_delay_outlives_the_client(quick: HttpConfig, standing_clock: StandingClock) -> None:
    memory = Memory()
    rules = {"/robots.txt": answer(b"User-agent: webimagetext\nCrawl-delay: 10\n")}
    with HostileServer(rules, clock=standing_clock.now) as server:
        for number in range(3):
            get(quick, server.url + f"/page?{number}", memory=memory)
        assert [moment for moment, _ in server.log] == [10.0 * number for number in range(3 + 3)]


def test_hosts_that_want_too_much_patience_are_left_alone(quick: HttpConfig) -> None:
    with HostileServer({"/robots.txt": answer(b"User-agent: *\nCrawl-delay: 1000\n")}) as server:
        found = get(quick, server.url + "/page")
        assert (found.reason, server.paths()) == ("host_given_up", ["/robots.txt"])
    with HostileServer() as server:
        urls = [server.url + "/429-for-an-hour", *(server.url + f"/page?{number}" for number in range(20))]
        slow = dataclasses.replace(quick, concurrency_per_host=1)
        reasons = [found.reason for found in get_all(slow, urls)]
        assert reasons == ["http_429", *["host_given_up"] * 20]


@pytest.mark.parametrize(("status", "lost"), [(503, 16), (500, 16), (429, 4)])
def test_a_host_that_keeps_failing_is_given_up(quick: HttpConfig, status: int, lost: int) -> None:
    """One that says itself that it failed is alive, and gets more patience."""
    wary = dataclasses.replace(quick, host_failures=4, retries=0, concurrency_per_host=1)
    rules = {f"/bad/{status}/{number}": answer(status=f"{status} Trouble") for number in range(20)}
    with HostileServer(rules) as server:
        reasons = [found.reason for found in get_all(wary, [server.url + path for path in rules])]
        assert reasons == [f"http_{status}"] * lost + ["host_given_up"] * (20 - lost)


def test_repeats_of_one_url_are_one_failure(quick: HttpConfig, standing_clock: StandingClock) -> None:
    """Two bad addresses among good ones, each asked three times, cost the host nothing else."""
    wary = dataclasses.replace(quick, host_failures=1, retries=2, concurrency_per_host=1)
    rules = {f"/{number}": answer(status="500 Trouble") for number in (3, 4)}
    with HostileServer(rules | {f"/{number}": answer(b"good") for number in (0, 1, 2, 5, 6)}) as server:
        reasons = [found.reason for found in get_all(wary, [f"{server.url}/{number}" for number in range(7)])]
        assert reasons == ["", "", "", "http_500", "http_500", "", ""]
        assert [server.paths().count(f"/{number}") for number in range(7)] == [1, 1, 1, 3, 3, 1, 1]


def test_a_refusal_on_the_way_holds_for_where_it_leads(quick: HttpConfig) -> None:
    site = {
        "/to": answer(status="302 Found", Location="/page", X_Robots_Tag="noai; noimageai"),
        "/used": answer(b"x", Content_Usage="train-ai=n"),
        "/page": answer(b"here"),
    }
    with HostileServer(site) as server:
        found = get_all(quick, [server.url + path for path in site])
        assert [each.reason for each in found] == ["refused_by_x_robots_tag", "refused_by_content_usage", ""]
        lax = dataclasses.replace(quick, binding_signals=("robots_txt",))
        assert get(lax, server.url + "/to").body == b"here"
        assert get(lax, server.url + "/used").reason == ""


def test_addresses_go_out_as_they_were_written(quick: HttpConfig) -> None:
    signed = "/a%2Fb%7E/i.jpg?Signature=qZ0%2Fj%2BPP%3D&d=1%3A2%2C3&c=%C3%A4&x=[1]"
    site = {"/to": redirect(signed), "/to-other": redirect("./x/../i b.jpg?q=ä ü")}
    with HostileServer(site | {"/a%2Fb%7E/i.jpg": answer(b"here"), "/i%20b.jpg": answer(b"there")}) as server:
        found = get_all(quick, [server.url + path for path in (signed, "/to", "/to-other")])
        assert [(each.reason, each.body) for each in found] == [("", b"here"), ("", b"here"), ("", b"there")]
        assert found[1].final_url == server.url + signed
        asked = [path for _, path in server.log]
        assert (asked.count(signed), asked.count("/i%20b.jpg?q=%C3%A4%20%C3%BC")) == (2, 1)


def test_a_redirect_to_another_host_can_be_handed_back(hostile: HostileServer, quick: HttpConfig) -> None:
    elsewhere = hostile.url.replace("127.0.0.1", "127.0.0.2")
    with HostileServer({"/away": redirect(elsewhere + "/page")}) as server:

        async def run() -> Answer:
            async with PoliteClient(quick) as client:
                return await client.get(server.url + "/away", follow="host")

        found = asyncio.run(run())
        assert (found.reason, found.final_url) == ("other_host", elsewhere + "/page")
        assert hostile.log == []


def test_a_picture_is_known_by_its_first_bytes(quick: HttpConfig) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(70_000)
    site = {
        "/html": answer(picture, Content_Type="text/html"),
        "/no": answer(b"<html>" * 9_000, Content_Type="text/html"),
        "/force": answer(picture, Content_Type="application/force-download"),
        "/coded": answer(picture, Content_Type="image/png", Content_Encoding="UTF-8"),
        "/short": answer(b"BM", Content_Type="text/html"),
    }

    async def run(urls: list[str]) -> list[Answer]:
        async with PoliteClient(quick) as client:
            return [await client.get(url, types=("image/",), shows=is_picture) for url in urls]

    with HostileServer(site) as server:
        found = asyncio.run(run([server.url + path for path in site]))
    assert [each.reason for each in found] == ["", "wrong_type", "", "", "wrong_type"]
    assert [each.body for each in found] == [picture, b"", picture, picture, b""]


@pytest.mark.parametrize(
    ("head", "picture"),
    [
        (b"GIF89a", True),
        (b"RIFF\x10\0\0\0WEBPVP8 ", True),
        (b"RIFF\x10\0\0\0WAVE", False),
        (b"\0\0\0\x20ftypavif", True),
        (b"\0\0\0\x20ftypmp42", False),
        (b"BM\x36\0\x10\0\0\0\0\0\x36\0\0\0\x28\0\0\0", True),
        (b"BMW of the year 2026", False),
        (b"", False),
    ],
)
def test_how_pictures_begin(head: bytes, picture: bool) -> None:
    assert is_picture(head) == picture


def test_media_types_can_be_refused_before_the_body(hostile: HostileServer, quick: HttpConfig) -> None:
    async def run() -> Answer:
        async with PoliteClient(quick) as client:
            return await client.get(hostile.url + "/zip-as-page", types=("text/html",))

    found = asyncio.run(run())
    assert (found.reason, found.detail) == ("wrong_type", "application/zip")
