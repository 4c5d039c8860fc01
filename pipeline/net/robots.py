"""robots.txt by RFC 9309, and every other file written in its language (ai.txt, the locations of tdmrep.json).

In: the bytes of the file. Out: :class:`RobotsFile`, which says whether an agent may ask for a path, on which line's
word, and how slowly. No input is an error: what cannot be read as a rule is skipped, as the RFC asks. Matching takes
time linear in the path for each rule, whatever the pattern.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from pipeline.net.usage import AI_CRAWLERS, refuses_training

__all__ = ["MAX_ROBOTS_BYTES", "RobotsFile", "matches", "parse_robots", "percent_normal"]

MAX_ROBOTS_BYTES = 512_000  # 500 KiB, what RFC 9309 asks a crawler to read at least

_AGENT = frozenset({"user-agent", "useragent", "user agent"})
# The misspellings are common enough that other crawlers obey them too.
_DISALLOW = frozenset({"disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"})
_DELAY = frozenset({"crawl-delay", "crawl delay", "crawldelay"})
_USAGE = frozenset({"content-signal", "content-signals", "content-usage"})
_KNOWN = _AGENT | _DISALLOW | _DELAY | _USAGE | {"allow", "sitemap"}
_LINES = re.compile(r"[\r\n]+")
_PRODUCT = re.compile(r"[a-z0-9_-]+")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?")


@dataclass(frozen=True)
class Rule:
    """One Allow or Disallow line: ``pattern`` in normal percent-encoding, ``line`` as a person would quote it."""

    allow: bool
    pattern: str
    line: str


@dataclass
class _Group:
    rules: list[Rule] = field(default_factory=list)
    usage: list[Rule] = field(default_factory=list)  # Content-Signal and Content-Usage: whether training is allowed
    delay: float | None = None


def percent_normal(path: str) -> str:
    """A path (with query) in one spelling: unreserved characters bare, everything else as upper-case ``%XX``."""
    if path.isascii() and "%" not in path and not re.search(r"[^!$&-;=?-Z_a-z~]", path):
        return path
    pieces = []
    for index, piece in enumerate(re.split(r"(%[0-9A-Fa-f]{2})", path)):
        if index % 2:
            byte = unquote_to_bytes(piece)[0]
            # An encoded reserved character is another character than the bare one, so it stays encoded.
            keep = (chr(byte).isalnum() and byte < 128) or chr(byte) in "-._~"
            pieces.append(chr(byte) if keep else piece.upper())
        else:
            pieces += [chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in piece.encode("utf-8", "replace")]
    return "".join(pieces)


def matches(pattern: str, path: str) -> bool:
    """Whether ``path`` begins as ``pattern`` says: ``*`` is any run of characters, a final ``$`` the end of the
    path."""
    anchored = pattern.endswith("$")
    first, *rest = (pattern[:-1] if anchored else pattern).split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not anchored or len(path) == len(first)
    at = len(first)
    for part in rest[:-1]:  # the leftmost place for each part leaves the most room for the next
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    last = rest[-1]
    if anchored:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0


class RobotsFile:
    """The rules of one file, asked for one agent at a time."""

    def __init__(self, groups: dict[str, _Group], sitemaps: Sequence[str]) -> None:
        self._groups = groups
        self.sitemaps = tuple(sitemaps)

    def verdict(self, agent: str, path: str) -> tuple[bool, str]:
        """(allowed, the line that decides) for ``agent`` asking for ``path`` (with query).

        The longest matching pattern decides, Allow before Disallow at equal length; without one, everything is allowed.
        What may be asked for is refused still where a Content-Signal or Content-Usage line refuses training; there the
        refusal goes first at equal length.
        """
        return _verdict(self._group(agent), path)

    def refusal_to(self, agents: Sequence[str], path: str) -> str:
        """The line by which one of these agents, in lower case, may not ask for ``path``, and which; "" where each may
        that the file names."""
        for agent in agents:
            allowed, line = _verdict(self._groups.get(agent), path)
            if not allowed:
                return f"{line} (said to {agent})"
        return ""

    def delay(self, agent: str) -> float | None:
        """Seconds of Crawl-delay for ``agent``; None where the file asks for none."""
        group = self._group(agent)
        return group.delay if group else None

    def only(self, agent: str) -> "RobotsFile":
        """The same, with the rules for one agent and AI_CRAWLERS alone: what other agents may do can be most of a
        file."""
        group = self._group(agent)
        groups = {name: self._groups[name] for name in AI_CRAWLERS if name in self._groups}
        return RobotsFile(groups | ({"*": group} if group is not None else {}), self.sitemaps)

    def told(self) -> dict[str, Any]:
        """The rules as values that JSON holds; :meth:`of_told` reads them."""
        groups = {
            name: {
                "delay": group.delay,
                "rules": [[rule.allow, rule.pattern, rule.line] for rule in group.rules],
                "usage": [[rule.allow, rule.pattern, rule.line] for rule in group.usage],
            }
            for name, group in self._groups.items()
        }
        return {"groups": groups, "sitemaps": list(self.sitemaps)}

    @classmethod
    def of_told(cls, told: dict[str, Any]) -> "RobotsFile":
        """A file from what :meth:`told` gave."""
        groups = {
            name: _Group(
                [Rule(*rule) for rule in group["rules"]], [Rule(*rule) for rule in group["usage"]], group["delay"]
            )
            for name, group in told["groups"].items()
        }
        return cls(groups, told["sitemaps"])

    def _group(self, agent: str) -> _Group | None:
        return self._groups.get(agent.lower()) or self._groups.get("*")


def _verdict(group: _Group | None, path: str) -> tuple[bool, str]:
    if path == "/robots.txt" or group is None:
        return True, "no rule"
    path = percent_normal(path)
    best = _longest(group.rules, path, first=True)
    usage = _longest(group.usage, path, first=False)
    if usage is not None and not usage.allow and (best is None or best.allow):
        return False, usage.line
    return (True, "no rule") if best is None else (best.allow, best.line)


def _longest(rules: Sequence[Rule], path: str, *, first: bool) -> Rule | None:
    """The rule with the longest pattern that matches; at equal length one whose ``allow`` is ``first``."""
    best: Rule | None = None
    for rule in rules:
        longer = best is None or (len(rule.pattern), rule.allow is first) > (len(best.pattern), best.allow is first)
        if longer and matches(rule.pattern, path):
            best = rule
    return best


def parse_robots(content: bytes) -> RobotsFile:
    """Reads a file of the robots.txt language; beyond 500 KiB it is cut at the last whole line."""
    if len(content) > MAX_ROBOTS_BYTES:
        content = content[: content.rfind(b"\n", 0, MAX_ROBOTS_BYTES) + 1]
    groups: dict[str, _Group] = {}
    sitemaps: list[str] = []
    current: list[_Group] = []
    agents_open = False  # whether the next user-agent line joins the current group
    for line in _LINES.split(content.decode("utf-8", "replace").lstrip("\ufeff")):
        key, value = _directive(line)
        if key in _AGENT:
            if not agents_open:
                current = []
            agents_open = True
            name = value.lower() if value == "*" else _product(value)
            if name:
                current.append(groups.setdefault(name, _Group()))
        elif key == "allow" or key in _DISALLOW:
            agents_open = False
            if value:
                allow = key == "allow"
                rule = Rule(allow, _pattern(value), f"{'Allow' if allow else 'Disallow'}: {value}")
                for group in current:
                    group.rules.append(rule)
        elif key in _USAGE:
            # A line before any group speaks to everybody.
            for group in current or [groups.setdefault("*", _Group())]:
                group.usage += _usage(key, value)
        elif key in _DELAY:
            for group in current:
                group.delay = _longer(group.delay, value)
        elif key == "sitemap" and value:
            sitemaps.append(value)
    return RobotsFile(groups, sitemaps)


def _usage(key: str, value: str) -> list[Rule]:
    """The rule of a Content-Signal or Content-Usage line, whose words may follow a path; none where it says nothing of
    training."""
    path, words = (*value.split(None, 1), "")[:2] if value.startswith(("/", "*")) else ("/", value)
    refused = refuses_training(words)
    return [] if refused is None else [Rule(not refused, _pattern(path), f"{key.title()}: {value}")]


def _directive(line: str) -> tuple[str, str]:
    """(key in lower case, value) of a line; a missing colon is forgiven where the first word is a known key."""
    line = line.partition("#")[0].strip()
    key, colon, value = line.partition(":")
    key = key.strip().lower()
    if not colon or key not in _KNOWN:
        first, *rest = line.split(None, 1)[:2] or [""]
        if first.lower().rstrip(":") in _KNOWN and rest:
            return first.lower().rstrip(":"), rest[0].strip()
    return key, value.strip()


def _product(value: str) -> str:
    """The product token a user-agent line names: ``Foo-Bot/1.2 (x)`` -> ``foo-bot``."""
    found = _PRODUCT.match(value.lower())
    return found.group() if found else ""


def _pattern(value: str) -> str:
    pattern = percent_normal(value if value.startswith(("/", "*")) else "/" + value)
    return re.sub(r"\*{2,}", "*", pattern)


def _longer(known: float | None, value: str) -> float | None:
    try:
        seconds = float(value.split()[0].replace(",", "."))
    except (ValueError, IndexError):
        return known
    if not 0 <= seconds < 1e9:
        return known
    return seconds if known is None else max(known, seconds)
