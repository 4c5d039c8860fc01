"""Language rule: keeps captions in the wanted language, and stores how likely it is that they are.

A detector is unsure of a few words. So the caption's own evidence (evidence.py), that of the detector and for English
that of the words, meets what stands around it: the language of its page; where that is not known, as in a list of
addresses, what the other captions of its site are in, which a pass before has counted (sites.py); and the other texts
of its image. All are natural logarithms of odds and add up::

    log-odds = evidence of the caption + page or site + other texts        p = 1 / (1 + exp(-log-odds))

A caption stays if p reaches ``threshold``. The column ``p_english`` is p, ``p_context`` the same without the caption's
own evidence, so that both parts can be read from what is stored; the ledger has them in words.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.english import Lexicon
from pipeline.text.evidence import Floats, chance_of, evidence, odds_of
from pipeline.text.sites import Mask, SiteLanguages, stated
from pipeline.text.verdicts import captions, verdicts

__all__ = ["LanguageRule"]

SAME_PAGE, OTHER_PAGE = 2.0, -4.0  # what the language of a page weighs: the wanted one, another
TEXTS, TEXTS_MOST = 0.5, 1.5  # what an image's other texts weigh: this part of their mean evidence, at most so much


@dataclass(frozen=True)
class LanguageRule:
    """Drops captions that are not in ``language`` and adds the columns ``p_english``, the probability that they are,
    and ``p_context``, what it is by their surroundings alone.

    ``lexicon`` serves English alone, and ``sites`` captions whose page's language is not known; None without a pass
    before. ``detector`` "off" drops nothing and adds columns of nulls.
    """

    detector: str
    language: str
    threshold: float
    lexicon: Lexicon | None = field(default=None, repr=False)
    sites: SiteLanguages | None = field(default=None, repr=False)
    name = "language"
    detail = "language_detail"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        rows = batch.num_rows
        if self.detector == "off":
            nothing = pa.nulls(rows, pa.float32())
            return pa.nulls(rows, pa.string()), {"p_english": nothing, "p_context": nothing}
        own = self._evidence(captions(batch))
        around, others = self._around(batch, own)
        texts = self._other_texts(batch, np.abs(own + around) < TEXTS_MOST)
        chance = chance_of(own + (around + texts))
        keep = chance >= self.threshold
        parts = _Parts(chance, own, around, others, texts)
        added = {
            "p_english": pa.array(chance.astype(np.float32)),
            "p_context": pa.array(chance_of(around + texts).astype(np.float32)),
            self.detail: parts.in_words(captions(batch), ~keep),
        }
        return verdicts(rows, [("other_language", ~keep)]), added

    def _evidence(self, texts: pa.Array) -> Floats:
        return evidence(self.detector, self.language, texts, self.lexicon if self.language == "en" else None)

    def _around(self, batch: pa.RecordBatch, own: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """What page or site say of each caption, as log-odds; and how many others of its site were asked, -1 where it
        is the page."""
        same, foreign = stated(batch, self.language)
        told = SAME_PAGE * same + OTHER_PAGE * foreign
        others = np.where(same | foreign, -1, 0)
        lone = ~same & ~foreign
        if self.sites is not None and lone.any():
            shares, others[lone] = self.sites.around(batch.filter(pa.array(lone)), chance_of(own[lone]))
            told[lone] = odds_of(shares)
        return told, others

    def _other_texts(self, batch: pa.RecordBatch, unsure: Mask) -> Floats:
        """What the other texts of an image say of its caption, where it may decide."""
        result = np.zeros(batch.num_rows)
        if "texts" not in batch.schema.names or not unsure.any():
            return result
        several = pc.list_value_length(batch["texts"]).fill_null(0).to_numpy() > 1
        chosen = np.flatnonzero(unsure & several)
        rows = batch.take(pa.array(chosen))
        found = zip(rows["texts"].to_pylist(), captions(rows).to_pylist(), strict=True)
        others = [
            (row, each["text"])
            for row, (texts, caption) in enumerate(found)
            for each in texts
            if each["text"] and each["text"] != caption
        ]
        if not others:
            return result
        at = np.array([row for row, _ in others])
        said = self._evidence(pa.array([text for _, text in others], pa.string()))
        number = np.maximum(np.bincount(at, minlength=len(chosen)), 1)
        result[chosen] = np.clip(TEXTS * np.bincount(at, said, len(chosen)) / number, -TEXTS_MOST, TEXTS_MOST)
        return result


@dataclass(frozen=True)
class _Parts:
    """What decided on each caption; ``others`` is -1 where a page did, and not its site."""

    chance: Floats
    own: Floats
    around: Floats
    others: npt.NDArray[np.int64]
    texts: Floats

    def in_words(self, texts: pa.Array, dropped: Mask) -> pa.Array:
        """For captions that go, the caption and what decided on it; null for others."""
        told: list[str | None] = [None] * len(texts)
        for row in np.flatnonzero(dropped).tolist():
            told[row] = f"{texts[row].as_py()} [p {self.chance[row]:.2f}: {self._parts(row)}]"
        return pa.array(told, pa.string())

    def _parts(self, row: int) -> str:
        parts = [f"caption {self.own[row]:+.1f}"]
        if self.others[row] < 0:
            parts.append(f"page {self.around[row]:+.1f}")
        elif self.around[row]:
            parts.append(f"site, {self.others[row]:,} others, {self.around[row]:+.1f}")
        if self.texts[row]:
            parts.append(f"other texts {self.texts[row]:+.1f}")
        return ", ".join(parts)
