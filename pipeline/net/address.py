"""Which addresses may be connected to: the public Internet, and loopback only when it is allowed.

In: the numeric address a socket is about to connect to. Out: None, or why not. The check sits in the function that
makes the socket, after every lookup, so no host name, odd spelling, redirect or changing DNS answer gets past it.
"""

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from yarl import URL

from pipeline.net.config import HttpConfig

__all__ = ["forbidden", "guarded_socket", "is_loopback_name", "url_problem"]

FORBIDDEN = "forbidden address"  # in the error's words, by which a failed connection is recognised

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all global unicast space handed out so far
# Ranges that Python's is_global lets through although they lead elsewhere than they say or to no single host.
_TUNNELS = tuple(map(ipaddress.IPv6Network, ("2001::/32", "2002::/16", "2001:20::/28", "3fff::/20")))
_SPECIAL_IPV4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))


class ForbiddenAddressError(OSError):
    """A connection to an address that must not be reached was about to be made."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(errno.EACCES, f"{FORBIDDEN} {address}: {why}")


def forbidden(address: str, *, allow_loopback: bool = False) -> str | None:
    """Why the numeric ``address`` must not be connected to; None when it may be."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "not a numeric address"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            return "link-local"
        inner = parsed.ipv4_mapped or (ipaddress.IPv4Address(parsed.packed[-4:]) if parsed in _NAT64 else None)
        if inner is not None:
            # A mapped loopback address is an odd spelling, so it stays forbidden where loopback is allowed.
            return _forbidden_ipv4(inner)
        if parsed.is_loopback:
            return None if allow_loopback else "loopback"
        if parsed not in _PUBLIC_IPV6 or any(parsed in network for network in _TUNNELS) or not parsed.is_global:
            return "not a public IPv6 address"
        return None
    if parsed.is_loopback and allow_loopback:
        return None
    return _forbidden_ipv4(parsed)


def _forbidden_ipv4(address: ipaddress.IPv4Address) -> str | None:
    for name in ("loopback", "private", "link_local", "multicast", "reserved", "unspecified"):
        if getattr(address, f"is_{name}"):
            return name.replace("_", "-")
    if not address.is_global or any(address in network for network in _SPECIAL_IPV4):
        return "not a public IPv4 address"
    return None


def guarded_socket(config: HttpConfig) -> Callable[[Any], socket.socket]:
    """A socket factory for aiohttp's connector that refuses forbidden addresses with :class:`ForbiddenAddressError`."""

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        why = forbidden(address[0], allow_loopback=config.allow_loopback)
        if why is not None:
            raise ForbiddenAddressError(address[0], why)
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def is_loopback_name(host: str) -> bool:
    """Whether a host, as written in a URL, plainly means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_problem(url: URL, config: HttpConfig) -> tuple[str, str] | None:
    """(reason, detail) when the URL's form alone rules it out: scheme, user name, host, port. None when it does not."""
    if url.scheme not in ("http", "https"):
        return "forbidden_scheme", url.scheme
    if url.user is not None or url.password is not None:
        return "bad_url", "a user name in the URL"
    host = url.raw_host
    if not host:
        return "bad_url", "no host"
    if len(host) > 253 or not host.isascii() or not host.isprintable() or " " in host:
        return "bad_url", "not a host name"
    loopback = config.allow_loopback and is_loopback_name(host)
    if not loopback and url.port not in config.ports:
        return "forbidden_port", str(url.port)
    return None
