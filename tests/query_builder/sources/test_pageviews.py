"""Page view files cut anywhere, and rows of every kind."""

import json
from pathlib import Path

import numpy as np
import pytest

from query_builder.hash_table import hash_text
from query_builder.sources.dump import plan_shards
from query_builder.sources.pageviews import ViewsTask, count_views, views_path
from query_builder.sources.piece import CorruptInputError

ROWS = [
    "de.wikipedia Hund 5 desktop 9 A9",
    "en.wikipedia Dog 1 desktop 10 A1B9",
    "en.wikipedia Dog null mobile-app 3 C3",
    "en.wikipedia New_York 2 mobile-web 4 A4",
    "en.wikipedia New_York mobile-web 6 A6",
    'en.wikipedia "Heroes" 3 desktop 8 A8',
    "en.wikipedia Nothing 3 desktop none A8",
    "en.wikipedia.x Dog 3 desktop 100 A8",
    "en.wikipedia Café 7 desktop 2 A2",
    "en.wikinews Dog 1 desktop 77 A77",
]


def sums(url: str, work: Path, shard_bytes: int) -> tuple[dict[int, int], dict[str, int], dict[str, int]]:
    views: dict[int, int] = {}
    quoted: dict[str, int] = {}
    ledger: dict[str, int] = {}
    for shard in plan_shards((url,), shard_bytes):
        count_views(ViewsTask(shard, "en.wikipedia", str(work), False))
        with np.load(views_path(str(work), shard.number)) as arrays:
            for key, number in zip(arrays["keys"].tolist(), arrays["views"].tolist(), strict=True):
                views[key] = views.get(key, 0) + number
            note = json.loads(arrays["note"].tobytes())
        for total, part in ((quoted, note["quoted"]), (ledger, note["ledger"])):
            for name, number in part.items():
                total[name] = total.get(name, 0) + number
    return views, quoted, ledger


@pytest.mark.parametrize("shard_bytes", [7, 33, 100, 10_000])
@pytest.mark.parametrize("ending", ["", "\n"])
def test_every_row_counts_once_however_the_file_is_cut(tmp_path: Path, shard_bytes: int, ending: str) -> None:
    (tmp_path / "month").write_text("\n".join(ROWS) + ending, encoding="utf-8")
    views, quoted, ledger = sums(str(tmp_path / "month"), tmp_path, shard_bytes)
    assert views == {hash_text("Dog"): 13, hash_text("New York"): 10, hash_text("Café"): 2}
    assert quoted == {'"Heroes"': 8}
    assert ledger == {"rows": 10, "taken": 6, "of other projects": 3, "unreadable": 1}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "month.gz").write_bytes(gzip.compress("\n".join(ROWS * 50).encode())[:-30])
    with pytest.raises(CorruptInputError, match=r"month.gz: at byte"):
        sums(str(tmp_path / "month.gz"), tmp_path, 10_000)


@pytest.mark.parametrize(
    ("row", "title", "views"),
    [
        ("en Dog 600 0", "Dog", 600),
        ("en.m Dog 3 0", "Dog", 3),
        ("en.zero Dog 4 12345", "Dog", 4),
        ("en.z New_York 123 A1B2", "New York", 123),
        ("en.z Dog 5", "Dog", 5),
        ("en.b Dog 7 0", None, 0),
        ("en.m.b Dog 7 0", None, 0),
        ("english Dog 7 0", None, 0),
        ("en.wikipedia Caf%C3%A9_%26_bar%3f null desktop 6 A6", "Café & bar?", 6),
        ("en.wikipedia 100%_Dog 1 desktop 6 A6", "100% Dog", 6),
        ("en.wikipedia dog 1 desktop 6 A6", "Dog", 6),
        ("en.wikipedia école 1 desktop 6 A6", "École", 6),
        ("en жизнь 6 0", "Жизнь", 6),
        ("en ßx 6 0", "ßx", 6),
        ("en.wikipedia _New__York_ 1 desktop 6 A6", "New York", 6),
        ("en New_%20York%5F 6 0", "New York", 6),
        ("\ufeffen Dog 6 0", "Dog", 6),
        ("en.wikipedia %22Zeroes%22 2 desktop 6 A6", '"Zeroes"', 6),
    ],
)
def test_rows_of_every_kind_of_file_and_titles_as_mediawiki_writes_them(
    tmp_path: Path, row: str, title: str | None, views: int
) -> None:
    (tmp_path / "month").write_text(f"{row}\n", encoding="utf-8")
    found, _, ledger = sums(str(tmp_path / "month"), tmp_path, 10_000)
    assert found == ({hash_text(title): views} if title else {})
    assert ledger == {"rows": 1, "taken": int(bool(title)), "of other projects": int(not title)}


@pytest.mark.parametrize(
    "row",
    [
        "en.wikipedia Dog 1 desktop 99999999999999999999999 A9",
        "en Dog 99999999999999999999999 0",
        "en.z Dog -5 A1",
        "en Dog",
        "en Dog x 0",
        "en.wikipedia Dog 1 desktop",
    ],
)
def test_what_is_no_number_of_views_is_an_unreadable_row(tmp_path: Path, row: str) -> None:
    (tmp_path / "month").write_text(f"{row}\nen.wikipedia Dog 1 desktop 7 A7\n", encoding="utf-8")
    found, _, ledger = sums(str(tmp_path / "month"), tmp_path, 10_000)
    assert found == {hash_text("Dog"): 7}
    assert ledger == {"rows": 2, "taken": 1, "of other projects": 0, "unreadable": 1}
