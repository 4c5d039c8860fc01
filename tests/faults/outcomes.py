"""The tables of docs/reliability.md that say what happens to each kind of file when it is damaged: what the tests of
damage hold against what does happen, so that they cannot go stale.

A cell holds one or more of WORDS. Whatever was damaged, the result may also be the very same: a bit that nobody reads.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webimagetext.errors import UserError

__all__ = ["DAMAGES", "Read", "UnnoticedError", "damaged", "kinds_of_row", "outcomes_of", "rows_of"]

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
DAMAGES = ("flipped", "cut", "empty", "missing")
WORDS = {"healed", "named", "counted", "taken", "told", "no matter"}


def rows_of(heading: str) -> dict[str, dict[str, set[str]]]:
    """The table under a heading: for each kind of file the words for each damage."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"\n### {heading}\n")[1]
    lines = [line for line in re.split(r"\n#+ ", text)[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert cells[0][1:] == list(DAMAGES), cells[0]
    table = {}
    for kind, *words in cells[2:]:
        found = [set(cell.strip().split(" or ")) for cell in words]
        assert all(each <= WORDS for each in found), (kind, found)
        table[kind] = dict(zip(DAMAGES, found, strict=True))
    return table


def kinds_of_row(kind: str) -> list[str]:
    """The patterns of files in the first cell of a row."""
    return re.findall(r"`([^`]+)`", kind)


def damaged(content: bytes, damage: str, seed: int = 0) -> Iterator[bytes | None]:
    """Forms of a file with the damage: its content, or None where there is no file any more."""
    if damage == "missing":
        yield None
    elif damage == "empty":
        yield b""
    elif damage == "cut":
        line = content.rfind(b"\n", 0, len(content) // 2) + 1
        member = content.rfind(b"\x1f\x8b\x08\0")  # of gzip: between two of them nothing tells of a cut
        lengths = {len(content) // 3, line, member, len(content) * 4 // 5, len(content) - 21, len(content) - 1}
        for length in sorted(lengths):
            if 0 < length < len(content):
                yield content[:length]
    else:
        rng, last = random.Random(seed), len(content) - 1
        places = {0, min(3, last), last // 2, last, max(0, last - 9), *(rng.randrange(len(content)) for _ in range(40))}
        for place in sorted(places):
            yield content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]


@dataclass(frozen=True)
class Read:
    """What reading a file gave: what came of it, and how many things were counted as unusable."""

    found: Any
    counted: int = 0


class UnnoticedError(AssertionError):
    """Damage that is neither what the table says nor anything that is told."""


def outcomes_of(
    path: Path,
    damage: str,
    read: Callable[[], Read],
    slight: Callable[[Any, Any], bool] = lambda before, after: False,
    names: str = "",
    *,
    remedy: bool = True,
) -> set[str]:
    """The words for what happens when the file at ``path`` is damaged in each way: ``read`` is tried each time.

    ``slight`` says whether what came of a file was hardly changed without a word, which is "taken"; ``names`` is what a
    message has to name, in place of the file's name; ``remedy`` whether it has to say what to do besides what is wrong.
    """
    content, whole, found = path.read_bytes(), read(), set()
    try:
        for form in damaged(content, damage, len(content)):
            path.unlink(missing_ok=True)
            if form is not None:
                path.write_bytes(form)
            try:
                found.add(_outcome(read(), whole, slight))
            except UserError as told:
                assert (names or path.name) in told.problem and (told.remedy or not remedy), str(told)
                found.add("named")
    finally:
        path.write_bytes(content)
    return found - {"same"}


def _outcome(now: Read, whole: Read, slight: Callable[[Any, Any], bool]) -> str:
    if now == whole:
        return "same"
    if now.counted > whole.counted:
        return "counted"
    if now.found == ([], []) and not now.counted:
        return "told"  # an input that gives nothing is named by the stage (tests/pipeline/test_done_already.py)
    if slight(whole.found, now.found):
        return "taken"
    raise UnnoticedError(f"{str(now)[:400]} in place of {str(whole)[:400]}")
