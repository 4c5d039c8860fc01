"""The polite HTTP client, the only part of the project that talks to other people's servers.

In: a URL. Out: an :class:`Answer` that always says what happened: a body, or a reason in snake_case. Before each
request, and again before each redirect's target: the URL's form and port, the site's robots.txt, tdmrep.json and
ai.txt, the host's turn; at the connection: the address; in the answer: the refusals in headers, the size, the time. A
refusal is never asked again.
"""

import asyncio
import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

from aiohttp.abc import AbstractResolver
from yarl import URL

from pipeline.hosts import host_name
from pipeline.net.address import is_loopback_name, url_problem
from pipeline.net.config import HttpConfig
from pipeline.net.consent import ALLOWED, Consent, decide, header_refusals
from pipeline.net.pace import HostGivenUpError, HostMemory, HostPace
from pipeline.net.robots import MAX_ROBOTS_BYTES
from pipeline.net.sites import Memory, Sites
from pipeline.net.slots import Places
from pipeline.net.sockets import most_sockets
from pipeline.net.transport import WRONG_TYPE, Exchange, Headers, OutOfSocketsError, Request, Transport
from pipeline.net.url import parsed
from webimagetext.endings import out_of_files
from webimagetext.errors import UserError

__all__ = ["Answer", "Memory", "PoliteClient"]

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_RETRIED_REASONS = frozenset({"connection_lost", "truncated_body"})
_UNREACHED = frozenset({"connect_timeout", "connection_refused", "connection_lost", "deadline_exceeded", "dns_error"})
_TOO_MANY = 429
_HOSTS_REMEMBERED = 20_000
_FREE_SOCKETS_SECONDS = 0.5
_FREE_SOCKETS_TRIES = 40  # after which this process itself is what lacks them
_POLICY_ACCEPT = "text/plain, application/json;q=0.9, */*;q=0.1"


@dataclass
class Answer:
    """What came of one URL. ``reason`` is empty when ``body`` is whole and may be used."""

    url: str
    final_url: str = ""  # after redirects
    status: int = 0  # of the last answer; 0 without one
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    reason: str = ""
    detail: str = ""
    consent: str = ""  # "allowed", or the signal that refused; empty when that was never learnt
    consent_evidence: str = ""

    def header(self, name: str) -> str:
        """The first value of a header, or the empty string."""
        values = self.headers.get(name.lower())
        return values[0] if values else ""


@dataclass
class _Budget:
    """Seconds one URL has left, counted only while a request of its own is under way."""

    left: float


class PoliteClient:
    """An asynchronous context manager; any number of :meth:`get` calls may be under way at once.

    ``memory`` carries what is known of sites and hosts over to the next client; ``resolver`` replaces the system's name
    look-up, ``slots`` the count of requests under way at once.
    """

    def __init__(
        self,
        config: HttpConfig,
        *,
        memory: Memory | None = None,
        resolver: AbstractResolver | None = None,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._config = config
        self._memory = memory if memory is not None else Memory()
        self._resolver = resolver
        self._paces: dict[str, HostPace] = {}
        self._slots = slots if slots is not None else asyncio.Semaphore(config.concurrency)
        self._sockets = Places(most_sockets(config.concurrency))
        self._sites = Sites(config, self._memory, self._ask_policy, self._delay_found)
        self._transport: Transport | None = None

    async def __aenter__(self) -> Self:
        self._transport = Transport(self._config, self._slots, self._resolver)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.close()

    async def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        max_bytes: int | None = None,
        types: tuple[str, ...] = (),
        shows: Callable[[bytes], bool] | None = None,
        follow: Literal["any", "host"] = "any",
    ) -> Answer:
        """Fetches one URL.

        ``accept`` is the Accept header; ``max_bytes`` lowers the configured cap; ``types`` are the beginnings of the
        media types worth reading, empty for any; ``shows`` says of a body of another type whether it is of a right one
        by its first bytes; ``follow="host"`` ends at a redirect to another host with reason
        ``other_host`` and that target as ``final_url``. Raises UserError when ``url`` itself is of a public site and
        there is no contact; a redirect there ends with reason ``no_contact``.
        """
        answer = Answer(url, final_url=url)
        budget = _Budget(self._config.deadline)
        limit = min(max_bytes or self._config.max_bytes, self._config.max_bytes)
        current, first = parsed(url), ""
        for hops in range(self._config.max_redirects + 1):
            if current is None:
                answer.reason = "bad_redirect" if first else "bad_url"
                return answer
            answer.final_url = str(current)
            problem = url_problem(current, self._config)
            if problem is not None:
                answer.reason, answer.detail = problem
                return answer
            first = first or host_name(current)
            if follow == "host" and host_name(current) != first:
                answer.reason = "other_host"
                return answer
            if hops and (refusal := self._lacks_contact(current)):
                answer.reason, answer.detail = refusal
                return answer
            exchange = await self._consented(answer, Request(current, accept, limit, 0.0, shows=shows), types, budget)
            if exchange is None or exchange.reason != "redirect":
                return answer
            current = parsed(exchange.location, str(current))
        answer.reason, answer.detail = "too_many_redirects", f"more than {self._config.max_redirects}"
        return answer

    def has_answered(self, url: str) -> bool:
        """Whether the URL's host has answered anything that this client wanted of it, policy files not counted."""
        current = parsed(url)
        return current is not None and self._pace(current).answers > 0

    async def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of a site already asked names, for any URL on it."""
        current = parsed(url)
        if current is None or url_problem(current, self._config) is not None:
            return []
        policy = await self._sites.policy(current)
        return list(policy.robots.sitemaps) if policy.robots is not None else []

    async def _consented(
        self, answer: Answer, request: Request, types: tuple[str, ...], budget: _Budget
    ) -> Exchange | None:
        """Asks if the site consents, and fills in the answer; None when it was not asked."""
        url = request.url
        self._require_contact(url)
        consent = await self._sites.consent(url)
        if not isinstance(consent, Consent):
            answer.reason, answer.detail = consent
            return None
        if not self._note(answer, consent):
            return None

        def look(headers: Headers) -> tuple[str, str] | None:
            refusals = header_refusals(headers, self._config)
            looked_at = [consent.evidence] if refusals else [consent.evidence, "headers: no refusal"]
            if not self._note(answer, decide(refusals, looked_at, self._config)):
                return answer.reason, answer.detail
            media = headers.get("content-type", ("",))[0].strip().lower()
            return (WRONG_TYPE, media[:100]) if types and media and not media.startswith(types) else None

        exchange = await self._repeated(replace(request, look=look), budget)
        if exchange.status and exchange.status not in _RETRIED_STATUSES:
            self._pace(url).answers += 1
        answer.status, answer.headers, answer.body = exchange.status, exchange.headers, exchange.body
        answer.reason, answer.detail = exchange.reason, exchange.detail
        if exchange.reason == "redirect":
            # What a site says where it sends us on holds for what lies there too.
            said = header_refusals(exchange.headers, self._config)
            if not self._note(answer, decide(said, [consent.evidence], self._config)):
                return None
        return exchange

    def _note(self, answer: Answer, consent: Consent) -> bool:
        """Writes the decision into the answer; False when it ends the request."""
        answer.consent, answer.consent_evidence = consent.decision, consent.evidence
        if consent.decision != ALLOWED:
            answer.reason, answer.detail, answer.body = f"refused_by_{consent.decision}", consent.detail, b""
            answer.consent_evidence = "; ".join(filter(None, (consent.evidence, consent.detail)))
        return consent.allowed

    def _lacks_contact(self, url: URL) -> tuple[str, str] | None:
        """Reason and detail where ``url`` may not be asked, since a public site is to know who asks."""
        if self._config.has_contact or is_loopback_name(url.raw_host or ""):
            return None
        return "no_contact", f"{url}: a public site is asked only by a visitor who says who it is"

    def _require_contact(self, url: URL) -> None:
        if (refusal := self._lacks_contact(url)) is not None:
            remedy = "set contact in [http] to a web page or e-mail address at which the site's owner can reach you"
            raise UserError(refusal[1], remedy)

    def _pace(self, url: URL) -> HostPace:
        """The pace of the URL's host."""
        host = host_name(url)
        if host not in self._paces:
            most = max(_HOSTS_REMEMBERED, 4 * self._config.concurrent_hosts)
            if len(self._paces) > most:
                idle = [name for name, pace in self._paces.items() if pace.is_idle]
                for name in idle[: most // 2]:
                    del self._paces[name]
            self._memory.shorten(most)
            self._paces[host] = HostPace(self._config.of_host(host), self._memory.hosts.setdefault(host, HostMemory()))
        return self._paces[host]

    def _delay_found(self, url: URL, seconds: float) -> None:
        self._pace(url).ask_for_delay(seconds)

    async def _ask_policy(self, url: URL) -> Exchange:
        """A policy file's final answer: asked like any URL, but before there can be consent."""
        budget = _Budget(self._config.deadline)
        current: URL | None = url
        for _ in range(self._config.max_redirects + 1):
            if current is None:
                return Exchange(reason="bad_redirect")
            problem = url_problem(current, self._config)
            if problem is not None:
                return Exchange(reason="bad_redirect", detail=" ".join(problem))
            if (refusal := self._lacks_contact(current)) is not None:
                return Exchange(reason=refusal[0], detail=refusal[1])
            exchange = await self._repeated(Request(current, _POLICY_ACCEPT, MAX_ROBOTS_BYTES, 0.0, cut=True), budget)
            if exchange.reason != "redirect":
                return exchange
            current = parsed(exchange.location, str(current))
        return Exchange(reason="too_many_redirects")

    async def _repeated(self, request: Request, budget: _Budget) -> Exchange:
        """One URL asked in its host's turn, and again after passing trouble."""
        pace = self._pace(request.url)
        exchange = Exchange()
        for attempt in range(self._config.retries + 1):
            try:
                exchange = await self._in_turn(pace, request, budget)
            except HostGivenUpError as error:
                # An earlier attempt has the better answer.
                return exchange if exchange.reason else Exchange(reason="host_given_up", detail=str(error))
            if exchange.status in _RETRIED_STATUSES or exchange.reason in _UNREACHED:
                pace.slow_down(_retry_after(exchange), attempt)
            else:
                pace.succeeded()
            again = exchange.status in _RETRIED_STATUSES or exchange.reason in _RETRIED_REASONS
            if not again or budget.left <= 0:
                break
        if exchange.status in _RETRIED_STATUSES:
            pace.failed(f"status {exchange.status}", answered=exchange.status != _TOO_MANY)
        elif exchange.reason in _UNREACHED:
            pace.failed(exchange.reason)
        return exchange

    async def _in_turn(self, pace: HostPace, request: Request, budget: _Budget) -> Exchange:
        """One exchange in the host's turn; where this process can open no connection, when it can again."""
        assert self._transport is not None, "the client is used outside its 'async with' block"
        for _ in range(_FREE_SOCKETS_TRIES):
            async with pace.turn(self._sockets) as sent:
                try:
                    exchange = await self._transport.exchange(replace(request, seconds=budget.left), sent)
                except OutOfSocketsError:
                    await asyncio.sleep(_FREE_SOCKETS_SECONDS)
                    continue
                budget.left -= exchange.seconds
                return exchange
        raise out_of_files()


def _retry_after(exchange: Exchange) -> float | None:
    """Seconds that a Retry-After header asks for: a number or an HTTP date.

    A date counts from the moment that the answer itself names, where it does: this machine's clock may be wrong.
    """
    value = exchange.header("retry-after").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until, now = _moment(value), _moment(exchange.header("date"))
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _moment(date: str) -> float | None:
    """An HTTP date in seconds since 1970; None for what is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if date.strip() else None
    except (ValueError, OverflowError):  # no date, or one of a year that no calendar has
        return None
