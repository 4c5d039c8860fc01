"""Candidate pairs from published lists of image URLs with texts.

In: a Parquet, CSV, TSV, JSON Lines or RedCaps JSON file, also as .gz, .bz2 or .zst. Out: :class:`Extracted` pieces in
file order. Columns are found by the names that LAION, COYO, DataComp, CC12M, CC3M, RedCaps, WIT and YFCC100M use, or
given by the configuration; CC12M, CC3M and YFCC100M files have no line of names and are known by their shape.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter

import numpy as np
import pyarrow as pa

from pipeline.read.blocks import CONSENT, EVIDENCE, RowBlock, plain_rows
from pipeline.read.cells import kept_cells, pixels, shown, texts_in
from pipeline.read.choose import choose, plain
from pipeline.read.columns import Columns, Layouts, Row
from pipeline.read.config import ExtractConfig
from pipeline.read.list_file import PIECE_ROWS, row_dicts, rows_of
from pipeline.read.pages import Pair
from pipeline.read.pieces import Piece
from pipeline.read.tables import Extracted, Rows
from pipeline.read.urls import MAX_URL_LENGTH, picture_url
from pipeline.tables.schema import REJECTS
from webimagetext.errors import UserError
from webimagetext.foreign import valid

__all__ = ["first_addresses", "read_url_list"]
_NOTHING = pa.table({})


def read_url_list(path: str | Piece, extract: ExtractConfig) -> Iterator[Extracted]:
    """Reads one list, or a piece of it, a block after the other; of a block those rows that need mending, or have other
    names, come behind the others.

    Raises UserError when the file cannot be opened, or has no column for the URL or the texts.
    """
    piece = Piece(path) if isinstance(path, str) else path
    rows = Rows("url_list")
    layouts = Layouts(extract, piece.path)
    number = piece.row
    for item in rows_of(piece, extract):
        block = item if isinstance(item, RowBlock) else _block_of(item)
        others = list(block.others)
        if block.names:
            columns = layouts.of(dict.fromkeys(block.names))
            if isinstance(item, pa.Table):
                layouts.check()  # no row has other names
            candidates, places = plain_rows(block.table, columns)
            if candidates.num_rows:
                if len(rows):
                    yield rows.take()
                yield Extracted(candidates, pa.RecordBatch.from_pylist([], schema=REJECTS))
            # What holds no texts may be of any type.
            mended = block.table.take(places) if candidates.num_rows else block.table
            others += zip(block.places[places].tolist(), row_dicts(mended), strict=True)
        for place, row in sorted(others, key=itemgetter(0)):
            if isinstance(row, str):
                rows.reject(f"{piece.place}:{number + place}", "pair", row, None)
            else:
                _add(rows, row, layouts.of(row), f"{piece.place}:{number + place}")
        number += block.rows
        if len(rows) >= PIECE_ROWS:
            layouts.check()
            yield rows.take()
    layouts.check()
    yield rows.take()


def _block_of(item: pa.Table | Row | str) -> RowBlock:
    if isinstance(item, pa.Table):
        return RowBlock(item, np.arange(item.num_rows), (), item.num_rows, item.schema.names)
    return RowBlock(_NOTHING, np.zeros(0, np.int64), [(0, item)], 1, ())


def first_addresses(path: str, extract: ExtractConfig, rows: int = 100) -> list[str]:
    """The image addresses in the first rows of a list.

    Raises UserError as :func:`read_url_list`, and for a column that the settings name and none of these rows has.
    """
    single = (row for item in rows_of(Piece(path), extract) for row in _single(item))
    first = [row for row in islice(single, rows) if not isinstance(row, str)]
    names = list(dict.fromkeys(name for row in first for name in row))
    if not first:
        return []
    layouts = Layouts(extract, path)
    columns = layouts.of(dict.fromkeys(names))
    layouts.check()
    known = {str(name).strip().lower() for name in names}
    set_to = {
        "url_column": [extract.url_column],
        "text_columns": extract.text_columns,
        "page_column": [extract.page_column],
        "keep_columns": extract.keep_columns,
    }
    for field, wanted in set_to.items():
        for name in filter(None, wanted):
            if name.lower() not in known:
                raise UserError(
                    f"{path}: has no column {name!r}", f"set extract.{field} to one of: {', '.join(map(str, names))}"
                )
    return [url for row in first for url in islice(texts_in(row.get(columns.url or "")), 1)]


def _single(item: pa.Table | RowBlock | Row | str) -> Iterable[Row | str]:
    if isinstance(item, RowBlock):
        return chain(row_dicts(item.table), (row for _, row in item.others))
    return row_dicts(item) if isinstance(item, pa.Table) else [item]


def _add(rows: Rows, row: Row, columns: Columns, place: str) -> None:
    if columns.url is None:
        rows.reject(place, "pair", "bad_url", None, f"no column for the address among: {shown(list(row))}")
        return
    given = row.get(columns.url)
    url = next(filter(None, map(picture_url, islice(texts_in(given), 1))), None)
    if url is None:
        rows.reject(place, "pair", "bad_url", None, shown(given))
        return
    found = [(valid(str(name)).lower(), plain(text)) for name in columns.texts for text in texts_in(row.get(name))]
    kept, caption = choose(found)
    if not caption:
        held = {type(row[name]).__name__ for name in columns.texts if row.get(name) is not None}
        other = "" if found or not held else f": no text but {', '.join(sorted(held))}"
        rows.reject(url, "image", "no_text", url, place + other)
        return
    page = next(texts_in(row.get(columns.page or "")), "")
    width, height = (pixels(row.get(name or "")) for name in columns.sizes)
    pair = Pair(url, caption, kept, width, height)
    page_url = valid(page) if 0 < len(page) <= MAX_URL_LENGTH else None
    rows.add_pair(pair, page_url, "", CONSENT, EVIDENCE, kept_cells({name: row.get(name) for name in columns.kept}))
