"""The candidates of a ``srcset`` attribute, and the one to take."""

import re

__all__ = ["best_of_srcset"]

MAX_CANDIDATES = 64
# A URL without white space that does not begin or end with a comma, then descriptors up to the next comma.
_CANDIDATE = re.compile(r"[\s,]*([^\s,]\S*[^\s,]|[^\s,])(?:,|\s+([^,]{0,40})(?:,|$)|\s*$)")
_DESCRIPTOR = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)([wx])")


def best_of_srcset(value: str, wanted_width: int) -> str | None:
    """The URL of the smallest candidate at least ``wanted_width`` pixels wide, else the widest; by density where no
    width is given.

    None when there is no candidate.
    """
    widths: list[tuple[float, str]] = []
    densities: list[tuple[float, str]] = []
    at = 0
    while len(widths) + len(densities) < MAX_CANDIDATES and (found := _CANDIDATE.match(value, at)):
        at = found.end()
        url, descriptor = found.group(1), _DESCRIPTOR.search(found.group(2) or "")
        if url.startswith("data:"):
            continue
        if descriptor and descriptor.group(2) == "w":
            widths.append((float(descriptor.group(1)), url))
        else:
            densities.append((float(descriptor.group(1)) if descriptor else 1.0, url))
    if widths:
        enough = [item for item in widths if item[0] >= wanted_width]
        return min(enough, key=lambda item: item[0])[1] if enough else max(widths, key=lambda item: item[0])[1]
    return max(densities, key=lambda item: item[0])[1] if densities else None
