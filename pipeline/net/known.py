"""What was learnt of hosts, kept in a file from one round of asking to the next, which may be another process's.

In: the memory of a client, and hosts. Out: the file, and from it a memory again: when each host may next be asked, and
what its policy files say, its pace among it, as long as that holds. Times are told by the clock of the wall, since
processes share no other; where that one jumps, a host is waited for no longer than it was to be when the file was
written. A file that cannot be read says nothing: what it held is learnt again.
"""

import json
import time
import zlib
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any

from pipeline.hosts import host_of
from pipeline.net.consent import TdmRule
from pipeline.net.pace import HostMemory
from pipeline.net.robots import RobotsFile
from pipeline.net.sites import Memory, SitePolicy
from webimagetext import files

__all__ = ["recall", "remember"]

FORM = 3
SHORT_SECONDS = 0.5  # a host that may be asked again so soon needs no note of it: a round takes longer to begin


def remember(url: str, memory: Memory, hosts: Collection[str], now: Callable[[], float] = time.time) -> None:
    """Writes what ``memory`` knows of ``hosts`` to the file ``url``."""
    moment = now()
    paces = {}
    for host in hosts:
        known = memory.hosts.get(host)
        if known is not None and (wait := known.wait()) > SHORT_SECONDS:
            paces[host] = {"free_at": moment + wait, "wait": wait}
    policies = {
        origin: _written(policy, moment)
        for origin, policy in memory.policies.items()
        if policy.expires > time.monotonic() and host_of(origin) in hosts
    }
    told = json.dumps({"form": FORM, "hosts": paces, "policies": policies})
    with files.write_atomic(url) as stream:
        stream.write(zlib.compress(told.encode(), 1))


def recall(url: str, memory: Memory, now: Callable[[], float] = time.time) -> None:
    """Adds what the file ``url`` holds, if there is one, to ``memory``, which knows better where it knows anything."""
    try:
        told = json.loads(zlib.decompress(files.read(url) or b""))
        if told["form"] == FORM:
            hosts, policies = _hosts(told["hosts"], now()), _policies(told["policies"], now())
            for host, known in hosts.items():
                memory.hosts.setdefault(host, known)
            for origin, policy in policies.items():
                memory.policies.setdefault(origin, policy)
    except (ValueError, zlib.error, KeyError, TypeError, AttributeError):
        return


def _hosts(told: dict[str, Any], moment: float) -> dict[str, HostMemory]:
    found = {}
    for host, about in told.items():
        wait = min(max(0.0, about["free_at"] - moment), about["wait"])
        found[host] = HostMemory.waiting(wait)
    return found


def _written(policy: SitePolicy, moment: float) -> dict[str, Any]:
    left = policy.expires - time.monotonic()
    return {
        "expires": moment + left,
        "left": left,
        "robots": policy.robots.told() if policy.robots is not None else None,
        "ai": policy.ai.told() if policy.ai is not None else None,
        "tdm": [asdict(rule) for rule in policy.tdm],
        "failure": policy.failure,
    }


def _policies(told: dict[str, Any], moment: float) -> dict[str, SitePolicy]:
    found = {}
    for origin, about in told.items():
        left = min(about["expires"] - moment, about["left"])
        if left > 0:
            found[origin] = SitePolicy(
                time.monotonic() + left,
                RobotsFile.of_told(about["robots"]) if about["robots"] is not None else None,
                RobotsFile.of_told(about["ai"]) if about["ai"] is not None else None,
                tuple(TdmRule(**rule) for rule in about["tdm"]),
                tuple(about["failure"]) if about["failure"] is not None else None,
            )
    return found
