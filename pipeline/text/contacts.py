"""Contact rule: marks captions that seem to hold an e-mail address, a telephone number, a street address or an IP
address.

Marking rather than dropping: on web captions most runs of digits are stock codes and version numbers, so what to do
about a mark is the user's choice (``drop_marked``).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.verdicts import captions, verdicts

__all__ = ["ContactRule"]

PATTERNS = {
    "email": r"(?i)[a-z0-9._%+\-]+@[a-z0-9\-]+(?:\.[a-z0-9\-]+)*\.[a-z]{2,}\b|\b\S+ ?[\[(] ?at ?[\])] ?\S+",
    # With a country code, or grouped as North American and common national numbers are.
    "phone": (
        r"(?:^|[^\w+])\+\d{1,3}[ .\-/]?(?:\(?\d{1,4}\)?[ .\-/]?){2,5}\d{2,4}\b|\(\d{2,5}\) ?\d{3,4}[ .\-]?\d{3,4}\b"
        r"|(?:^|[^\w\-.])\d{3}[.\- ]\d{3}[.\- ]\d{4}(?:$|[^\w\-])"
        r"|(?i:\b(?:tel|phone|call|fax)[.:]? ?\+?[\d(][\d ().\-]{6,}\d)"
    ),
    "address": (
        r"\b\d{1,5}[A-Za-z]? (?:[\p{Lu}][\p{L}'.\-]* ){1,4}(?i:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard"
        r"|blvd|court|ct|terrace|crescent|parkway|highway|hwy)\b"
        r"|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"  # a British postcode
        r"|\b[A-Z][a-z]+,? [A-Z]{2},? \d{5}(?:-\d{4})?\b"  # town, state and ZIP code
    ),
    "ip": r"(?:^|[^\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:$|[^\w.])",
}


@dataclass(frozen=True)
class ContactRule:
    """Adds the column ``marks``; drops captions with a mark of ``drop``, for the reason ``contact_MARK``."""

    marks: tuple[str, ...]
    drop: tuple[str, ...]
    name = "contacts"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        texts = captions(batch)
        found = [np.asarray(pc.match_substring_regex(texts, PATTERNS[mark])) for mark in self.marks]
        marked = np.stack(found, axis=1) if found else np.zeros((len(texts), 0), bool)
        offsets = np.concatenate([[0], np.cumsum(marked.sum(axis=1))]).astype(np.int32)
        names = pa.array(self.marks, pa.string()).take(pa.array(np.nonzero(marked)[1]))
        lists = pa.ListArray.from_arrays(pa.array(offsets), names)
        reasons = [(f"contact_{mark}", marked[:, self.marks.index(mark)]) for mark in self.drop]
        return verdicts(len(texts), reasons), {"marks": lists}
