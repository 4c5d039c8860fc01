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
# What cameras, phones and programs call a picture before anybody names it.
COUNTER = (
    r"(?i)^\s*(?:_?img|_?dsc[nf_]?|dscn|dcim|pict?|p|sam|mvi|gopr|pxl|wp|cimg|imag|image|picture|photo|foto"
    r"|screen ?shot|screen capture|scan|untitled|unnamed|download|file|slide|page|fig|whatsapp image|clip)"
    r"[\s_.\-#(]*\d[\d\s_.:\-()a-z]{0,24}\s*$"
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
