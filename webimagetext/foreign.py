"""Text that others wrote, made into text that every table, file and terminal can hold.

In: what headers, addresses, records, tables and the messages of libraries say, in whatever state: bytes that are no
UTF-8, halves of characters (lone surrogates, as JSON may carry them), NUL and other controls, any length. Out: valid
text. Whatever takes text from outside passes it through here where it enters.
"""

import re
from typing import Any

from webimagetext.errors import UserError

__all__ = ["check_text", "encodable", "one_line", "shown", "valid", "valid_values"]

# Controls but for tab and the two ends of a line, and lone surrogates.
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# What a terminal obeys: controls but for tab and line end, lone surrogates, and marks that turn the direction.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def valid(text: str | bytes) -> str:
    """The text with a space for each control character, and the mark � for what is no character."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text if _ODD.search(text) is None else _ODD.sub(" ", encodable(text))


def encodable(text: str) -> str:
    """The text with its controls, and the mark � for each half of a character that stands alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that stand side by side are one character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str) -> str:
    """The text as a terminal may show it: what could move the cursor, hide a line, turn it round or type a command, as
    ``\\x1b``; tabs and line ends stay."""
    return _OBEYED.sub(lambda found: ascii(found.group())[1:-1], text)


def one_line(text: str | bytes, most: int = 200) -> str:
    """:func:`valid` text on one line, at most so many characters: for what a table says of a failure."""
    return " ".join(valid(text[: 4 * most]).split())[:most]


def check_text(text: str, where: str = "") -> None:
    """Raises UserError for a word of a user's that no table and no other program could hold: a name that is not UTF-8,
    or one with a zero byte."""
    if "\0" in text or encodable(text) != text:
        place = f"{where}: " if where else ""
        raise UserError(
            f"{place}{one_line(text)!r}: is not UTF-8, or has a zero byte", "rename the file, or correct it"
        )


def valid_values(value: Any) -> Any:
    """A row's value, or a whole row, with all text in it made valid; other values as they are."""
    if isinstance(value, str):
        return valid(value)
    if isinstance(value, dict):
        return {valid_values(name): valid_values(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(valid_values, value)) if type(value) in (list, tuple) else list(map(valid_values, value))
    return value
