"""How a bucket of image URLs is worked through.

In: the ``[fetch]`` table of a run's configuration. Out: :class:`FetchConfig`, checked. Import-light, because ``--help``
reads it.
"""

from dataclasses import dataclass
from typing import Annotated

from webimagetext.deciding import FREE
from webimagetext.ranges import Range, Ranged

__all__ = ["FetchConfig"]
BUDGETS = ("max_hours", "max_requests", "max_bytes")


@dataclass(frozen=True)
class FetchConfig(Ranged):
    """Time, budgets and memory of fetching; the pace of single hosts is in [http]."""

    retry_failed: Annotated[bool, FREE] = False
    """Ask again for images whose failure may have passed (no connection, 429, 5xx); never after a refusal."""
    round_seconds: Annotated[float, FREE, Range(above=0)] = 3600.0
    """Seconds for one host in the first round, and twice as many in each further one; it goes on beside hosts of the
    same process that have time left. What its delay does not allow waits for the next round."""
    max_hours: Annotated[float, FREE, Range(0)] = 0.0
    """Hours after which fetching ends, whatever is open; the same command goes on with it. 0: when nothing is open."""
    max_requests: Annotated[int, FREE, Range(0)] = 0
    """Image addresses that one command asks for, topping up included, drawn by their hash; the same command goes on
    with the next ones. Policy files, redirects and repeats come on top. 0: all."""
    max_bytes: Annotated[int, FREE, Range(0)] = 0
    """Bytes of pictures that one command receives, topping up included; what is under way when they are spent comes on
    top. 0: any."""
    backlog_bytes: Annotated[int, FREE, Range(1)] = 64_000_000
    """Bytes of received pictures that may wait to be decoded; beyond it no new request goes out."""

    @property
    def budgets(self) -> list[str]:
        """The budgets that are set, as they stand in the settings."""
        return [f"fetch.{name} = {value:g}" for name in BUDGETS if (value := getattr(self, name))]
