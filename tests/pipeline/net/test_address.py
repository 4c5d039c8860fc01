"""Which addresses count as public."""

import ipaddress
import random

import pytest
from yarl import URL

from pipeline.net.address import forbidden, is_loopback_name, url_problem
from pipeline.net.config import HttpConfig

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1"),
    *(
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
    ),
    *("ff02::1", "3fff::1", "not an address", "", "0x7f.1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_asked(address: str) -> None:
    assert forbidden(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_all_other_addresses_may_not(address: str) -> None:
    assert forbidden(address)
    if address not in ("127.0.0.1", "127.255.255.254", "::1"):
        assert forbidden(address, allow_loopback=True)


def test_loopback_is_allowed_by_option_alone() -> None:
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        assert forbidden(address) == "loopback"
        assert forbidden(address, allow_loopback=True) is None


def test_nothing_that_python_calls_private_passes() -> None:
    numbers = random.Random(5)
    for _ in range(20_000):
        address = ipaddress.IPv4Address(numbers.getrandbits(32))
        if forbidden(str(address)) is None:
            assert address.is_global
            assert not address.is_multicast


def test_names_of_this_machine() -> None:
    assert all(map(is_loopback_name, ("localhost", "a.localhost", "127.0.0.1", "::1")))
    assert not any(map(is_loopback_name, ("localhost.example.org", "example.org", "10.0.0.1", "")))


def test_ports_are_free_on_allowed_loopback_only() -> None:
    allowed = HttpConfig(allow_loopback=True)
    assert url_problem(URL("http://127.0.0.1:9999/"), allowed) is None
    assert url_problem(URL("http://127.0.0.1:9999/"), HttpConfig()) == ("forbidden_port", "9999")
    assert url_problem(URL("http://example.org:9999/"), allowed) == ("forbidden_port", "9999")
