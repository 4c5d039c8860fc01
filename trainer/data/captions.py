"""Which text goes with a picture when several are stored.

In: the caption member and the JSON member of a pair, a rule, and a uniform number. Out: one string, empty when there is
none.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["STORED", "choose", "texts_in"]

STORED = ("text", "sentence")  # rules that look at the stored caption alone
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def texts_in(value: Any) -> Iterator[str]:
    """The strings in a stored value: itself, a list of strings, or a list of records with a "text"."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        yield from texts_in(value.get("text"))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)


def choose(rule: str, fields: tuple[str, ...], text: str, metadata: Mapping[str, Any], draw: float) -> str:
    """The caption by ``rule``: "text" the stored one, "sentence" one of its sentences, or of all in ``fields``:
    "random", "longest" or "join".

    Equal texts count once, in the order of the fields; ``draw`` in [0, 1) decides for "sentence" and "random".
    """
    if rule in STORED:
        text = text or next(texts_in(metadata.get("caption")), "")
        sentences = _SENTENCE_END.split(text.strip()) if rule == "sentence" else [text]
        return sentences[int(draw * len(sentences))]
    found: list[str] = []
    for field in fields:
        found.extend(texts_in(text if field == "txt" else metadata.get(field)))
    found = list(dict.fromkeys(found))
    if not found:
        return text
    if rule == "random":
        return found[int(draw * len(found))]
    if rule == "longest":
        return max(found, key=len)
    return ". ".join(item.strip().rstrip(".") for item in found)
