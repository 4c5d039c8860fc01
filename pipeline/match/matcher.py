"""Finds every query in every caption.

In: a column of captions and the automaton file. Out: for each caption the ids of the queries it holds, ascending, each
once. The file is mapped, not read, so all workers of a machine share one copy; a file on an object store is first
copied to the machine's temporary folder.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.match.fold import Texts, fold_words, raw_texts, split_words
from pipeline.match.mapped_file import map_arrays
from pipeline.match.search import find_phrases
from webimagetext import files, local

__all__ = ["Matcher"]

SPACED_MARKS = (",", ".", ";", ":", "?", "!", "`")
WHITE_SPACE = ("\t", "\n", "\r")


class Matcher:
    """The compiled query list in a file written by :func:`pipeline.match.build.build_automaton`.

    Pickled as its path alone. Raises UserError for a missing or damaged file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        arrays, about = map_arrays(_local(path))
        self.mode: str = about["mode"]
        names, offsets = arrays.pop("names"), arrays.pop("name_offsets")
        self._trie = arrays
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(names)]
        self.queries: pa.Array = pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)

    def __len__(self) -> int:
        return len(self.queries)

    def __reduce__(self) -> tuple[type["Matcher"], tuple[str]]:
        return Matcher, (self.path,)

    def match(self, captions: pa.Array) -> pa.ListArray:
        """The queries in each caption of a string column, as lists of uint32 ids; empty for a null."""
        texts = fold_words(captions) if self.mode == "words" else split_words(space_marks(captions))
        ids, offsets = find_phrases(texts, self._trie)
        if offsets[-1] > np.iinfo(np.int32).max:
            raise ValueError("more than 2^31 matches in one batch; use smaller batches")
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids, pa.uint32()))


def space_marks(captions: pa.Array) -> Texts:
    """Captions as the published rule prepares them: a few marks set between spaces, tabs and line ends made spaces.

    Source: the public MetaCLIP code (Xu et al., ICLR 2024). It looks for each entry with a space on either side in the
    text with a space on either side: the same as an equality of the pieces between single spaces, empty pieces
    included.
    """
    texts = captions.fill_null("") if captions.null_count else captions
    for mark in SPACED_MARKS:
        texts = pc.replace_substring(texts, mark, f" {mark} ")
    for blank in WHITE_SPACE:
        texts = pc.replace_substring(texts, blank, " ")
    return raw_texts(texts)


def _local(path: str) -> str:
    """A local copy of the file at ``path``, made once a machine and user."""
    if not files.is_url(path):
        return path
    return local.kept(path, lambda copy: files.digest(copy)[:16] in path.rpartition("/")[2])
