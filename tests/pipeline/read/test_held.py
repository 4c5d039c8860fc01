"""What an archive answers for wanted images that it has no picture of under their very address."""

import pyarrow as pa
import pytest

from pipeline.dedup.earlier import by_address
from pipeline.read.held import HELD, answers, by_target, held_table, redirected, redirects
from pipeline.read.tables import Held
from pipeline.tables.schema import IMAGES


def images(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=IMAGES)


def wanted(*urls: str) -> pa.Table:
    return pa.table({"url": pa.array(urls, pa.string())})


def test_a_reason_for_each_address_that_has_no_picture() -> None:
    held = held_table(
        [Held("http://h/b", "wrong_type"), Held("http://h/a", "revisit", "said"), Held("http://h/z", "x")]
    )
    found = answers(wanted("http://h/b", "http://h/a", "http://h/c", "http://h/a"), held, images(), images())
    assert found.schema == IMAGES
    rows = [(row["url"], row["status"], row["error_message"]) for row in found.to_pylist()]
    assert rows == [("http://h/a", "revisit", "said"), ("http://h/b", "wrong_type", None)]


def test_a_picture_under_another_spelling_is_taken_before_a_reason() -> None:
    picture = {"url": "http://H:80/a.png", "status": "success", "file": "p.tar", "offset": 512, "length": 9}
    failed = {"url": "http://h/f", "status": "not_an_image"}
    held = held_table([Held("http://h/a.png", "http_301"), Held("http://h/f", "revisit")])
    found = answers(
        wanted("http://h/a.png", "http://h/f", "http://H:80/a.png"), held, images(picture, failed), images()
    )
    (row,) = found.to_pylist()  # what the store has under its own address is left as it is
    assert (row["url"], row["status"], row["file"], row["offset"]) == ("http://h/a.png", "success", "p.tar", 512)
    assert by_address(wanted("http://H:80/a.png").to_batches()[0]) == by_address(
        wanted("http://h/a.png").to_batches()[0]
    )


def test_a_redirect_leads_to_the_picture_that_the_archive_has() -> None:
    picture = {"url": "http://h/b.png", "status": "success", "file": "p.tar", "offset": 512, "length": 9}
    held = held_table(
        [
            Held("http://h/a.png", "http_302", "http://H:80/b.png"),
            Held("http://h/lost.png", "http_301", "http://h/none.png"),
            Held("http://h/no-redirect.png", "http_404", "http://h/b.png"),
            Held("http://h/silent.png", "http_301", ""),
        ]
    )
    found = redirected(held, images(picture, {"url": "http://h/none.png", "status": "not_an_image"}))
    assert [(row["url"], row["file"]) for row in found.to_pylist()] == [("http://h/a.png", "p.tar")]
    (batch,) = redirects(held.to_batches()[0])
    assert batch.column("url").to_pylist() == ["http://h/a.png", "http://h/lost.png"]
    assert by_target(batch)[0] == by_address(wanted("http://h/b.png").to_batches()[0])[0]
    (row, other) = answers(wanted("http://h/a.png", "http://h/lost.png"), held, images(picture), found).to_pylist()
    assert (row["url"], row["status"]) == ("http://h/a.png", "success") and other["status"] == "http_301"


@pytest.mark.parametrize("order", [1, -1])
def test_the_same_reason_whatever_the_order(order: int) -> None:
    held = held_table([Held("http://h/a", "revisit"), Held("http://h/a", "http_404")][::order])
    assert held.schema == HELD and held.num_rows == 2
    assert answers(wanted("http://h/a"), held, images(), images()).column("status").to_pylist() == ["http_404"]


def test_what_a_broken_record_names_can_be_stored() -> None:
    table = held_table([Held("", "broken_record"), Held("http://h/\udc80", "revisit")])
    assert table.column("url").to_pylist() == ["http://h/�"]
