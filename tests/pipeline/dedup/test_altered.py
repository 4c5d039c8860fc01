"""Altered copies are found and nothing else is, whatever way round, and the join by keys loses none of them."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.dedup.altered import OWN, AlteredIndex, _cosines, is_proof, pixels_of, proved, views_of
from pipeline.dedup.copies import (
    COPIES,
    PROPOSED,
    SKETCHED,
    VIEWS,
    copies,
    links_of_copies,
    proposed,
    sketched,
    verdicts_of_copies,
    views,
    with_sketches,
)
from pipeline.dedup.pictures import NEAR, NEAR_EARLIER
from pipeline.image.hashes import sketch, sketch_text
from tests.pipeline.dedup.altered_pictures import ALTERATIONS, photograph

COUNT = 40


def text_of(picture: Image.Image) -> str:
    return sketch_text(sketch(picture.convert("L")))


def sketches(pictures: list[Image.Image]) -> np.ndarray:
    return pixels_of(pa.array([text_of(picture) for picture in pictures]))[0]


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    return [photograph(number) for number in range(COUNT)]


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_is_found_among_others(name: str, originals: list[Image.Image]) -> None:
    altered = [ALTERATIONS[name](picture) for picture in originals]
    for held, asked in ((originals, altered), (altered, originals)):  # also the whole picture of a part
        found = AlteredIndex(sketches(held)).find(sketches(asked))
        right = found == np.arange(COUNT)
        assert right.mean() >= 0.9
        assert (found[~right] == -1).all()


def test_other_pictures_are_not_found(originals: list[Image.Image]) -> None:
    others = sketches([photograph(1000 + number) for number in range(COUNT)])
    assert (AlteredIndex(sketches(originals)).find(others) == -1).all()


def test_a_picture_with_the_same_shapes_but_other_detail_is_not_found(originals: list[Image.Image]) -> None:
    fine = [Image.blend(picture, photograph(2000), 0.5) for picture in originals[:10]]
    assert (AlteredIndex(sketches(originals[:10])).find(sketches(fine)) == -1).sum() >= 8


def test_a_picture_that_is_alike_in_part_is_not_proved(originals: list[Image.Image]) -> None:
    """The same low frequencies, so equal keys, and the finer half of another picture."""
    agreements = []
    for number, picture in enumerate(sketches(originals[:10])):
        other = sketches([photograph(3000 + number)])[0]
        axis = _cosines(1.0, 0.0, 32) * np.sqrt(np.where(np.arange(32) > 0, 64.0, 32.0))[:, None]
        ours, theirs = axis @ picture @ axis.T, axis @ other @ axis.T
        ours[12:], ours[:, 12:] = theirs[12:], theirs[:, 12:]
        mixed = axis.T @ ours @ axis / 1024
        agreements.append(proved(mixed[None], picture[None], np.zeros(1, np.int64))[0])
    assert min(agreements) > 0.4 and not is_proof(np.array(agreements)).any()
    assert is_proof(np.array([0.81, 0.83])).tolist() == [False, True]


def test_an_own_view_meets_the_nearest_of_this_run_and_of_an_earlier_one() -> None:
    def row(content: int, code: int, window: int, earlier: bool) -> dict[str, int | bool]:
        return {
            "key": 1,
            "code": code,
            "window": window,
            "content": content,
            "pixels": 100 - content,
            "earlier": earlier,
        }

    owns = [row(content, 0, OWN, False) for content in (1, 2, 3)]
    windows = [
        row(content, code, 0, earlier) for content, code, earlier in ((4, 1, False), (5, 1, False), (6, 3, True))
    ]
    far = [row(7, 2**21 - 1, 0, False)]
    found = proposed(pa.Table.from_pylist([*owns, *windows, *far], VIEWS))
    pairs = set(zip(found["whole_content"].to_pylist(), found["other_content"].to_pylist(), strict=True))
    assert pairs == {(1, 4), (2, 4), (3, 4), (1, 6), (2, 6), (3, 6)}
    edge = proposed(pa.Table.from_pylist([row(1, 0, OWN, False), row(7, 2**20 - 1, 0, False)], VIEWS))
    assert edge.num_rows == 1


def test_blank_pictures_are_like_nothing() -> None:
    blank = sketches([Image.new("RGB", (99, 80), (level, level, level)) for level in (0, 200, 255)])
    assert views_of(blank).plain.all()
    assert (AlteredIndex(blank).find(blank) == -1).all()
    assert views(sketched_of([Image.new("L", (99, 80), 3)], [1])).num_rows == 0


def test_the_own_view_is_the_window_of_the_whole(originals: list[Image.Image]) -> None:
    found = views_of(sketches(originals))
    assert (found.own_keys[:, 0] == found.keys[:, 0]).all() and (found.own_codes == found.codes[:, 0]).all()
    assert len(np.unique(found.own_keys[0])) == 64
    mirrored = views_of(np.ascontiguousarray(sketches(originals)[:, :, ::-1]))
    assert (mirrored.keys[:, 36] == found.keys[:, 0]).all() and (mirrored.codes[:, 36] == found.codes[:, 0]).all()


def test_what_is_no_sketch_is_passed_over() -> None:
    texts = pa.array([None, "", "????", "Zm9v", "é", "A", text_of(photograph(1))])
    pixels, rows = pixels_of(texts)
    assert rows.tolist() == [6] and pixels.shape == (1, 32, 32)


def sketched_of(pictures: list[Image.Image], contents: list[int], earlier: bool = False) -> pa.RecordBatch:
    rows = {
        "sha256": [f"{content:064x}" for content in (content << 192 for content in contents)],
        "sketch": [text_of(picture) for picture in pictures],
        "original_width": pa.array([picture.width for picture in pictures], pa.int32()),
        "original_height": pa.array([picture.height for picture in pictures], pa.int32()),
    }
    return sketched(pa.RecordBatch.from_pydict(rows), earlier)


def joined(pictures: pa.Table, parts: int) -> pa.Table:
    """Copies as the stage finds them, its shuffles by hand: groups of keys, then of one side, then of the other."""
    rows = pa.Table.from_batches([views(batch) for batch in pictures.to_batches()], VIEWS)
    shuffled = rows.take(pa.array(np.random.default_rng(parts).permutation(rows.num_rows)))
    of_part = pa.array(shuffled["key"].to_numpy() % np.uint64(parts))
    groups = [proposed(shuffled.filter(pa.compute.equal(of_part, part))) for part in range(parts)]
    pairs = pa.Table.from_batches(groups, PROPOSED)
    with_text = pa.Table.from_batches([with_sketches(pairs, pictures)], PROPOSED)
    return pa.Table.from_batches([copies(with_text, pictures)], COPIES)


def pairs_in(table: pa.Table) -> set[frozenset[int]]:
    sides = (table[f"{side}_content"].to_pylist() for side in ("whole", "other"))
    return {frozenset(pair) for pair in zip(*sides, strict=True)}


def test_the_join_finds_what_comparing_with_each_finds(originals: list[Image.Image]) -> None:
    altered = [alter(originals[number]) for number, alter in enumerate(ALTERATIONS.values())]
    both = [*originals[:12], *altered]
    pictures = pa.Table.from_batches([sketched_of(both, list(range(1, len(both) + 1)))], SKETCHED)
    expected = {frozenset((number + 1, number + 13)) for number in range(len(altered))}
    found = joined(pictures, 1)
    assert pairs_in(found) == expected
    assert pairs_in(joined(pictures, 7)) == expected


def test_many_copies_of_one_picture_meet_their_best_one_and_not_each_other(originals: list[Image.Image]) -> None:
    sizes = [(240 + number, 180) for number in range(30)]
    batch = sketched_of([originals[0]] * 30, list(range(1, 31)))
    pixels = pa.array([width * height for width, height in sizes])
    pictures = pa.Table.from_batches([batch.set_column(1, SKETCHED.field("pixels"), pixels)], SKETCHED)
    rows = pa.Table.from_batches([views(pictures.combine_chunks().to_batches()[0])], VIEWS)
    assert proposed(rows).num_rows < 3 * 30
    goes = verdicts_of_copies(joined(pictures, 3).combine_chunks().to_batches()[0])
    assert set(goes["content"].to_pylist()) == set(range(1, 30))
    assert 30 in goes["keeper"].to_pylist() and 30 not in goes["content"].to_pylist()


def pair(whole: tuple[int, int, bool], other: tuple[int, int, bool]) -> dict[str, int | bool]:
    names = ("content", "pixels", "earlier")
    return {
        f"{side}_{name}": value
        for side, row in (("whole", whole), ("other", other))
        for name, value in zip(names, row, strict=True)
    }


def test_the_better_picture_stays_and_that_of_an_earlier_run() -> None:
    rows = [
        pair((1, 50, False), (2, 60, False)),
        pair((3, 60, False), (4, 60, False)),
        pair((6, 60, False), (5, 60, False)),
        pair((7, 10, True), (8, 60, False)),
        pair((9, 60, False), (10, 10, True)),
        pair((11, 60, True), (12, 10, True)),
    ]
    found = verdicts_of_copies(pa.RecordBatch.from_pylist(rows, COPIES)).to_pylist()
    told = {row["content"]: (row["keeper"], row["reason"], row["rank"]) for row in found}
    assert told == {
        1: (2, NEAR, -60),
        4: (3, NEAR, -60),
        6: (5, NEAR, -60),
        8: (7, NEAR_EARLIER, -10),
        9: (10, NEAR_EARLIER, -10),
    }


def test_links_of_the_hold_out() -> None:
    rows = [
        pair((1, 1, True), (2, 1, True)),
        pair((3, 1, True), (4, 1, False)),
        pair((5, 1, False), (6, 1, True)),
        pair((7, 1, False), (8, 1, False)),
    ]
    found = links_of_copies(pa.RecordBatch.from_pylist(rows, COPIES)).to_pylist()
    assert [tuple(row.values()) for row in found] == [(1, 2, False), (3, 3, True), (6, 6, True)]


def test_pictures_of_an_earlier_version_have_no_sketch() -> None:
    batch = pa.RecordBatch.from_pydict({"sha256": ["0" * 64], "phash": pa.array([1], pa.uint64())})
    assert sketched(batch, True).num_rows == 0


def test_an_own_view_is_told_under_its_weakest_bits(originals: list[Image.Image]) -> None:
    rows = views(sketched_of(originals[:3], [1, 2, 3]))
    own = [number == OWN for number in rows["window"].to_pylist()]
    assert sum(own) == 3 * 64 and len(own) == 3 * 136
