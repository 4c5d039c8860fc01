"""Settings of the text rules. Imports the standard library alone."""

from dataclasses import dataclass
from typing import Annotated, Literal

from webimagetext.deciding import CODE, CONTENTS, check_name
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["TextConfig"]

Detector = Literal["fasttext", "langdetect", "py3langid", "off"]
Mark = Literal["email", "phone", "address", "ip"]


@dataclass(frozen=True)
class TextConfig(Ranged):
    """Which captions stay. Every rule can be turned off."""

    detector: Detector = "fasttext"
    """Language detector. fasttext: the lid.176 model, 100 times faster than langdetect and better. langdetect
    (seeded) and py3langid come with the extra detectors. off: no language rule; the language probability of every pair
    is then empty."""
    language: str = "en"
    """Two-letter code (ISO 639-1) of the language wanted."""
    language_threshold: Annotated[float, Range(0, 1)] = 0.5
    """Keep a caption whose probability of being in the wanted language, by itself and by its page, site and image, is
    at least this."""
    min_words: Annotated[int, Range(0)] = 3
    """Fewest words in a caption (0: no limit)."""
    max_words: Annotated[int, Range(0)] = 256
    """Most words in a caption (0: no limit)."""
    min_characters: Annotated[int, Range(0)] = 6
    """Fewest characters in a caption (0: no limit)."""
    max_characters: Annotated[int, Range(0)] = 2000
    """Most characters in a caption (0: no limit)."""
    min_letter_share: Annotated[float, Range(0, 1)] = 0.5
    """Share of letters among the characters that are not white space, at least (0: off)."""
    max_word_length: Annotated[int, Range(0)] = 45
    """Longest run of letters and digits, in characters (0: off); longer ones are codes, not words."""
    min_distinct_share: Annotated[float, Range(0, 1)] = 0.34
    """Different words among the words of a caption of six words or more, at least (0: off)."""
    boilerplate: bool = True
    """Drop captions that only name a part of a page: "Next", "[Note]", "Click to enlarge", "Image may contain …"."""
    boilerplate_file: Annotated[str | None, CONTENTS] = None
    """Text file (path or URL) of further such captions, one a line; a final * means "and whatever follows", a #
    before it any number."""
    file_names: bool = True
    """Drop captions that are a file name, a camera's numbering, a web address or a hyphenated address part."""
    markup: bool = True
    """Drop captions with remains of markup: HTML tags, entities, percent escapes, template or BBCode brackets,
    script."""
    marks: tuple[Mark, ...] = ("email", "phone", "address", "ip")
    """Personal data to mark in the column ``marks`` (email, phone, address, ip)."""
    drop_marked: tuple[Mark, ...] = ()
    """Marks for which a caption is dropped. None by default: on web captions most "phone numbers" are stock codes."""
    blocked_words: Annotated[str | None, CONTENTS] = None
    """Text file (path or URL) of words and phrases, one a line; a caption that holds one, at whole words, is
    dropped."""
    rules: Annotated[tuple[str, ...], CODE] = ()
    """Rules of your own, module:function, before that of language: record batch (pair_id, url, caption, page_url …) ->
    a reason for each row, or None where it stays."""
    max_repeats: Annotated[int, Range(0)] = 10
    """Most pairs that keep one and the same caption, chosen by a hash; the others are dropped (0: off)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.rules:
            check_name("text.rules", name)
        if missing := set(self.drop_marked) - set(self.marks):
            raise UserError(
                f"text.drop_marked names {', '.join(sorted(missing))}, which text.marks does not", "add it to both"
            )
