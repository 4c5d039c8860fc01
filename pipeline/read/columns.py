"""Which columns of a list hold what, by their usual names or those that the settings give.

In: the names that a row has; in JSON they may be others in each row. Out: :class:`Columns`.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.read.config import ExtractConfig
from webimagetext.errors import UserError

__all__ = ["Columns", "Layouts", "Row"]

MAX_LAYOUTS = 1_000  # sets of names that rows have, remembered at once
URL_NAMES = ("url", "image_url", "img_url", "downloadurl", "photo_url", "image", "src")
TEXT_NAMES = (
    *("text", "caption", "alt_text", "alt", "title", "description", "top_caption"),
    *("caption_reference_description", "caption_alt_text_description", "caption_attribution_description"),  # of WIT
)
PAGE_NAMES = ("page_url", "pageurl", "permalink", "source_url")
SIZE_NAMES = (("width", "original_width"), ("height", "original_height"))

Row = Mapping[str, Any]


class Columns:
    """Which columns of a row hold what; there may be none for the address or the texts."""

    def __init__(self, row: Row, extract: ExtractConfig) -> None:
        by_name = {str(name).strip().lower(): name for name in row}
        self.url = _pick(by_name, extract.url_column, URL_NAMES)
        self.page = _pick(by_name, extract.page_column, PAGE_NAMES)
        self.texts = [by_name[name.lower()] for name in extract.text_columns or TEXT_NAMES if name.lower() in by_name]
        self.sizes = [_pick(by_name, "", names) for names in SIZE_NAMES]
        wanted = dict.fromkeys((*extract.keep_columns, *extract.verify_hash[:1]))
        self.kept = [by_name[name.lower()] for name in wanted if name.lower() in by_name]

    @property
    def used(self) -> list[str]:
        """The names of all columns that something is read from."""
        return [name for name in (self.url, self.page, *self.texts, *self.sizes, *self.kept) if name]


class Layouts:
    """The columns of each row of a list: rows of JSON may differ in the names that they have."""

    def __init__(self, extract: ExtractConfig, path: str) -> None:
        self._extract = extract
        self._path = path
        self._known: dict[frozenset[str], Columns] = {}
        self._names: dict[str, None] = {}
        self._last: tuple[Any, Columns] | None = None
        self._found_url = self._found_texts = False

    def of(self, row: Row) -> Columns:
        """The columns of a row."""
        names = row.keys()
        if self._last is not None and self._last[0] == names:
            return self._last[1]
        key = frozenset(names)
        columns = self._known.get(key)
        if columns is None:
            if len(self._known) >= MAX_LAYOUTS:
                self._known.clear()
            columns = self._known[key] = Columns(row, self._extract)
            if len(self._names) < MAX_LAYOUTS:
                self._names |= dict.fromkeys(map(str, row))
            self._found_url |= columns.url is not None
            self._found_texts |= columns.url is not None and bool(columns.texts)
        self._last = names, columns
        return columns

    def check(self) -> None:
        """Raises UserError where no row so far had a column for the address, or none that had one had texts."""
        listed = ", ".join(self._names)
        if self._names and not self._found_url:
            raise UserError(
                f"{self._path}: no column holds the images' URLs", f"set extract.url_column to one of: {listed}"
            )
        if self._names and not self._found_texts:
            raise UserError(f"{self._path}: no column holds texts", f"set extract.text_columns to some of: {listed}")


def _pick(by_name: Mapping[str, str], wanted: str, usual: tuple[str, ...]) -> str | None:
    return next((by_name[name] for name in ((wanted.lower(),) if wanted else usual) if name in by_name), None)
