"""Boilerplate rule: captions that name a part of the page, an icon, or the lack of a description.

In: phrases, each a whole caption, or a beginning when it ends in ``*``; a ``#`` in a beginning is any number. Compared
in normal form, so "[Note]", "NOTE:" and "note" are one. The built-in list is ``boilerplate.txt``.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import fold_column
from pipeline.text.phrases import read_phrases
from pipeline.text.verdicts import captions, verdicts
from query_builder.normalize import normalize

__all__ = ["BoilerplateRule", "built_in_phrases"]


@functools.cache
def built_in_phrases() -> tuple[str, ...]:
    """The phrases that come with the package."""
    return tuple(read_phrases(str(Path(__file__).with_name("boilerplate.txt"))))


@dataclass(frozen=True)
class BoilerplateRule:
    """Drops captions that equal a phrase, or begin with one that ends in ``*``."""

    phrases: tuple[str, ...]
    name = "boilerplate"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        data, offsets = fold_column(captions(batch))
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        forms = pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
        whole, beginnings = _forms(self.phrases)
        # A number beside the phrase changes nothing: "Figure 3", "Slide 12 of 40".
        bare = pc.utf8_trim(pc.replace_substring_regex(forms, r"(?:^| )[0-9]+\b", ""), " ")
        hit = pc.or_(pc.is_in(forms, value_set=whole), pc.is_in(bare, value_set=whole))
        begins = pc.match_substring_regex(forms, beginnings) if beginnings else np.zeros(len(forms), bool)
        return verdicts(len(forms), [("boilerplate", hit), ("boilerplate", begins)]), {}


@functools.lru_cache(maxsize=8)
def _forms(phrases: Iterable[str]) -> tuple[pa.Array, str]:
    """The normal forms of whole phrases, and a pattern of the beginnings ("" without any)."""
    whole = sorted({normalize(phrase) for phrase in phrases if not phrase.endswith("*")} - {""})
    begun = [phrase.split("#") for phrase in phrases if phrase.endswith("*")]
    beginnings = sorted({" [0-9]+ ".join(map(normalize, parts)).strip() for parts in begun} - {""})
    return pa.array(whole, pa.large_string()), f"^(?:{'|'.join(beginnings)})(?: |$)" if beginnings else ""
