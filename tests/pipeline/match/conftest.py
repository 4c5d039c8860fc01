"""A query list small enough to read, and captions chosen for what goes wrong in matching."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from query_builder.normalize import normalize

SURFACES = [
    "dog",
    "Dog",
    "hot dog",
    "cat",
    "New York",
    "New York City",
    "York",
    "U.S.",
    "rock 'n' roll",
    "café",
    "Istanbul",
    "Ελλάς",
    "日本",
    "internationalization",
    "the",
    "of the",
    "dog of the year",
    "7",
    "e mail",
    "i",
]


def _write(path: Path, surfaces: list[str]) -> Path:
    """A queries.parquet of ``surfaces``, one query a normal form, in order of first appearance."""
    kept: dict[str, str] = {}
    for surface in surfaces:
        kept.setdefault(normalize(surface), surface)
    columns = {"query": list(kept), "surface": list(kept.values()), "id": pa.array(range(len(kept)), pa.uint32())}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def write_queries() -> Callable[[Path, list[str]], Path]:
    return _write


@pytest.fixture
def queries_parquet(tmp_path: Path) -> Path:
    return _write(tmp_path / "queries.parquet", SURFACES)


@pytest.fixture
def odd_captions() -> list[str]:
    return [
        "",
        "   ",
        "dog",
        "DOG",
        "a (dog), a [cat] and a “hot dog”",
        "dog/cat hot-dog hot  dog hot\tdog",
        "dogs concatenate",
        "the dog's bowl, the dog’s bowl",
        "New\u00a0York City, New-York; new york",
        "Made in the U.S. of the u.s of THE U. S.",
        "Rock 'n' Roll, rock’n’roll, rock n roll",
        "cafe\u0301 CAFÉ café cafe",
        "İstanbul ISTANBUL istanbul ıstanbul",
        "Ελλάς ΕΛΛΆΣ",
        "日本の犬 日 本",
        "internationalization internationalisation Internationalization.",
        "dog🐕cat 🐕‍🦺dog❤️cat",
        "ｄｏｇ ﬁne ７ ⁷ ½dog",
        "dog of the year of the dog of the",
        "e-mail: E.Mail e_mail",
        "dog dog dog dog",
        "x" * 5000 + " dog " + "the " * 3000,
    ]
