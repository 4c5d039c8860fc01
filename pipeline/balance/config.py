"""Settings of the balance: how many pairs a query may keep, and how that number is found. Imports the standard library
alone."""

from dataclasses import dataclass
from typing import Annotated, Literal

from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["BalanceConfig"]


@dataclass(frozen=True)
class BalanceConfig(Ranged):
    """How matched pairs are thinned so that common queries do not drown the rare ones.

    At most one of ``tail_share`` and ``wanted_total`` may be set; either one replaces ``t``, and neither goes with mode
    "none", which has no t to find.
    """

    mode: Literal["independent", "capped", "none"] = "independent"
    """independent: keep a pair if any of its queries draws it, each with probability t / matches (the published rule).
    capped: count each pair for its rarest query only, and keep at most t of each query. none: keep every matched
    pair."""
    t: Annotated[int, Range(1)] = 20_000
    """Pairs a query keeps (in independent mode, on average, by its own draw)."""
    tail_share: Annotated[float | None, Range(above=0, most=1)] = None
    """Find t so that queries with at most t matches hold this share of all matches (0.06 in the published
    re-creation)."""
    wanted_total: Annotated[int | None, Range(1)] = None
    """Find t so that this many pairs remain in the shards, after the loss given by expected_loss. In independent mode
    t is then a fraction, and exactly as many are selected; in capped mode it is whole, and at most as many are."""
    expected_loss: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the selected pairs that fetching and the image rules are expected to lose, for wanted_total. What
    top_up_rounds make up for is not lost."""
    reserve: Annotated[float, Range(0)] = 0.5
    """Pairs ranked as a reserve for those that are lost, as a share of t: 0.5 ranks what t * 1.5 would also have
    drawn."""
    top_up_rounds: Annotated[int, Range(0)] = 3
    """Rounds of fetching from the reserve, at most, while queries hold fewer than t pairs of their own draw (0:
    none)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tail_share is not None and self.wanted_total is not None:
            raise UserError("balance.tail_share and balance.wanted_total are both set", "set one of them")
        for name in ("tail_share", "wanted_total"):
            if self.mode == "none" and getattr(self, name) is not None:
                remedy = f"leave balance.{name} out, or choose mode = 'independent' or 'capped'"
                raise UserError(f"balance.{name} is set, and balance.mode = 'none' keeps every pair", remedy)
