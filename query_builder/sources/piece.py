"""What reading a dump gives: a piece of its text, or a gap where it is damaged."""

from dataclasses import dataclass
from typing import Any

from webimagetext.errors import UserError

__all__ = ["BEYOND", "CorruptInputError", "Gap", "Piece"]

# Bytes of text that a page or a line may have, and so what a shard may read beyond its end to finish one; MediaWiki
# itself allows a text of two million.
BEYOND = 64 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Decompressed bytes, and the offset in the compressed file that they belong to."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """A place whose bytes could not be decompressed, and why."""

    offset: int
    reason: str


class CorruptInputError(UserError):
    """Damaged input, with the file, the offset in bytes and the reason."""

    def __init__(self, url: str, offset: int, reason: str) -> None:
        super().__init__(
            f"{url}: at byte {offset:,}: {reason}",
            "fetch the file again, or leave damaged parts out with --on-corrupt skip (they are counted)",
        )
        self.url, self.offset, self.reason = url, offset, reason

    def __reduce__(self) -> tuple[Any, ...]:  # so that it survives the way back from a worker process
        return CorruptInputError, (self.url, self.offset, self.reason)
