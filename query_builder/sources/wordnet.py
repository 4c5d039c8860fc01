"""The names of WordNet's synsets.

In: a WordNet 3.0 or 3.1 database folder (``data.noun``, ``index.noun``…), or a wordnet in WN-LMF
(query_builder/sources/wordnet_lmf.py). Out: each synset's head word and its usual
name such as ``dog.n.01`` (head word, part of speech, number of the sense among the head word's). The format is
wndb(5WN)'s.
"""

import re

from query_builder.sources.synset import Synset
from query_builder.sources.wordnet_lmf import lmf_files, read_lmf
from webimagetext.errors import UserError
from webimagetext.files import exists, join, open_input

__all__ = ["published_names", "read_wordnet", "wordnet_files"]

PARTS = ("noun", "verb", "adj", "adv")
_LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_ADJECTIVE_MARKER = re.compile(r"\((?:a|p|ip)\)$")
AGAIN = "fetch WordNet again"
UNNUMBERED = 0.01  # share of the synsets whose head word the index may lack
SEEDED_NUMBERS = 100  # the published list also holds "0" to "99"


def wordnet_files(folder: str) -> list[str]:
    """The files that are read. Raises UserError if the path is neither a WordNet database nor a wordnet in WN-LMF."""
    for candidate in (folder, join(folder, "dict")):
        paths = [join(candidate, f"{kind}.{part}") for part in PARTS for kind in ("data", "index")]
        if all(map(exists, paths)):
            return paths
    if found := lmf_files(folder):
        return found
    raise UserError(
        f"{folder}: not a WordNet database folder: data.noun, index.noun and their like are not all there",
        "give the folder 'dict' of WordNet 3.0 or 3.1, or a wordnet's file in WN-LMF (.xml, .xml.gz, .tar.xz)",
    )


def _lines(path: str) -> list[str]:
    with open_input(path) as stream:
        text = stream.read()
    try:
        # Lines that begin with blanks are the licence.
        return [line for line in text.decode().splitlines() if line and not line.startswith(" ")]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: at byte {error.start:,}: not a WordNet file", AGAIN) from None


def read_wordnet(folder: str, language: str = "en") -> list[Synset]:
    """All synsets, in the order of the files; of a wordnet in WN-LMF with lexicons of several languages, those of
    ``language``. Raises UserError for a file that is none of WordNet's, or not whole: the index tells which synsets
    there are."""
    files = wordnet_files(folder)
    if files == lmf_files(folder):
        return read_lmf(files, language)
    found: list[Synset] = []
    paths = iter(files)
    for part in PARTS:
        data, index = next(paths), next(paths)
        senses: dict[str, list[str]] = {}
        for line in _lines(index):
            fields = line.split()
            # lemma pos synset_cnt p_cnt [pointers] sense_cnt tagsense_cnt offset…
            if len(fields) < 7 or not (fields[2].isascii() and fields[2].isdigit()):
                raise UserError(f"{index}: not a WordNet index: {line[:60]!r}", AGAIN)
            senses[fields[0]] = fields[-int(fields[2]) :]
        before, unnumbered = len(found), 0
        offsets_left = {offset for offsets in senses.values() for offset in offsets}
        for line in _lines(data):
            fields = line.split(" ", 5)
            if len(fields) < 6 or len(fields[0]) != 8 or not fields[0].isdigit():
                raise UserError(f"{data}: not a WordNet data file: {line[:60]!r}", AGAIN)
            offsets_left.discard(fields[0])
            head = _ADJECTIVE_MARKER.sub("", fields[4])
            lemma = head.lower()
            offsets = senses.get(lemma, [])
            sense = offsets.index(fields[0]) + 1 if fields[0] in offsets else 0
            unnumbered += not sense
            letter = "s" if fields[2] == "s" else _LETTERS[part]
            found.append(Synset(head.replace("_", " "), f"{lemma}.{letter}.{sense:02}"))
        if offsets_left:
            problem = f"{data}: not whole: it lacks {len(offsets_left):,} of the synsets that {index} names"
            raise UserError(problem, AGAIN)
        if unnumbered > (len(found) - before) * UNNUMBERED:
            raise UserError(f"{index}: not whole: it lacks {unnumbered:,} of the synsets in {data}", AGAIN)
    if not found:
        raise UserError(f"{folder}: not one synset in it", AGAIN)
    return found


def published_names(synsets: list[Synset]) -> set[str]:
    """The names as the published list has them: cut at the first dot, so that "st. louis" gives "st", and with "0" to
    "99"."""
    cut = {synset.name.split(".")[0].replace("_", " ") for synset in synsets}
    # ".22 caliber" leaves nothing
    return (cut - {""}) | {str(number) for number in range(SEEDED_NUMBERS)}
