"""What a wordnet gives, in whatever form it comes."""

from typing import NamedTuple

__all__ = ["Synset"]


class Synset(NamedTuple):
    """The head word as it is written (with spaces), and the synset's name."""

    head: str
    name: str
