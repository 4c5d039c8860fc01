"""The names of synsets in WN-LMF, the XML that Open English WordNet and the wordnets of other languages come in.

In: a file (.xml, packed or not, also in a tar archive) or a folder of such. Out: what query_builder/sources/wordnet.py
gives of WordNet's own database: each synset's head word, and its name such as ``dog.n.01``. The head word is the first
member that the synset names, or else the first entry with a sense of it; senses are numbered by ``n``, or else by their
order, among those of the same word and part of speech. The format is the Global WordNet Association's, 1.0 to 1.4.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, cast
from xml.etree import ElementTree

import zstandard

from query_builder.sources.synset import Synset
from webimagetext.errors import UserError
from webimagetext.files import is_folder, listing, open_input
from webimagetext.zstd import open_zstd

__all__ = ["lmf_files", "read_lmf"]

AGAIN = "fetch the wordnet again"
ENDINGS = (".xml", ".tar", ".tgz")
PACKED = (".gz", ".bz2", ".xz", ".zst")
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\x28\xb5\x2f\xfd": open_zstd, b"\xfd7zXZ": lzma.open}
_BAD = (ElementTree.ParseError, tarfile.TarError, EOFError, OSError, zlib.error, zstandard.ZstdError, lzma.LZMAError)
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
FIRST_SENSE = 1 << 30  # of a sense without a number: after those with one


class _Entry(NamedTuple):
    form: str
    kind: str  # n, v, a, r or another letter


def lmf_files(path: str) -> list[str]:
    """The files of a wordnet in WN-LMF, in order; none where there are no such."""
    if not is_folder(path):
        return [path] if _unpacked_name(path).endswith(ENDINGS) else []
    return sorted(url for url in listing("*", path) if _unpacked_name(url).endswith(ENDINGS))


def _unpacked_name(url: str) -> str:
    name = url.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name


def read_lmf(urls: list[str], language: str) -> list[Synset]:
    """All synsets of the lexicons of a ``language``, or of all lexicons where none is of it, in the order of the files.

    Raises UserError for a file that is none of WN-LMF, or without a synset that a word names.
    """
    lexicons = [lexicon for url in urls for lexicon in _lexicons(url)]
    wanted = [lexicon for lexicon in lexicons if lexicon.language.partition("-")[0] == language] or lexicons
    found = [synset for lexicon in wanted for synset in lexicon.names()]
    if not found:
        raise UserError(f"{', '.join(urls)}: not one synset with a word", AGAIN)
    return found


class _Lexicon:
    """What has been read of one lexicon."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.entries: dict[str, _Entry] = {}
        self.synsets: list[tuple[str, str, list[str]]] = []  # ID, part of speech, IDs of members
        self.speakers: dict[str, list[str]] = defaultdict(list)  # of a synset: the entries with a sense of it
        self.senses: dict[_Entry, list[tuple[int, int, str]]] = defaultdict(list)  # number, place, synset

    def add_entry(self, element: ElementTree.Element) -> None:
        """Notes a word and its senses."""
        lemma = element.find("Lemma")
        if lemma is None:
            return
        entry = _Entry(lemma.get("writtenForm", "").replace("_", " "), _kind(lemma.get("partOfSpeech", "")))
        identity = element.get("id", "")
        self.entries[identity] = entry
        word = _Entry(entry.form.lower(), entry.kind)
        for sense in element.iterfind("Sense"):
            number, synset = sense.get("n", ""), sense.get("synset", "")
            rank = int(number) if number.isascii() and number.isdigit() else FIRST_SENSE
            self.senses[word].append((rank, len(self.senses[word]), synset))
            self.speakers[synset].append(identity)

    def add_synset(self, element: ElementTree.Element) -> None:
        """Notes a synset."""
        part, members = element.get("partOfSpeech", ""), element.get("members", "").split()
        self.synsets.append((element.get("id", ""), part, members))

    def names(self) -> Iterator[Synset]:
        """The synsets that a word names."""
        numbers: dict[tuple[str, str, str], int] = {}
        for word, senses in self.senses.items():
            for number, (_, _, synset) in enumerate(sorted(senses), 1):
                numbers.setdefault((*word, synset), number)
        for synset, part, members in self.synsets:
            named = [m for m in (*members, *self.speakers[synset]) if m in self.entries and self.entries[m].form]
            if named:
                entry = self.entries[named[0]]
                lemma = entry.form.lower()
                number = numbers.get((lemma, entry.kind, synset), 0)
                yield Synset(entry.form, f"{lemma.replace(' ', '_')}.{part or entry.kind}.{number:02}")


def _kind(part: str) -> str:
    """The part of speech that senses are numbered in: those of adjectives and of satellites are in one."""
    return "a" if part == "s" else part


def _lexicons(url: str) -> Iterator[_Lexicon]:
    """The lexicons of a file."""
    try:
        for stream in _documents(url):
            yield from _parse(stream, url)
    except _BAD as error:
        raise UserError(f"{url}: not a wordnet in WN-LMF that can be read: {error}", AGAIN) from None


def _documents(url: str) -> Iterator[IO[bytes]]:
    """The file unpacked, or each XML file of the archive that it is."""
    with open_input(url) as packed:
        head = packed.read(8)
        packed.seek(0)
        opener = next((opener for mark, opener in _OPENERS.items() if head.startswith(mark)), None)
        content = cast(Any, opener)(packed).read() if opener else packed.read()
    if content[TAR_MAGIC_AT : TAR_MAGIC_AT + len(TAR_MAGIC)] != TAR_MAGIC:
        yield io.BytesIO(content)
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".xml") else None
            if file:
                yield file


def _parse(stream: IO[bytes], url: str) -> Iterator[_Lexicon]:
    lexicon: _Lexicon | None = None
    root: ElementTree.Element | None = None
    for event, element in ElementTree.iterparse(stream, ("start", "end")):
        if root is None:
            root = element
            if element.tag != "LexicalResource":
                raise UserError(f"{url}: not a wordnet: it begins with <{element.tag}>", "give a file in WN-LMF")
        if event == "start":
            if element.tag == "Lexicon":
                lexicon = _Lexicon(element.get("language", ""))
        elif lexicon is not None and element.tag in ("LexicalEntry", "Synset"):
            (lexicon.add_entry if element.tag == "LexicalEntry" else lexicon.add_synset)(element)
            element.clear()
        elif lexicon is not None and element.tag == "Lexicon":
            yield lexicon
            lexicon = None
            root.clear()
