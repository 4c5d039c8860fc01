"""How this project behaves as a visitor of other people's sites: name, pace, limits, and which refusals bind it.

In: the ``[http]`` table of a run's configuration. Out: :class:`HttpConfig`, checked. Import-light, because ``--help``
reads it.
"""

import functools
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pipeline.net.usage import AI_CRAWLERS
from webimagetext.deciding import FREE
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["ALL_SIGNALS", "HostConfig", "HttpConfig", "Signal"]

Signal = Literal[
    "robots_txt", "x_robots_tag", "meta_robots", "tdm_header", "tdm_meta", "tdm_file", "ai_txt", "content_usage"
]
ALL_SIGNALS: tuple[Signal, ...] = (
    "robots_txt",
    "x_robots_tag",
    "meta_robots",
    "tdm_header",
    "tdm_meta",
    "tdm_file",
    "ai_txt",
    "content_usage",
)


@dataclass(frozen=True)
class HostConfig(Ranged):
    """The pace of hosts whose owner has agreed to it: a table [[http.hosts]] of the configuration file each."""

    host: str = ""
    """A name, or *.name for all hosts below it."""
    delay: Annotated[float, Range(0)] = 1.0
    """Seconds between the starts of two requests; a longer Crawl-delay in its robots.txt wins."""
    concurrency: Annotated[int, Range(1)] = 2
    """Requests under way at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.host.removeprefix("*.")
        if not name or not name.isascii() or name != name.lower() or any(mark in name for mark in "*/:@ "):
            raise UserError(
                f"http.hosts: host {self.host!r} is no host",
                'write a name in lower case, or "*.name" for those below it',
            )

    def speaks_of(self, host: str) -> bool:
        """Whether this is said of ``host``."""
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host


@dataclass(frozen=True)
class HttpConfig(Ranged):
    """Requests over HTTP: who asks, how fast, within which limits."""

    user_agent: Annotated[str, FREE] = "webimagetext"
    """Name sent with every request, one word; rules in robots.txt and X-Robots-Tag address it."""
    contact: Annotated[str, FREE] = ""
    """Web page (https://…) or e-mail address at which a site's owner reaches you; required for any site but
    loopback."""
    delay: Annotated[float, FREE, Range(0)] = 1.0
    """Seconds between the starts of two requests to one host; a longer Crawl-delay in its robots.txt wins."""
    max_crawl_delay: Annotated[float, FREE, Range(0)] = 60.0
    """Seconds; a host whose robots.txt asks for a longer Crawl-delay than this is left alone."""
    concurrency: Annotated[int, FREE, Range(1)] = 64
    """Requests under way at once, all hosts together."""
    concurrency_per_host: Annotated[int, FREE, Range(1)] = 2
    """Requests under way at once to one host (they still start no closer than the delay)."""
    concurrent_hosts: Annotated[int, FREE, Range(1)] = 2000
    """Hosts that a worker process visits at once, each at its own pace, so that most of them wait; fewer where the
    process may not open so many connections."""
    hosts: Annotated[tuple[HostConfig, ...], FREE] = ()
    """Hosts with a pace of their own; the first that speaks of a host counts."""
    connect_timeout: Annotated[float, FREE, Range(above=0)] = 10.0
    """Seconds to look up a host name, connect and agree on TLS."""
    deadline: Annotated[float, FREE, Range(above=0)] = 30.0
    """Seconds one URL may take in all, with redirects and repeats, not counting the wait for the host's turn."""
    max_bytes: Annotated[int, Range(1)] = 20_000_000
    """Largest body, in bytes as sent and again after decompression."""
    max_redirects: Annotated[int, Range(0)] = 5
    """Redirects followed for one URL; each target is checked like a new URL."""
    max_header_bytes: Annotated[int, Range(1)] = 16_384
    """Longest single header or status line, in bytes."""
    ports: Annotated[tuple[int, ...], Range(1, 65535)] = (80, 443, 8080, 8443)
    """Ports that may be asked (on allowed loopback: any)."""
    retries: Annotated[int, FREE, Range(0, 100)] = 2
    """Repeats after 429, 500, 502, 503, 504 or a broken connection."""
    backoff: Annotated[float, FREE, Range(0)] = 1.0
    """Seconds before the first repeat; doubled for each next one. A Retry-After header wins."""
    max_backoff: Annotated[float, FREE, Range(0)] = 60.0
    """Seconds; a host that asks for a longer Retry-After is given up for this round."""
    host_failures: Annotated[int, FREE, Range(1)] = 5
    """Failures in a row (429, 5xx, no connection) after which a host is given up for this round."""
    dns_cache_seconds: Annotated[int, FREE, Range(0)] = 300
    """Seconds a host name's addresses are remembered."""
    binding_signals: tuple[Signal, ...] = ALL_SIGNALS
    """Refusals that bind; one left out is still noted in the evidence if it is seen, but obeyed no more."""
    binding_directives: tuple[str, ...] = ("noai", "noimageai", "noindex", "noimageindex", "none")
    """Words in X-Robots-Tag and meta robots that mean a refusal."""
    obey_ai_crawler_rules: bool = False
    """Obey what robots.txt says to well-known crawlers that gather data for AI (GPTBot, CCBot, Google-Extended …) as
    if it were said to us."""
    ca_file: Annotated[str, FREE] = ""
    """PEM file of certificate authorities to trust instead of the system's."""
    allow_loopback: bool = False
    """Allow requests to this machine itself (127.0.0.0/8 and ::1): for a demonstration or a test."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.user_agent
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise UserError(f"http: user_agent {name!r} is not one word of letters, digits, - and _")
        if self.contact and not self.contact.startswith(("http://", "https://")) and "@" not in self.contact:
            raise UserError(f"http: contact {self.contact!r} is neither a web page nor an e-mail address")
        if not self.contact.isascii() or not self.contact.isprintable() or " " in self.contact:
            raise UserError(f"http: contact {self.contact!r} has characters that no header may have")
        for signal in self.binding_signals:
            if signal not in ALL_SIGNALS:
                raise UserError(
                    f"http: binding_signals: there is no signal {signal!r}", f"one of: {', '.join(ALL_SIGNALS)}"
                )

    def of_host(self, host: str) -> "HttpConfig":
        """These settings as they are for a host, by its name in lower case."""
        return next((_paced(self, one) for one in self.hosts if one.speaks_of(host)), self)

    def binds(self, signal: Signal) -> bool:
        """Whether a refusal by this signal is obeyed."""
        return signal in self.binding_signals

    @property
    def binding_agents(self) -> tuple[str, ...]:
        """Whose rules in robots.txt bind beside our own."""
        return AI_CRAWLERS if self.obey_ai_crawler_rules else ()

    @property
    def has_contact(self) -> bool:
        """Whether public sites may be asked."""
        return bool(self.contact)

    @property
    def user_agent_header(self) -> str:
        """The User-Agent header: the name and, in brackets, the contact."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent


@functools.cache
def _paced(config: HttpConfig, host: HostConfig) -> HttpConfig:
    return replace(config, delay=host.delay, concurrency_per_host=host.concurrency)
