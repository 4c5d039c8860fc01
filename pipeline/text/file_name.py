"""File-name rule: captions that name a file, a camera's counter or an address instead of saying what is to be seen."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.verdicts import captions, verdicts

__all__ = ["FileNameRule"]

URL = r"(?i)^\s*(?:[a-z][a-z0-9+.\-]*://|www\.)\S+\s*$"
FILE = (
    r"(?i)\S\.(?:jpe?g|jfif|png|gif|webp|svgz?|bmp|tiff?|avif|heic|ico|psd|eps|raw|cr2|nef|pdf|mp4|mov|webm)"
    r"[\"'”’)\]\s]*$"
)
# What programs write after a number.
BY_PROGRAMS = (
    r"copy|edit|edited|edits|pro|hdr|wa\d+|cropped|scaled|resized|rotated|of|at|am|pm|med|hr|web|large|small|final"
)
# What cameras, phones and programs call a picture before anybody names it.
COUNTER = (
    r"(?i)^\s*(?:(?:_?img|_?dsc[nf_]?|dscn|dcim|pict?|sam|mvi|gopr|pxl|wp|cimg|imag|image|picture|photo|foto"
    r"|screen ?shot|screen capture|scan|untitled|unnamed|download|file|slide|page|fig(?:ure)?|whatsapp image|clip)"
    r"[\s_.\-#(]*|_?p)\d"
    # A word after the number says something: "Fig. 3 The first screen".
    rf"(?:[\d\s_.,:\-()x]|(?:{BY_PROGRAMS}|[a-z])\b)*$"
)
CODE = r"(?i)^\s*(?:[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$"
# One run of characters with many joints, as in the last part of an address; hyphenated English has fewer.
SLUG = r"^\s*(?:[^\s_]+_[^\s_]+_\S+|[^\s\-]+(?:-[^\s\-]+){4,})\s*$"


@dataclass(frozen=True)
class FileNameRule:
    """Drops captions that are a name of a file or an address."""

    name = "file_name"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        texts = captions(batch)
        patterns = [("url", URL), ("file_name", FILE), ("camera_name", COUNTER), ("file_name", CODE), ("slug", SLUG)]
        reasons = [(reason, pc.match_substring_regex(texts, pattern)) for reason, pattern in patterns]
        return verdicts(len(texts), reasons), {}
