"""Chooses the queries: each source fills its budget with its best, synsets follow, and what is left over passes on.

In: names of each source, best first. Out: which names are in, and by which source. Ties were broken by the ranking, so
the outcome depends on nothing but the inputs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from query_builder.config import PUBLISHED_BUDGETS
from webimagetext.errors import UserError

__all__ = ["choose", "parse_budgets"]

_PLACES = re.compile(r"[0-9]{1,12}")


def parse_budgets(settings: tuple[str, ...], size: int) -> dict[str, int]:
    """Places by source. Those not set share what is left in proportion to the published make-up.

    Raises UserError for an unknown source, a number that isn't one, or more places than ``size``.
    """
    fixed: dict[str, int] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in PUBLISHED_BUDGETS or not _PLACES.fullmatch(value):
            raise UserError(f"--budget {setting}: not SOURCE=NUMBER", f"sources: {', '.join(PUBLISHED_BUDGETS)}")
        fixed[name] = int(value)
    left = size - sum(fixed.values())
    if left < 0:
        raise UserError(
            f"--budget: {sum(fixed.values()):,} places for a list of {size:,}", "lower a budget or raise --size"
        )
    shares = {name: share for name, share in PUBLISHED_BUDGETS.items() if name not in fixed}
    scaled = {name: left * share // sum(shares.values()) for name, share in shares.items()}
    if scaled:
        scaled[next(iter(scaled))] += left - sum(scaled.values())
    return {name: fixed.get(name, scaled.get(name, 0)) for name in PUBLISHED_BUDGETS}


def choose(ranked: Mapping[str, Iterable[str]], budgets: Mapping[str, int], size: int) -> dict[str, str]:
    """The chosen names, each with the source (word, bigram, title, synset) in whose place it stands.

    ``ranked`` has each source's names, best first, and ``budgets`` the places under the plural names. A name that is in
    already takes no second place. Words, bigrams and titles fill their budgets; then every synset name not yet in gets
    a place as long as there are any; what remains goes to further words, bigrams and titles, in that order.
    """
    chosen: dict[str, str] = {}
    queues: dict[str, Iterator[str]] = {source: iter(names) for source, names in ranked.items()}

    def take(source: str, places: int) -> None:
        while places > 0 and (name := next(queues[source], None)) is not None:
            if name not in chosen:
                chosen[name] = source
                places -= 1

    for source in ("word", "bigram", "title"):
        take(source, budgets[f"{source}s"])
    take("synset", size - len(chosen))
    for source in ("word", "bigram", "title"):
        take(source, size - len(chosen))
    return chosen
