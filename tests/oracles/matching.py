"""Matching as slowly and plainly as it can be said: what the fast matcher must equal, for tests and benchmarks.

In: queries (or the published rule's entries) and one caption. Out: the ids of the queries in the caption, ascending.
"""

from collections.abc import Sequence

from pipeline.match.matcher import SPACED_MARKS, WHITE_SPACE
from query_builder.normalize import words

__all__ = ["NgramOracle", "published_rule"]


class NgramOracle:
    """A dictionary of all queries; every run of words of the caption is looked up in it."""

    def __init__(self, queries: Sequence[str]) -> None:
        self._ids = {query: index for index, query in enumerate(queries)}
        self._longest = max((query.count(" ") + 1 for query in queries), default=0)

    def match(self, caption: str) -> list[int]:
        """The ids of the queries in a caption."""
        text = words(caption)
        found = set()
        for start in range(len(text)):
            for stop in range(start + 1, min(start + self._longest, len(text)) + 1):
                index = self._ids.get(" ".join(text[start:stop]))
                if index is not None:
                    found.add(index)
        return sorted(found)


def published_rule(entries: Sequence[str], caption: str) -> list[int]:
    """The ids of the entries that stand between spaces in the caption, by the rule that MetaCLIP published."""
    text = f" {caption} "
    for mark in SPACED_MARKS:
        text = text.replace(mark, f" {mark} ")
    for blank in WHITE_SPACE:
        text = text.replace(blank, " ")
    return [index for index, entry in enumerate(entries) if f" {entry} " in text]
