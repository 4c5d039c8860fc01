"""Text to token ids: the published byte-pair encoding, trained on the run's own captions or built from a vocabulary
file.

In: captions. Out: ids of start token, pieces, end token, cut to the context length. The vocabulary is laid out as
published: 256 bytes, 256 bytes that end a word, the merges in order, start, end; so the end token has the highest id.

Training is deterministic. The trainer of the ``tokenizers`` library numbers word-ending pieces in the order of a
randomised hash table, so here each word-ending byte is first written as one character of its own, and the result is
translated back.
"""

import gzip
import hashlib
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from webimagetext.errors import UserError
from webimagetext.files import open_input

__all__ = ["Tokenizer", "clean", "refuse_larger", "train_tokenizer"]

CONTEXT_LENGTH = 77
PUBLISHED_MERGES = 48_894
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
WORD_END = "</w>"
_ENDING = 0xE000  # private-use characters that stand for a byte at the end of a word while training
AGAIN = "get the file again; a run's own tokenizer is in each of its checkpoints too"
_SPACE = re.compile(r"\s+")


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte in vocabulary files (the convention of GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        names.setdefault(byte, chr(256 + len(names) - len(printable)))
    return [names[byte] for byte in range(256)]


def _byte_order() -> list[str]:
    """The byte characters in the order in which published vocabularies number them: printable ones first."""
    characters = _byte_characters()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [characters[b] for b in [*printable, *sorted(set(range(256)) - set(printable))]]


def clean(text: str) -> str:
    """Repairs mojibake, undoes HTML escapes twice, collapses white space, lower-cases."""
    if not (text.isascii() and text.isprintable()) or "&" in text:  # ftfy undoes escapes in ways of its own
        import ftfy

        text = ftfy.fix_text(text)
    if "&" in text:
        text = html.unescape(html.unescape(text))
    return _SPACE.sub(" ", text).strip().lower()


def _digest(merges: Sequence[str], context_length: int) -> str:
    """The checksum of a tokenizer, in its file: a byte that is another one would often give another tokenizer."""
    return hashlib.sha256(json.dumps([list(merges), context_length]).encode()).hexdigest()


class Tokenizer:
    """Byte-pair encoding with the given merges, at most ``context_length`` ids a text."""

    def __init__(self, merges: Sequence[tuple[str, str]], context_length: int = CONTEXT_LENGTH) -> None:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        characters = _byte_order()
        pieces = [*characters, *(c + WORD_END for c in characters), *(a + b for a, b in merges), START, END]
        self.merges = list(merges)
        self.context_length = context_length
        self.vocabulary = {piece: index for index, piece in enumerate(pieces)}
        if len(self.vocabulary) != len(pieces):
            raise UserError("the tokenizer's vocabulary names a piece twice", "give another vocabulary file")
        self.start, self.end = self.vocabulary[START], self.vocabulary[END]
        model = models.BPE(vocab=self.vocabulary, merges=self.merges, end_of_word_suffix=WORD_END)
        self._inner = Tokenizer(model)
        self._inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    def __len__(self) -> int:
        """Entries of the vocabulary."""
        return len(self.vocabulary)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Ids (texts, longest of them), zeros behind the end token; a longer text keeps its beginning and the end
        token."""
        room = self.context_length - 2
        rows = [item.ids[:room] for item in self._inner.encode_batch_fast([clean(text) for text in texts])]
        ids = np.zeros((len(rows), max(map(len, rows), default=0) + 2), dtype=np.int64)
        for row, pieces in zip(ids, rows, strict=True):
            row[0] = self.start
            row[1 : len(pieces) + 1] = pieces
            row[len(pieces) + 1] = self.end
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``, without start, end and what follows."""
        pieces = list(self.vocabulary)
        to_byte = {character: byte for byte, character in enumerate(_byte_characters())}
        words: list[str] = []
        for index in ids:
            if index == self.end:
                break
            if index != self.start:
                words.append(pieces[index].replace(WORD_END, " "))
        text = "".join(words)
        return bytes(to_byte.get(c, 32) for c in text).decode("utf-8", "replace").strip()

    def to_json(self) -> str:
        """The tokenizer as a document that :meth:`load` reads."""
        merges = [f"{a} {b}" for a, b in self.merges]
        return json.dumps(
            {"merges": merges, "context_length": self.context_length, "sha256": _digest(merges, self.context_length)}
        )

    def to_merges(self) -> str:
        """The merges as a vocabulary file holds them: a comment, then a pair a line. No line is empty, also not the
        last: open_clip counts one as a merge."""
        return "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in self.merges)])

    @classmethod
    def load(cls, url: str, context_length: int = CONTEXT_LENGTH) -> "Tokenizer":
        """Reads our own ``tokenizer.json``, or a published vocabulary: a merges file, plain or gzipped.

        A merges file holds one pair a line after a first line that is a comment; of CLIP's own file of 262,144 lines
        the published models use the first 48,894 merges. Raises UserError for anything else.
        """
        with open_input(url) as stream:
            data = stream.read()
        try:
            text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise UserError(f"{url}: cannot be read as a tokenizer: {error}", AGAIN) from None
        if text.startswith("{"):
            return cls.from_json(text, url, context_length)
        lines = [line for line in text.split("\n")[1 : PUBLISHED_MERGES + 1] if line]
        if not lines:
            raise UserError(f"{url}: holds no merges of a tokenizer", AGAIN)
        return cls._from_pairs(lines, context_length, url)

    @classmethod
    def from_json(cls, text: str, origin: str, context_length: int = CONTEXT_LENGTH) -> "Tokenizer":
        """Reads what :meth:`to_json` wrote, or a tokenizer.json of the ``tokenizers`` library."""
        try:
            document = json.loads(text)
            merges = document["merges"] if "merges" in document else document["model"]["merges"]
            length = int(document.get("context_length", context_length))
            whole = document.get("sha256") in (None, _digest(merges, length))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise UserError(f"{origin}: not a tokenizer: {type(error).__name__} {error}", AGAIN) from None
        if not whole:
            raise UserError(f"{origin}: damaged, its checksum is another one", AGAIN)
        return cls._from_pairs(merges, length, origin)

    @classmethod
    def _from_pairs(cls, merges: Sequence[str | Sequence[str]], context_length: int, origin: str) -> "Tokenizer":
        try:
            pairs = [tuple(item.split(" ") if isinstance(item, str) else item) for item in merges]
            if not all(len(pair) == 2 for pair in pairs):
                raise UserError("not a list of merges", "each line is two pieces with a space between")
            return cls([(a, b) for a, b in pairs], context_length)
        except UserError as error:
            raise UserError(f"{origin}: {error.problem}", error.remedy) from None
        except Exception as error:  # the library raises its own kind for pieces that no merge has made
            raise UserError(f"{origin}: not a list of merges: {error}", AGAIN) from None


def refuse_larger(tokenizer: Tokenizer, room: int, origin: str) -> None:
    """Raises UserError for a tokenizer that a model has no ``room`` for: rows of its table of entries."""
    if len(tokenizer) > room:
        raise UserError(
            f"{origin}: has {len(tokenizer):,} entries, and the model room for {room:,}",
            "give the tokenizer that the model was made with, a smaller one, or another model",
        )


def _training_words(captions: Iterable[str]) -> Iterator[str]:
    """Each caption's words in byte characters, the last byte of a word marked, joined by spaces."""
    from tokenizers import Regex, pre_tokenizers

    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    characters = _byte_characters()
    for caption in captions:
        words = []
        for word, _ in split.pre_tokenize_str(clean(caption)):
            data = word.encode()
            words.append("".join([characters[b] for b in data[:-1]]) + chr(_ENDING + data[-1]))
        yield " ".join(words)


def train_tokenizer(
    captions: Iterable[str], vocab_size: int, context_length: int = CONTEXT_LENGTH, *, least: int = 2
) -> Tokenizer:
    """Learns at most ``vocab_size`` - 514 merges, each seen ``least`` times or more; the same for the same captions."""
    from tokenizers import Tokenizer as Inner
    from tokenizers import models, pre_tokenizers, trainers

    if vocab_size < 514:
        raise UserError(f"a vocabulary of {vocab_size} is too small", "it needs 514 entries before the first merge")
    characters = _byte_characters()
    alphabet = [*characters, *(chr(_ENDING + byte) for byte in range(256))]
    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        min_frequency=least,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    inner.train_from_iterator(_training_words(captions), trainer)
    back = {chr(_ENDING + byte): characters[byte] + WORD_END for byte in range(256)}

    def published(piece: str) -> str:
        return "".join(back.get(character, character) for character in piece)

    merges = json.loads(inner.to_str())["model"]["merges"]
    return Tokenizer([(published(a), published(b)) for a, b in merges], context_length)
