"""The bytes that mean something in wikitext and XML, by name, and the lower case of each byte."""

import numpy as np

__all__ = [
    "AND",
    "BAR",
    "BLANK",
    "BRACE",
    "BRACKET",
    "CLOSING_BRACE",
    "CLOSING_BRACKET",
    "COLON",
    "DASH",
    "DOUBLE_QUOTE",
    "EXCLAMATION",
    "GREATER",
    "HASH",
    "LESS",
    "LOWER",
    "NEWLINE",
    "QUOTE",
    "SEMICOLON",
    "SLASH",
    "TAB",
    "UNDERSCORE",
]

TAB, NEWLINE, BLANK, EXCLAMATION, DOUBLE_QUOTE, HASH, AND, QUOTE, DASH, SLASH, COLON, SEMICOLON = b"\t\n !\"#&'-/:;"
LESS, GREATER, BRACKET, CLOSING_BRACKET, UNDERSCORE, BRACE, BAR, CLOSING_BRACE = b"<>[]_{|}"
LOWER = np.array([b + 32 if 65 <= b <= 90 else b for b in range(256)], np.uint8)
