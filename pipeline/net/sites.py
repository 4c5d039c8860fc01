"""What each site allows: its robots.txt, tdmrep.json and ai.txt, asked for once a day, and what they say of a URL.

In: a URL. Out: :class:`Consent`, or why the site could not be asked. A missing file (any 4xx) allows everything;
robots.txt answered with a 5xx or 429, or not at all, forbids everything until it can be read (RFC 9309, 2.3.1). A
policy file that robots.txt itself disallows is not asked for.
"""

import asyncio
import functools
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from yarl import URL

from pipeline.hosts import origin_of
from pipeline.net.config import HttpConfig
from pipeline.net.consent import Consent, Refusal, TdmRule, decide, parse_tdmrep, tdm_file_refusal
from pipeline.net.pace import HostMemory
from pipeline.net.robots import RobotsFile, parse_robots
from pipeline.net.transport import Exchange

__all__ = ["Memory", "Sites", "process_memory"]

_DAY_SECONDS = 24 * 3600.0
_UNREACHABLE_SECONDS = 600.0  # how soon a site that could not be asked is tried again
_TDM_PATH = "/.well-known/tdmrep.json"
_AI_PATH = "/ai.txt"

Ask = Callable[[URL], Awaitable[Exchange]]  # the final answer for a policy file, cut at 500 KiB


@dataclass
class SitePolicy:
    """The policy files of one origin. ``failure`` is (reason, detail) when robots.txt could not be had."""

    expires: float
    robots: RobotsFile | None = None  # None: the site has none
    ai: RobotsFile | None = None
    tdm: tuple[TdmRule, ...] = ()
    failure: tuple[str, str] | None = None


@dataclass
class Memory:
    """What a process remembers of sites and hosts from one client to the next: of as many as it may have use for."""

    policies: dict[str, SitePolicy] = field(default_factory=dict)
    hosts: dict[str, HostMemory] = field(default_factory=dict)

    def shorten(self, most: int) -> None:
        """Forgets the policies that were used longest ago, and the hosts that may be asked at once, where there are
        more than ``most``; half of them then, so that this is seldom done."""
        if len(self.policies) > most:
            for origin in list(self.policies)[: most // 2]:
                del self.policies[origin]
        if len(self.hosts) > most:
            free = [host for host, known in self.hosts.items() if known.wait() <= 0]
            for host in free[: most // 2]:
                del self.hosts[host]


@functools.cache
def process_memory(_config: HttpConfig) -> Memory:
    """What this process has learnt with one configuration. Another one may ask for other policy files, and takes
    nothing over."""
    return Memory()


def _path_of(url: URL) -> str:
    return url.raw_path_qs or "/"


class Sites:
    """The policies of all sites that one client visits."""

    def __init__(self, config: HttpConfig, memory: Memory, ask: Ask, delay_found: Callable[[URL, float], None]) -> None:
        self._config = config
        self._memory = memory
        self._ask = ask
        self._delay_found = delay_found
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def policy(self, url: URL) -> SitePolicy:
        """The policy of the URL's origin, asked for if it is not known or a day old."""
        origin = origin_of(url)
        async with self._locks.setdefault(origin, asyncio.Lock()):  # which goes when nobody waits for it
            policy = self._memory.policies.pop(origin, None)
            if policy is None or policy.expires < time.monotonic():
                policy = await self._read(url.origin())
            self._memory.policies[origin] = policy  # behind those that were used before
            if policy.robots is not None:
                delay = policy.robots.delay(self._config.user_agent)
                if delay is not None:
                    self._delay_found(url, delay)
            return policy

    async def consent(self, url: URL) -> Consent | tuple[str, str]:
        """The decision for ``url`` from the site's files; (reason, detail) when the site could not be asked."""
        policy = await self.policy(url)
        if policy.failure is not None and self._config.binds("robots_txt"):
            return policy.failure
        refusals: list[Refusal] = []
        looked_at = []
        path = _path_of(url)
        if policy.failure is not None:
            looked_at.append(f"robots.txt: {policy.failure[0]} (does not bind)")
        elif policy.robots is None:
            looked_at.append("robots.txt: none")
        else:
            allowed, line = policy.robots.verdict(self._config.user_agent, path)
            other = policy.robots.refusal_to(self._config.binding_agents, path) if allowed else line
            if other:
                refusals.append(Refusal("robots_txt", f"robots.txt: {other}"))
            else:
                looked_at.append(f"robots.txt: {line}")
        reserved = tdm_file_refusal(policy.tdm, path)
        if reserved is not None:
            refusals.append(reserved)
        elif self._config.binds("tdm_file"):
            looked_at.append("tdmrep.json: " + ("not reserved" if policy.tdm else "none"))
        if policy.ai is not None:
            allowed, line = policy.ai.verdict(self._config.user_agent, path)
            if allowed:
                looked_at.append(f"ai.txt: {line}")
            else:
                refusals.append(Refusal("ai_txt", f"ai.txt: {line}"))
        elif self._config.binds("ai_txt"):
            looked_at.append("ai.txt: none")
        return decide(refusals, looked_at, self._config)

    async def _read(self, origin: URL) -> SitePolicy:
        policy = SitePolicy(time.monotonic() + _DAY_SECONDS)
        answer = await self._ask(origin.with_path("/robots.txt"))
        if not answer.reason:
            policy.robots = parse_robots(answer.body).only(self._config.user_agent)
            delay = policy.robots.delay(self._config.user_agent)
            if delay is not None:
                self._delay_found(origin, delay)
        elif not _is_absent(answer):
            unreachable = answer.status >= 400
            policy.failure = (
                "robots_unreachable" if unreachable else answer.reason,
                f"robots.txt: {answer.reason} {answer.detail}".strip(),
            )
            policy.expires = time.monotonic() + _UNREACHABLE_SECONDS
            return policy
        if self._config.binds("tdm_file") and (body := await self._extra(origin, policy, _TDM_PATH)):
            policy.tdm = parse_tdmrep(body)
        if self._config.binds("ai_txt") and (body := await self._extra(origin, policy, _AI_PATH)):
            policy.ai = parse_robots(body).only(self._config.user_agent)
        return policy

    async def _extra(self, origin: URL, policy: SitePolicy, path: str) -> bytes:
        """The body of a further policy file; empty when there is none or it may not be asked for."""
        if policy.robots is not None:
            allowed, _ = policy.robots.verdict(self._config.user_agent, path)
            if not allowed:
                return b""
        answer = await self._ask(origin.with_path(path))
        content_type = answer.header("content-type").lower()
        # Many sites answer any path with their front page.
        return b"" if answer.reason or "html" in content_type else answer.body


def _is_absent(answer: Exchange) -> bool:
    """Whether an answer says that there is no such file: any 4xx but 429, no body, too many or bad redirects."""
    if answer.reason in ("empty_body", "too_many_redirects", "bad_redirect"):
        return True
    return 400 <= answer.status < 500 and answer.status != 429
