"""Where candidate pairs come from: the ``[extract]`` table of a run's configuration. Import-light, because ``--help``
reads it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from webimagetext.deciding import CODE, CONTENTS, FREE, INPUT, LATE, check_name
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["ExtractConfig"]

BUDGETS = ("max_hours", "max_requests")
HASHES = ("sha256", "md5")  # kinds that a list may state
Source = Literal["pages", "warc", "wat", "crawl_index", "url_list"]
Scope = Literal["prefix", "host", "domain", "any"]


@dataclass(frozen=True)
class ExtractConfig(Ranged):
    """Extraction of image and text pairs from pages, archives or lists."""

    source: Source = "pages"
    """pages: crawl web sites. warc: WARC or ARC files. wat: WAT files. crawl_index: pages that Common Crawl's index
    names, each read from its archive by itself. url_list: tables of image URLs with texts."""
    seeds: tuple[str, ...] = ()
    """Where a crawl begins: page URLs, bare domain names, or URLs of sitemaps."""
    inputs: Annotated[tuple[str, ...], INPUT] = ()
    """Files for warc, wat, crawl_index and url_list: paths, URLs or glob patterns; or a crawl of Common Crawl by its
    name, CC-MAIN-2026-05, or a month of its news, CC-NEWS-2026-05 (warc)."""
    scope: Scope = "host"
    """Links followed: those under a seed's folder (prefix), on its host (www. or not), on its domain and below, or
    any."""
    include: tuple[str, ...] = ()
    """Only pages whose path matches one of these patterns ('*' is any run of characters, a final '$' the end); empty:
    all."""
    exclude: tuple[str, ...] = ()
    """No pages whose path matches one of these patterns."""
    depth: Annotated[int, Range(0)] = 3
    """Links followed from a seed; 0 reads the seeds alone."""
    max_pages: Annotated[int, Range(1)] = 1000
    """Pages asked for in all."""
    max_pages_per_host: Annotated[int, Range(1)] = 1000
    """Pages asked for from one host."""
    max_hours: Annotated[float, FREE, Range(0)] = 0.0
    """Hours after which a crawl begins no further round, whatever is open; the same command goes on. 0: any number."""
    max_requests: Annotated[int, FREE, Range(0)] = 0
    """Pages that one command asks for before it begins no further round of a crawl; the same command goes on. 0: any
    number."""
    sitemaps: bool = False
    """Also follow the sitemaps that the seeds' robots.txt files name."""
    max_page_bytes: Annotated[int, Range(1)] = 5_000_000
    """Largest page read, in bytes."""
    image_width: Annotated[int, Range(1)] = 1024
    """Pixels; where a page offers an image in several widths, the smallest at least this wide is taken, else the
    widest."""
    max_texts: Annotated[int, LATE, Range(0)] = 5
    """Texts kept of one image on the pages of one site, the best ones (0: all); a url_list keeps all."""
    max_image_pages: Annotated[int, LATE, Range(0)] = 100
    """Pages of one site that may show an image; one on more belongs to its layout and makes no pair (0: any)."""
    archive_images: bool = True
    """Use the images that a WARC file holds itself, instead of asking for them again."""
    sample: Annotated[float, INPUT, Range(above=0, most=1)] = 1.0
    """Share of the input files that is read, drawn by a hash of their names."""
    path_prefix: Annotated[str, INPUT] = ""
    """Put before each line of an input that is a list of paths (*.paths, *.paths.gz; empty: nothing, or where a list of
    Common Crawl's lies); of a crawl of Common Crawl, and
    of archives that its index names: where to read it (empty: over https; s3://commoncrawl/ with an account)."""
    index_hosts: tuple[str, ...] = ()
    """Hosts of a crawl_index that are read, each with those below it: example.org, or org for a whole top-level domain.
    Empty: all."""
    index_hosts_file: Annotated[str, CONTENTS] = ""
    """A file with more of them, one a line."""
    index_blocked_hosts_file: Annotated[str, CONTENTS] = ""
    """A file of hosts that are left out, with those below them."""
    index_languages: tuple[str, ...] = ()
    """Languages of a crawl_index, as the index has them: three letters, eng. Of a page the likeliest counts. Empty:
    all."""
    url_column: str = ""
    """Column of the image's URL in a url_list; empty: found by its usual names."""
    text_columns: tuple[str, ...] = ()
    """Columns of texts in a url_list, the first with words being the caption; empty: found by their usual names."""
    keep_columns: tuple[str, ...] = ()
    """Further columns of a url_list, which go as they are into the shards: the field "columns" of KEY.json."""
    verify_hash: tuple[str, ...] = ()
    """Column of a url_list with a hash of each image's bytes, and its kind: ["checksum", "sha256"], or md5. A pair
    whose image has another one is dropped; an empty cell is no hash."""
    reader: Annotated[str, CODE] = ""
    """A reader of your own for url_list, module:function: the path of an input -> its rows, each a dictionary by column
    (url, and caption or other texts)."""
    page_column: str = ""
    """Column of the page's URL in a url_list; empty: found by its usual names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reader:
            check_name("extract.reader", self.reader)
            if self.source != "url_list":
                raise UserError("extract: reader is set and source is not url_list", 'set extract.source = "url_list"')
        if self.verify_hash and (len(self.verify_hash) != 2 or self.verify_hash[1] not in HASHES):
            raise UserError(
                f"extract.verify_hash: {list(self.verify_hash)} is not a column and one of {', '.join(HASHES)}",
                'write it as ["checksum", "sha256"]',
            )
        for pattern in (*self.include, *self.exclude):
            if not pattern.startswith(("/", "*")):
                raise UserError(f"extract: the path pattern {pattern!r} begins with neither '/' nor '*'")

    @property
    def budgets(self) -> list[str]:
        """The budgets of a command that are set, as they stand in the settings."""
        return [f"extract.{name} = {value:g}" for name in BUDGETS if (value := getattr(self, name))]
