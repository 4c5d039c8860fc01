"""KEY.json: one type a field, whatever a row lacks."""

import json
import math

import pytest

from pipeline.tables.schema import SHARD
from pipeline.write.sample import sample_fields

FULL = {
    "url": "https://h/1.png", "caption": "a red dog", "key": "00ff", "status": "success", "error_message": "slow",
    "width": 3, "height": 2, "original_width": 30, "original_height": 20, "exif": "{}", "sha256": "ab",
    "page_url": "https://h/",
    "texts": [{"kind": "alt", "text": "a dog"}], "queries": ["dog"], "query_ids": [7], "drawn_by": [7, 9],
    "probability": 0.25,
    "p_english": 0.5, "p_context": 0.25, "page_language": "en", "marks": ["email", "ip"], "phash": "ffffffffffffffff",
    "scores": [{"name": "clip", "score": 0.5}], "consent": "allowed", "consent_evidence": "robots.txt: none",
    "source": "pages", "columns": '{"score": 5.1}',
}  # fmt: skip
NEVER_EMPTY = {"url", "caption", "key", "status", "width", "height", "queries", "query_ids", "sha256"}
MAY_BE_EMPTY = sorted(set(FULL) - NEVER_EMPTY)


def _shape(value: object) -> object:
    """What a reader can infer of a value: the types all the way down; None for what tells nothing."""
    if isinstance(value, list):
        return [_shape(value[0])] if value else None
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    return None if value is None else type(value)


CASES = [(name, None) for name in MAY_BE_EMPTY] + [(name, []) for name in MAY_BE_EMPTY if isinstance(FULL[name], list)]


@pytest.mark.parametrize(("name", "empty"), CASES)
def test_a_missing_value_keeps_the_type(name: str, empty: object) -> None:
    full, lacking = sample_fields(FULL), sample_fields({**FULL, name: empty})
    assert list(full) == list(lacking) == [name for name in SHARD.names if name != "sketch"]
    assert _shape(full) == _shape(lacking)
    assert full[name] != lacking[name]


def test_what_is_known_is_told() -> None:
    fields = sample_fields(FULL)
    assert (fields["marks"], fields["drawn_by"], fields["phash"]) == ("email ip", "7 9", "f" * 16)
    assert json.loads(fields["scores"]) == {"clip": 0.5}
    unchanged = set(FULL) - {"marks", "drawn_by", "scores"}
    assert {name: fields[name] for name in unchanged} == {name: FULL[name] for name in unchanged}


def test_what_is_not_known() -> None:
    fields = sample_fields({name: FULL[name] if name in NEVER_EMPTY else None for name in FULL})
    assert fields["texts"] == [{"kind": "", "text": "a red dog"}]
    assert (fields["probability"], fields["original_width"], fields["page_url"]) == (-1.0, -1, "")
    assert fields["scores"] == "{}"


def test_a_number_that_is_none_is_no_json() -> None:
    with pytest.raises(ValueError):
        sample_fields({**FULL, "scores": [{"name": "clip", "score": math.nan}]})
