import itertools
import pickle
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.tables.ledger import Rule, apply_rules
from pipeline.tables.schema import REJECTS
from pipeline.text.blocked import BlockedWordsRule
from pipeline.text.boilerplate import BoilerplateRule, built_in_phrases
from pipeline.text.config import TextConfig
from pipeline.text.contacts import ContactRule
from pipeline.text.file_name import FileNameRule
from pipeline.text.length import LengthRule
from pipeline.text.markup import MarkupRule
from pipeline.text.natural import NaturalRule
from pipeline.text.repeated import RepeatedTextRule, first_pairs, frequent
from pipeline.text.rules import text_rules
from query_builder.normalize import IGNORABLE, words
from webimagetext.errors import UserError

Batch = Callable[[list[str]], pa.RecordBatch]
GOOD = [
    "The Fonts dialog",
    "A black cat sleeps on a red sofa.",
    "Winter in Vermont, Yankee Magazine Cover 2015",
    "2x Table Lamps 1x Bluetooth speaker for sale 40 in London",
    "Mother-in-law's tongue in a rock-and-roll café",
    "Set of 6 chairs & a table, 50% off (new)",
    "AT&T headquarters in Dallas; 3 < 4 and 5 > 2",
    "Image of the Moon taken by Apollo 11",
    "Next stop: New York, New York",
    "The function of the heart: a diagram",
    "A graph of the function (x) in two parts",
    "Cover of JavaScript: The Good Parts",
    "She signs the document. It is old.",
    "A kitchen with a stone counter top",
    "Advertisement for soap, 1920",
    "Copyright page of the first edition",
    "Fig. 13.1. The GNOME desktop",
    "Photo 3: cats on a sofa",
    "P 51 Mustang in flight",
    "[Video] A man runs home",
    "A case for a digital camera",
    "App stores sell games on Google Play",
]


def reasons(rule: Rule, batch: pa.RecordBatch) -> list[str | None]:
    verdicts, _ = rule(batch)
    assert verdicts.type == pa.string() and len(verdicts) == batch.num_rows
    found: list[str | None] = verdicts.to_pylist()
    return found


RULES: list[Rule] = [
    BoilerplateRule(built_in_phrases()),
    FileNameRule(),
    MarkupRule(),
    LengthRule(3, 256, 6, 2000),
    NaturalRule(0.5, 45, 0.34),
    BlockedWordsRule(("forbidden", "bad thing")),
    ContactRule(("email", "phone", "address", "ip"), ("email",)),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_good_captions_pass_every_rule(rule: Rule, batch_of: Batch) -> None:
    assert reasons(rule, batch_of(GOOD)) == [None] * len(GOOD)
    assert reasons(rule, batch_of([])) == []
    again = pickle.loads(pickle.dumps(rule))
    assert again == rule


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            BoilerplateRule(built_in_phrases()),
            {
                "[Note]": "boilerplate",
                "Prev": "boilerplate",
                "CLICK TO ENLARGE": "boilerplate",
                "Figure 12": "boilerplate",
                "Slide 3 of a tour": None,
                "Image may contain: 2 people, sky": "boilerplate",
                "Image maybe": None,
                "no   alt-text": "boilerplate",
                "OLYMPUS DIGITAL CAMERA": "boilerplate",
                "SONY DSC": "boilerplate",
                "DCIM": "boilerplate",
                "DCIM 100 GOPRO": "boilerplate",
                "Exif_JPEG_PICTURE": "boilerplate",
                "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90": "boilerplate",
                "Email this page": "boilerplate",
                "Get it on Google Play™": "boilerplate",
                "Download on the App Store": "boilerplate",
                "Advertisement": "boilerplate",
                "Advertisement - continue reading below": "boilerplate",
                "Copyright © 2019 Acme and partners": "boilerplate",
                "Copyright (c) 2019 Acme and partners": "boilerplate",
                "Copyright Acme in 2019": None,
                "Home is where the heart is": None,
                "": None,
            },
        ),
        (
            FileNameRule(),
            {
                "IMG_2041": "camera_name",
                "IMG_2041.JPG": "file_name",
                "DSC00012": "camera_name",
                "Screenshot 2020-05-04 at 10.22.31": "camera_name",
                "WhatsApp Image 2020-01-02 at 10.11.12 AM": "camera_name",
                "WP 20190829 18 40 10 Pro edit 150x150": "camera_name",
                "IMG 2287 copy (2)": "camera_name",
                "P1010023": "camera_name",
                "IMG-20200102-WA0012": "camera_name",
                "Picture 3 of 12": "camera_name",
                "Fig. 3b": "camera_name",
                "Picture 3 of a dog": None,
                "IMG_3421 Red barn": None,
                "my holiday picture.jpeg": "file_name",
                "https://example.org/a%20b.png": "url",
                "www.example.org": "url",
                "2go-travel-sale-ticket-valentines-day-promo": "slug",
                "red_panda_2_large": "slug",
                "0a1b2c3d4e5f6a7b": "file_name",
                "mother-in-law": None,
                "Picture of a house": None,
                "a .png file opened in GIMP": None,
            },
        ),
        (
            MarkupRule(),
            {
                "<a href='http://x.org/y'>Ribbon</a> cutting": "html_tag",
                "<img src=x": "html_tag",
                "fish &amp; chips": "html_entity",
                "fish &#8217; chips": "html_entity",
                "red%20panda%20cub": "percent_escape",
                "100% cotton, 50% off": None,
                "Hello {{ user.name }}": "template",
                "[caption id=3]A dog": "bbcode",
                '[caption align="left" id=a]A dog': "bbcode",
                "[url=a]A dog": "bbcode",
                "A dog[/video]": "bbcode",
                "A dog [Gallery]": None,
                "[Note] a dog": None,
                "R&B; and soul": None,
                "a <b>bold</b> claim": "html_tag",
                "onclick = function() { x }": "script",
                "function draw(a, b) {": "script",
                "javascript:void(0)": "script",
                "document.getElementById('a')": "script",
                "document.write('a')": "script",
            },
        ),
        (
            LengthRule(3, 6, 6, 40),
            {
                "": "too_few_words",
                "two words": "too_few_words",
                "well-known word": None,
                "a b c": "too_few_characters",
                "one two three four five six seven": "too_many_words",
                "x" * 30 + " yyyyy " + "zzzzz": "too_many_characters",
                "日本の犬": "too_few_characters",
            },
        ),
        (
            NaturalRule(0.5, 20, 0.34),
            {
                "12 345 67": "no_words",
                "!!! ??? ...": "no_words",
                "x-100 4500 22 a 88": "few_letters",
                "key aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ here": "overlong_word",
                "sale sale sale sale sale sale now": "repeated_words",
                "row row row your boat": None,
                "देवनागरी लिपि में लिखा": None,
            },
        ),
        (
            BlockedWordsRule(("Forbidden", "bad thing")),
            {"a FORBIDDEN fruit": "blocked_word", "a bad-thing": "blocked_word", "a bad thinger": None, "": None},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_rule_says_why(rule: Rule, expected: dict[str, str | None], batch_of: Batch) -> None:
    assert dict(zip(expected, reasons(rule, batch_of(list(expected))), strict=True)) == expected


def test_limits_of_zero_are_none(batch_of: Batch) -> None:
    batch = batch_of(["", "x " * 3000, "12 34", "x" * 200])
    assert reasons(LengthRule(0, 0, 0, 0), batch) == [None] * 4
    assert reasons(NaturalRule(0.0, 0, 0.0), batch) == ["no_words", None, "no_words", None]


def _natural_reason(text: str, letter_share: float, word_length: int, distinct_share: float) -> str | None:
    """What the natural-language rule says of a text, character by character and with a set of words."""
    text = IGNORABLE.sub("", text)
    kinds = [unicodedata.category(character)[0] for character in text]
    letters = sum(kind in "LM" for kind in kinds)
    if letters == 0:
        return "no_words"
    if letters < letter_share * sum(character not in " \t\n\f\r" for character in text):
        return "few_letters"
    inside = "".join("x" if kind in "LMN" or text[at] == "_" else " " for at, kind in enumerate(kinds))
    if max(map(len, inside.split(" "))) > word_length:
        return "overlong_word"
    found = words(text)
    return "repeated_words" if len(found) >= 6 and len(set(found)) < distinct_share * len(found) else None


def test_the_natural_rule_is_what_unicode_says_of_each_character(batch_of: Batch) -> None:
    generator = random.Random(3)
    blocks = [
        (0x20, 0x7F),
        (0xA0, 0xD7FF),
        (0xF900, 0xFFFF),
        (0x10000, 0x1FBFF),
        (0x20000, 0x2A6DF),
        (0x1FFE, 0x2070),
        (0xDFFF0, 0xE100F),
    ]
    texts = ["", " ", "_", "❤️❤️❤️", "so\u00adlong", "İİİ", "cafe\u0301"]
    for _ in range(4000):
        chosen = generator.sample(blocks, 2)
        characters = [chr(generator.randint(*generator.choice(chosen))) for _ in range(generator.randrange(40))]
        texts.append("".join(generator.choice([character, " "]) for character in characters))
    texts += [" ".join(generator.choice("abcdefgé日") for _ in range(generator.randrange(200))) for _ in range(500)]
    for limits in ((0.5, 8, 0.34), (0.9, 2, 0.9)):
        expected = [_natural_reason(text, *limits) for text in texts]
        assert reasons(NaturalRule(*limits), batch_of(texts)) == expected
        assert len(set(expected)) == 5


def test_contacts_are_marked_and_dropped_only_where_asked(batch_of: Batch) -> None:
    expected = {
        "Write to jane.doe@example.org today": ["email"],
        "jane [at] example dot org": ["email"],
        "Call +44 20 7946 0958 or (555) 123-4567": ["phone"],
        "The shop at 12 Baker Street, London NW1 6XE": ["address"],
        "1600 Pennsylvania Ave, Washington, DC 20500": ["address"],
        "Server 192.168.10.4 in the rack": ["ip"],
        "Version 1.2.3.4.5 released": [],
        "Part no 655-12SSCY 76x127mm": [],
        "mail a@b.org or call 555-123-4567": ["email", "phone"],
    }
    batch = batch_of(list(expected))
    verdicts, added = ContactRule(("email", "phone", "address", "ip"), ())(batch)
    assert verdicts.null_count == len(verdicts)
    assert dict(zip(expected, added["marks"].to_pylist(), strict=True)) == expected
    dropped = reasons(ContactRule(("email", "phone"), ("phone",)), batch)
    assert dropped.count("contact_phone") == 2 and dropped.count(None) == len(dropped) - 2
    assert ContactRule((), ())(batch)[1]["marks"].to_pylist() == [[]] * batch.num_rows


def _repeated(batch: pa.RecordBatch, table: pa.Table) -> list[str | None]:
    return reasons(RepeatedTextRule(table), batch)


def test_of_a_repeated_caption_the_pairs_with_the_smallest_ids_stay() -> None:
    top = 1 << 63
    captions = ["Read more", "A dog", "READ MORE »", "read\u200b more", "a cat", "A dog", "Read more", "read more!"]
    ids = [top + 5, 7, 3, top + 1, 8, 9, 4, top + 2]
    whole = pa.RecordBatch.from_pydict({"pair_id": pa.array(ids, pa.uint64()), "caption": captions})
    table = frequent([first_pairs(whole, 2)], 2)
    assert table.column("last_pair").to_pylist() == [4]
    gone = [text for text, reason in zip(ids, _repeated(whole, table), strict=True) if reason]
    assert gone == [top + 5, top + 1, top + 2]
    assert _repeated(whole, frequent([first_pairs(whole, 5)], 5)) == [None] * 8  # five pairs are not too many
    assert _repeated(whole, frequent([first_pairs(whole, 4)], 4)).count("repeated_text") == 1
    assert frequent([], 2).num_rows == 0


def test_the_pairs_that_stay_depend_on_no_order_or_cut() -> None:
    generator = random.Random(5)
    rows = [(generator.getrandbits(64), f"caption {int(generator.expovariate(0.3))}") for _ in range(3000)]
    by_caption: dict[str, list[int]] = {}
    for pair, caption in rows:
        by_caption.setdefault(caption, []).append(pair)
    for most in (1, 3, 40):
        expected = {pair for pairs in by_caption.values() for pair in sorted(pairs)[most:]}
        for _ in range(3):
            generator.shuffle(rows)
            cuts = sorted(generator.sample(range(3000), 12))
            batches = [
                pa.RecordBatch.from_pydict(
                    {
                        "pair_id": pa.array([pair for pair, _ in part], pa.uint64()),
                        "caption": [text for _, text in part],
                    }
                )
                for part in (rows[a:b] for a, b in itertools.pairwise([0, *cuts, 3000]))
            ]
            table = frequent([first_pairs(batch, most) for batch in batches], most)
            gone = {
                pair
                for batch in batches
                for pair, reason in zip(batch["pair_id"].to_pylist(), _repeated(batch, table), strict=True)
                if reason
            }
            assert gone == expected


def test_the_rules_in_order_leave_a_ledger(batch_of: Batch, tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("# a comment\nsofa\n", encoding="utf-8")
    (tmp_path / "more.txt").write_text("our team at work*\n", encoding="utf-8")
    config = TextConfig(blocked_words=str(tmp_path / "blocked.txt"), boilerplate_file=str(tmp_path / "more.txt"))
    batch = batch_of([*GOOD, "Next", "IMG_1", "Our team at work in May", "Ein Hund läuft über die Wiese am Haus"])
    kept, rejected = apply_rules(batch, text_rules(config), "text")
    table = pa.Table.from_batches(rejected, schema=REJECTS)
    details = [detail.partition(" [p 0.0")[0] for detail in table["detail"].to_pylist()]
    assert set(zip(details, table["reason"].to_pylist(), strict=True)) >= {
        ("A black cat sleeps on a red sofa.", "blocked_word"),
        ("Next", "boilerplate"),
        ("IMG_1", "camera_name"),
        ("Our team at work in May", "boilerplate"),
        ("Ein Hund läuft über die Wiese am Haus", "other_language"),
    }
    assert kept.num_rows + table.num_rows == batch.num_rows
    assert kept.schema.names[-4:-1] == ["marks", "p_english", "p_context"]


def test_every_rule_can_be_turned_off(batch_of: Batch) -> None:
    config = TextConfig(
        detector="off",
        min_words=0,
        max_words=0,
        min_characters=0,
        max_characters=0,
        min_letter_share=0,
        max_word_length=0,
        min_distinct_share=0,
        boilerplate=False,
        file_names=False,
        markup=False,
        marks=(),
    )
    batch = batch_of([*GOOD, "Next", "IMG_1.jpg", "<b>x</b>"])
    kept, rejected = apply_rules(batch, text_rules(config), "text")
    assert kept.num_rows == batch.num_rows and not rejected
    assert kept.column("p_english").null_count == batch.num_rows


def test_lists_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        text_rules(TextConfig(blocked_words=str(tmp_path / "none.txt")))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match="not UTF-8"):
        text_rules(TextConfig(boilerplate_file=str(tmp_path / "latin.txt")))


@pytest.mark.parametrize(
    "values", [{"language_threshold": 1.5}, {"min_words": -1}, {"marks": (), "drop_marked": ("email",)}]
)
def test_impossible_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"TextConfig|text\."):
        TextConfig(**values)  # type: ignore[arg-type]


def test_real_web_captions(shared_data: Path, batch_of: Batch) -> None:
    table = pq.read_table(shared_data / "captions" / "laion_test_10000.parquet")
    batch = batch_of([caption or "" for caption in table.column("TEXT").to_pylist()])
    kept, rejected = apply_rules(batch, text_rules(TextConfig()), "text")
    counts = pa.Table.from_batches(rejected)["reason"].value_counts()
    by_reason = {entry["values"]: entry["counts"] for entry in counts.to_pylist()}
    # A sample of captions that somebody already cleaned: most stay, and the other languages are most of what goes.
    assert 0.6 < kept.num_rows / batch.num_rows < 0.9
    assert by_reason["other_language"] > 300
    assert by_reason.get("boilerplate", 0) < 50
