"""The reader of each kind of input: archives, Common Crawl's index and lists, by ``extract.source``.

In: a piece of an input file. Out: :class:`Extracted` pieces in the order of the file.
"""

from collections.abc import Iterator

from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl_index import read_crawl_index
from pipeline.read.pieces import Piece
from pipeline.read.tables import Extracted
from pipeline.read.url_list import read_url_list
from pipeline.read.warc import read_warc
from pipeline.read.wat import read_wat

__all__ = ["read_input"]


def read_input(piece: Piece, extract: ExtractConfig, http: HttpConfig) -> Iterator[Extracted]:
    """Reads a piece of an input; an archive is always read as a whole. Raises UserError as the readers do."""
    if extract.source == "warc":
        return read_warc(piece.path, extract, http)
    if extract.source == "wat":
        return read_wat(piece.path, extract, http)
    if extract.source == "crawl_index":
        return read_crawl_index(piece, extract, http)
    return read_url_list(piece, extract)
