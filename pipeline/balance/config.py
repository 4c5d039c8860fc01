"""Settings of the balance: how many pairs a query may keep, and how that number is found. Imports the standard library
alone."""

from dataclasses import dataclass
from typing import Literal

from webimagetext.errors import UserError

__all__ = ["BalanceConfig"]


@dataclass(frozen=True)
class BalanceConfig:
    """How matched pairs are thinned so that common queries do not drown the rare ones.

    At most one of ``tail_share`` and ``wanted_total`` may be set; either one replaces ``t``.
    """

    mode: Literal["independent", "capped", "none"] = "independent"
    """independent: keep a pair if any of its queries draws it, each with probability t / matches (the published rule).
    capped: count each pair for its rarest query only, and keep at most t of each query. none: keep every matched
    pair."""
    t: int = 20_000
    """Pairs a query keeps (in independent mode, on average, by its own draw)."""
    tail_share: float | None = None
    """Find t so that queries with at most t matches hold this share of all matches (0 to 1; 0.06 in the published
    re-creation)."""
    wanted_total: int | None = None
    """Find t so that this many pairs remain in the shards, after the loss given by expected_loss."""
    expected_loss: float = 0.0
    """Share of the selected pairs that fetching and the image rules are expected to lose (0 to below 1); for
    wanted_total. What top_up_rounds make up for is not lost."""
    reserve: float = 0.5
    """Pairs ranked as a reserve for those that are lost, as a share of t: 0.5 ranks what t * 1.5 would also have
    drawn."""
    top_up_rounds: int = 3
    """Rounds of fetching from the reserve, at most, while queries hold fewer than t pairs of their own draw (0:
    none)."""

    def __post_init__(self) -> None:
        if self.t < 1:
            raise UserError(f"balance.t is {self.t}", "give at least 1, or mode = 'none' to keep every pair")
        if self.tail_share is not None and self.wanted_total is not None:
            raise UserError("balance.tail_share and balance.wanted_total are both set", "set one of them")
        if self.tail_share is not None and not 0 < self.tail_share <= 1:
            raise UserError(f"balance.tail_share is {self.tail_share}", "give a share above 0 and at most 1")
        if self.wanted_total is not None and self.wanted_total < 1:
            raise UserError(f"balance.wanted_total is {self.wanted_total}", "give a number of pairs")
        if not 0 <= self.expected_loss < 1:
            raise UserError(f"balance.expected_loss is {self.expected_loss}", "give a share from 0 to below 1")
        if self.reserve < 0:
            raise UserError(f"balance.reserve is {self.reserve}", "give 0 or more")
        if self.top_up_rounds < 0:
            raise UserError(f"balance.top_up_rounds is {self.top_up_rounds}", "give 0 or more")
