"""Which files a run reads: patterns and lists of paths made into file names, and a share of them drawn.

In: the configured inputs. Out: paths or URLs, each once, sorted.
"""

import gzip
import re

from pipeline.hashing import hash64
from pipeline.read.config import ExtractConfig
from webimagetext.errors import UserError
from webimagetext.files import listing, open_input
from webimagetext.foreign import check_text

__all__ = ["expand_inputs", "inputs_of"]

# Common Crawl's name of a crawl, and where its files are published; s3://commoncrawl/ has the same ones.
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}")
_LISTS = {"warc": "warc.paths.gz", "wat": "wat.paths.gz", "crawl_index": "cc-index-table.paths.gz"}
_NEWS = re.compile(r"CC-NEWS-(\d{4})-(\d{2})")  # a month of its news crawl, which has no index
_PUBLISHED = "crawl-data/"  # how every path in its lists begins
_PAGES = "/subset=warc/"  # the part of the index that is about pages that were there
COMMON_CRAWL = "https://data.commoncrawl.org/"


def expand_inputs(config: ExtractConfig) -> list[str]:
    """The files of ``config.inputs``. Raises UserError when there are none, or a pattern matches none.

    A pattern with ``*``, ``?`` or ``[`` is looked up; a file ``*.paths`` or ``*.paths.gz`` holds one path a line,
    before each of which ``config.path_prefix`` is put, or, of a list that lies where Common Crawl's do, the address up
    to there; a crawl's name (CC-MAIN-2026-05, CC-NEWS-2026-05) stands for the published list of its WARC or WAT files.
    ``config.sample`` keeps a path by a hash of its name, so the same share every time.
    """
    if not config.inputs:
        raise UserError(
            "extract: there are no inputs", f"name the files to read in extract.inputs (source: {config.source})"
        )
    found: set[str] = set()
    for name in config.inputs:
        if month := _NEWS.fullmatch(name):
            base = config.path_prefix or COMMON_CRAWL
            found.update(base + line for line in _lines(_list_of_news(base, month[1], month[2], config.source)))
        elif _CRAWL.fullmatch(name):
            base = config.path_prefix or COMMON_CRAWL
            lines = _lines(_list_of_crawl(base, name, config.source))
            found.update(base + line for line in lines if config.source != "crawl_index" or _PAGES in line)
        elif name.endswith((".paths", ".paths.gz")):
            found.update(_base_of(name, line, config) + line for line in _lines(name))
        elif any(mark in name for mark in "*?[") and not name.startswith(("http://", "https://")):
            matched = listing(name)
            if not matched:
                raise UserError(f"extract: no file matches {name}")
            found.update(matched)
        else:
            found.add(name)
    for name in found:
        check_text(name, "extract.inputs")
    kept = sorted(name for name in found if hash64(name) < config.sample * 2.0**64)
    if not kept:
        raise UserError(f"extract: sample = {config.sample} leaves none of {len(found)} inputs", "raise extract.sample")
    return kept


def inputs_of(config: ExtractConfig) -> list[str]:
    """The files that extraction reads, as :func:`expand_inputs` finds them; none for a crawl."""
    return [] if config.source == "pages" else expand_inputs(config)


def _list_of_crawl(base: str, crawl: str, source: str) -> str:
    if source not in _LISTS:
        raise UserError(
            f"extract: {crawl} is a crawl, whose files are no {source}", f"set extract.source to {' or '.join(_LISTS)}"
        )
    return f"{base}{_PUBLISHED}{crawl}/{_LISTS[source]}"


def _list_of_news(base: str, year: str, month: str, source: str) -> str:
    if source != "warc":
        raise UserError(f"extract: CC-NEWS-{year}-{month} has WARC files alone", "set extract.source to warc")
    return f"{base}{_PUBLISHED}CC-NEWS/{year}/{month}/{_LISTS[source]}"


def _base_of(name: str, line: str, config: ExtractConfig) -> str:
    """What is put before a line of the list ``name``."""
    base, published, _ = name.rpartition(f"/{_PUBLISHED}")
    if config.path_prefix or not published or not line.startswith(_PUBLISHED):
        return config.path_prefix
    return f"{base}/"


def _lines(path: str) -> list[str]:
    with open_input(path) as stream:
        content = stream.read()
    try:
        content = gzip.decompress(content) if path.endswith(".gz") else content
    except (OSError, EOFError) as error:
        raise UserError(f"{path}: not a whole gzip file: {error}") from None
    return [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
