"""Lists of words and phrases in text files: one a line, lines that begin with # are comments."""

from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["read_phrases"]


def read_phrases(path: str) -> list[str]:
    """The phrases of a UTF-8 text file (path or URL), in its order. Raises UserError for a missing or undecodable
    file."""
    with files.open_input(path) as stream:
        try:
            text = stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text: {error}", "save the list as UTF-8") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
