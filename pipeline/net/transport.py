"""One HTTP exchange: a request, its answer's headers, its body within the caps. No politeness here, only protection.

In: a checked URL. Out: :class:`Exchange`, which always has a reason when it is not a whole, good body. One TLS context
is shared by the process, connections are kept alive, cookies are dropped, proxies from the environment are ignored
(through one, the address check would see the proxy alone), and redirects are handed back, never followed.
"""

import asyncio
import contextlib
import functools
import re
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import AsyncResolver
from aiohttp.abc import AbstractResolver
from yarl import URL

from pipeline.net.address import FORBIDDEN, guarded_socket
from pipeline.net.body import BadEncodingError, BodyDecoder, BodyTooLargeError
from pipeline.net.config import HttpConfig
from pipeline.net.sniff import SNIFFED
from webimagetext.errors import is_out_of_files
from webimagetext.foreign import one_line, valid
from webimagetext.handles import SPARE, left

__all__ = ["WRONG_TYPE", "Exchange", "Headers", "OutOfSocketsError", "Request", "Transport"]

Headers = dict[str, tuple[str, ...]]  # by lower-case name, every value in order
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HEADERS = 100
WRONG_TYPE = "wrong_type"  # the reason that the first bytes of a body may overrule
_RAW_BYTE = re.compile("[\udc80-\udcff]")
# Few pages and pictures exceed the first number; of those that do, so many are read at once. With the caps on requests
# and bytes this bounds the memory of all bodies: 64 requests hold 64 MB, and four large ones 80 MB more.
_SMALL_BODY = 1_000_000  # bytes
_LARGE_BODIES = 4
LOOKUPS = 2  # of a name, within the time for a connection


def _accept_all(_headers: Headers) -> None:
    return None


class OutOfSocketsError(Exception):
    """This process may open no further connection: no fault of the host's."""


@dataclass(frozen=True)
class Request:
    """One request. ``look`` sees the headers of a 2xx answer and may end it with (reason, detail) before the body is
    read."""

    url: URL
    accept: str
    max_bytes: int  # of the body, as sent and again decoded
    seconds: float  # for everything
    cut: bool = False  # keep the first max_bytes of a longer body instead of refusing it
    look: Callable[[Headers], tuple[str, str] | None] = _accept_all
    shows: Callable[[bytes], bool] | None = None  # whether a body of a wrong type is the right one by its first bytes


@dataclass
class Exchange:
    """What one request brought: ``reason`` is empty for a good body, "redirect" when ``location`` says where to."""

    status: int = 0
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    reason: str = ""
    detail: str = ""
    location: str = ""
    seconds: float = 0.0  # that it took, but for the wait for a place among the requests

    def header(self, name: str) -> str:
        """The first value of a header, or the empty string."""
        values = self.headers.get(name.lower())
        return values[0] if values else ""


@functools.cache
def _tls_context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


class _Call:
    """One exchange on its way: looks up and connects within its time, then waits for a place among the requests under
    way, for which its deadline waits too.

    A host that cannot be reached so keeps no place from one that answers.
    """

    def __init__(self, slots: asyncio.Semaphore, seconds: float, connect_seconds: float) -> None:
        self._slots = slots
        self._connect_seconds = connect_seconds
        self._holds = False
        self.waited = 0.0
        self.deadline = asyncio.timeout(seconds)
        self.connecting = asyncio.timeout(None)
        self.sent: Callable[[], None] = lambda: None

    def begins_to_connect(self) -> None:
        """The time for a connection counts from now."""
        self.connecting.reschedule(asyncio.get_running_loop().time() + self._connect_seconds)

    async def is_connected(self) -> None:
        """Waits for the call's place, as long as it takes."""
        self.connecting.reschedule(None)
        if self._holds:  # aiohttp connects once more where a connection that it had kept turns out to be closed
            return
        loop, until = asyncio.get_running_loop(), self.deadline.when()
        self.deadline.reschedule(None)
        began = loop.time()
        await self._slots.acquire()
        self._holds = True
        self.waited += loop.time() - began
        if until is not None:
            self.deadline.reschedule(until + loop.time() - began)

    def release(self) -> None:
        """Gives the place back, if there is one."""
        if self._holds:
            self._holds = False
            self._slots.release()


class Transport:
    """The session behind a client. Use within one event loop; close it at the end. ``slots`` counts the requests under
    way, from the connection to the end of the body."""

    def __init__(self, config: HttpConfig, slots: asyncio.Semaphore, resolver: AbstractResolver | None = None) -> None:
        self._config = config
        self._slots = slots
        self._large = asyncio.Semaphore(_LARGE_BODIES)
        connector = aiohttp.TCPConnector(
            limit=0,  # the client has its own limits
            ssl=_tls_context(config.ca_file),
            ttl_dns_cache=config.dns_cache_seconds,
            resolver=resolver or AsyncResolver(timeout=config.connect_timeout / LOOKUPS, tries=LOOKUPS),
            socket_factory=guarded_socket(config),
            keepalive_timeout=2 + 2 * config.delay,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=config.max_header_bytes,
            max_field_size=config.max_header_bytes,
            max_headers=_MAX_HEADERS,
            headers={"User-Agent": config.user_agent_header, "Accept-Encoding": "gzip, deflate"},
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[_told()],
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def exchange(self, request: Request, sent: Callable[[], None]) -> Exchange:
        """Makes one request; calls ``sent`` at the moment it goes out. Raises OutOfSocketsError."""
        result, loop = Exchange(), asyncio.get_running_loop()
        began = loop.time()
        call = _Call(self._slots, request.seconds, self._config.connect_timeout)
        call.sent = sent
        try:
            async with call.deadline, call.connecting:
                await self._fill(result, request, call)
        except Exception as error:
            # The system's look-up, for one, says that there is no such name when it cannot open a file.
            if is_out_of_files(error) or (isinstance(error, (OSError, aiohttp.ClientError)) and left() < SPARE):
                raise OutOfSocketsError from error
            result.reason, detail = _reason(error)
            if call.connecting.expired():
                result.reason, detail = "connect_timeout", ""
            result.detail = one_line(detail)
            result.body = b""
        finally:
            call.release()
        result.seconds = loop.time() - began - call.waited
        return result

    async def _fill(self, result: Exchange, request: Request, call: _Call) -> None:
        response = await self._session.get(
            request.url, headers={"Accept": request.accept}, allow_redirects=False, trace_request_ctx=call
        )
        good = False
        try:
            result.status = response.status
            received = response.headers
            result.headers = {
                valid(name).lower(): tuple(map(valid, received.getall(name))) for name in dict.fromkeys(received)
            }
            if result.status in _REDIRECTS and result.header("location"):
                result.reason, result.location = "redirect", _address(received["location"])
            elif not 200 <= result.status < 300:
                result.reason = f"http_{result.status}"
            else:
                problem, first = request.look(result.headers), b""
                if problem is not None and problem[0] == WRONG_TYPE and request.shows is not None:
                    first = await _first_bytes(response)
                    problem = None if request.shows(first) else problem
                if problem is not None:
                    result.reason, result.detail = problem
                    return
                result.body = await _body(response, request, self._large, first)
                result.reason = "" if result.body else "empty_body"
                good = True
        finally:
            # A connection whose body was not read to its end cannot be used again.
            response.release() if good else response.close()


def _address(location: str) -> str:
    """The address in a Location header: bytes that are no UTF-8, which aiohttp hands on as lone surrogates, as a server
    expects them back."""
    return valid(_RAW_BYTE.sub(lambda found: f"%{ord(found.group()) - 0xDC00:02X}", location))


def _told() -> aiohttp.TraceConfig:
    """Tells a call how far aiohttp has come with it."""
    trace = aiohttp.TraceConfig()

    async def begins(_session: object, context: Any, _params: object) -> None:
        context.trace_request_ctx.begins_to_connect()

    async def connected(_session: object, context: Any, _params: object) -> None:
        await context.trace_request_ctx.is_connected()

    async def headers_sent(_session: object, context: Any, _params: object) -> None:
        context.trace_request_ctx.sent()

    trace.on_connection_create_start.append(begins)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    trace.on_request_headers_sent.append(headers_sent)
    return trace


async def _first_bytes(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a body, by which it can be told what it is."""
    first = b""
    while len(first) < SNIFFED and (chunk := await response.content.readany()):
        first += chunk
    return first


async def _chunks(response: aiohttp.ClientResponse, first: bytes) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in response.content.iter_any():
        yield chunk


async def _body(
    response: aiohttp.ClientResponse, request: Request, large: asyncio.Semaphore, first: bytes = b""
) -> bytes:
    """The decoded body, of which ``first`` was read. One that outgrows _SMALL_BODY waits for its turn, unread, so that
    all bodies together stay small."""
    declared = response.content_length
    if declared is not None and declared > request.max_bytes and not request.cut:
        raise BodyTooLargeError
    decoder = BodyDecoder(response.headers.get("Content-Encoding", ""), request.max_bytes, cut=request.cut)
    received = 0
    async with contextlib.AsyncExitStack() as turn:
        waited = False
        async for chunk in _chunks(response, first):
            received += len(chunk)
            if received > request.max_bytes and not request.cut:
                raise BodyTooLargeError
            decoder.feed(chunk)
            if decoder.full:
                response.close()
                break
            if not waited and decoder.size > _SMALL_BODY:
                await turn.enter_async_context(large)
                waited = True
        return decoder.finish()


def _reason(error: Exception) -> tuple[str, str]:
    """(reason, detail) for what an exchange raised; programming errors are raised again."""
    if isinstance(error, BodyTooLargeError):
        return "too_large", ""
    if isinstance(error, BadEncodingError):
        return "bad_encoding", str(error)
    if isinstance(error, TimeoutError):
        return "deadline_exceeded", ""
    words = str(error)
    if FORBIDDEN in words:
        return "forbidden_address", words[words.find(FORBIDDEN) :].split("]")[0]
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns_error", _cause(error)
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError)):
        return "tls_error", _cause(error)
    if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):
        return "bad_url", words
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connection_refused", _cause(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "truncated_body", ""
    if isinstance(error, aiohttp.ClientResponseError):
        return "bad_response", error.message
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return "connection_lost", type(error).__name__
    if isinstance(error, (ValueError, LookupError, ArithmeticError)):
        return "bad_response", f"{type(error).__name__}: {error}"  # of a parser, at what it had not expected
    raise error


def _cause(error: Exception) -> str:
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(inner, "strerror", None) or inner)
