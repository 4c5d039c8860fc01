"""What a file is known by, so that work is named by what it is made from and not by where that lies or in which order
it came.

In: a path or URL. Out: a word that is the same exactly when the content is. A local file is read once in a process; of
a file on an object store its mark is asked, and a file on the web, which is published once under its name, is known by
that.
"""

import functools
import os

from webimagetext import files
from webimagetext.stores import missing

__all__ = ["identity"]


def identity(url: str) -> str:
    """The word for a file. Raises UserError when it is missing."""
    if url.startswith(("http://", "https://")):
        return url
    if files.is_url(url):
        return files.version(url)
    try:
        about = os.stat(url)
    except FileNotFoundError:
        raise missing(url) from None
    return _digest(url, about.st_size, about.st_mtime_ns)


@functools.lru_cache(1 << 16)
def _digest(path: str, _size: int, _time: int) -> str:
    return files.digest(path)
