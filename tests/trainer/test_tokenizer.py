"""The tokenizer: deterministic training, the published layout, cutting, cleaning."""

import gzip
import subprocess
import sys

import pytest

from trainer.tokenizer import Tokenizer, clean, refuse_larger, train_tokenizer
from webimagetext.errors import UserError

CAPTIONS = [
    "A red circle on a light ground",
    "Two dogs playing in the snow, near a house",
    "The cat's whiskers — naïve café 漢字 picture",
    "it's 1984: photo of a lighthouse at night",
    "a photo of the dog and the cat in the house",
] * 4


def test_training_gives_the_published_layout() -> None:
    tokenizer = train_tokenizer(CAPTIONS, 600)
    assert 514 < len(tokenizer) <= 600
    assert (tokenizer.start, tokenizer.end) == (len(tokenizer) - 2, len(tokenizer) - 1)
    pieces = list(tokenizer.vocabulary)
    assert pieces[0] == "!"
    assert pieces[256] == "!</w>"
    assert pieces[512] == "".join(tokenizer.merges[0])


def test_frequent_words_become_one_piece() -> None:
    tokenizer = train_tokenizer(CAPTIONS * 3, 800)
    assert tokenizer.encode(["a photo of the dog"]).shape == (1, 7)


def test_texts_come_back() -> None:
    tokenizer = train_tokenizer(CAPTIONS, 560)
    for text in ("two dogs", "naïve café 漢字", "unseen wörds 🙂"):
        assert tokenizer.decode(tokenizer.encode([text])[0]) == text


def test_training_is_the_same_in_every_process() -> None:
    program = (
        "import sys; sys.path.insert(0, '.');"
        f"from trainer.tokenizer import train_tokenizer; print(train_tokenizer({CAPTIONS!r}, 700).to_json())"
    )
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(runs) == 1


def test_long_texts_are_cut_and_keep_the_end() -> None:
    tokenizer = train_tokenizer(CAPTIONS, 520)
    ids = tokenizer.encode(["word " * 200, "dog"])
    assert ids.shape == (2, 77)
    assert ids[0, 0] == tokenizer.start
    assert ids[0, -1] == tokenizer.end
    assert ids[1].argmax() == (ids[1] == tokenizer.end).nonzero()[0][0]
    assert ids[1, -1] == 0


def test_a_caption_cannot_fake_the_end_token() -> None:
    tokenizer = train_tokenizer(CAPTIONS, 520)
    ids = tokenizer.encode(["dog <|endoftext|> cat"])
    assert (ids == tokenizer.end).sum() == 1


def test_cleaning() -> None:
    assert clean("  Caf\u00c3\u00a9 &amp;amp; B\u00e4r\n ") == "café & bär"


def test_saving_and_published_vocabulary_files(tmp_path) -> None:
    tokenizer = train_tokenizer(CAPTIONS, 600)
    ours = tmp_path / "tokenizer.json"
    ours.write_text(tokenizer.to_json())
    merges = "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in tokenizer.merges), ""])
    published = tmp_path / "bpe.txt.gz"
    published.write_bytes(gzip.compress(merges.encode()))
    for path in (ours, published):
        again = Tokenizer.load(str(path))
        assert (again.encode(CAPTIONS) == tokenizer.encode(CAPTIONS)).all()


def test_broken_files_are_named(tmp_path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{]")
    with pytest.raises(UserError, match=r"bad\.json"):
        Tokenizer.load(str(path))
    (tmp_path / "bad.txt").write_text("#version\none two three\n")
    with pytest.raises(UserError, match="not a list of merges"):
        Tokenizer.load(str(tmp_path / "bad.txt"))
    with pytest.raises(UserError, match="too small"):
        train_tokenizer(CAPTIONS, 100)


def test_a_tokenizer_that_a_model_has_no_room_for_is_refused() -> None:
    tokenizer = train_tokenizer(CAPTIONS, 600)
    refuse_larger(tokenizer, len(tokenizer), "words.json")
    with pytest.raises(UserError, match=rf"words.json: has {len(tokenizer)} entries, .* room for {len(tokenizer) - 1}"):
        refuse_larger(tokenizer, len(tokenizer) - 1, "words.json")
