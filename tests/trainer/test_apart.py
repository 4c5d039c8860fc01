"""How far evaluated pictures are from those trained on: by hashes alone, from tables and tars; the command tells it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.evaluate.__main__ import main as evaluate
from trainer.evaluate.apart import apart, hashes_in, hashes_of, render
from webimagetext.errors import UserError


def test_distances_are_those_of_comparing_all() -> None:
    generator = np.random.default_rng(3)
    trained = generator.integers(0, 2**64, 500, dtype=np.uint64)
    evaluated = np.concatenate(
        [trained[:7], trained[:5] ^ np.uint64(0b1111), generator.integers(0, 2**64, 60, np.uint64)]
    )
    evaluated = np.concatenate([evaluated, evaluated[:3], trained[9:10] ^ np.uint64(0b11111)])
    least = [min(int(ours ^ theirs).bit_count() for theirs in trained) for ours in evaluated]
    figures = apart(evaluated, trained, 2)
    assert figures["least_distances"] == {str(bits): least.count(bits) for bits in sorted(set(least))}
    assert (figures["near"], figures["pictures"], figures["without_hash"]) == (15, 76, 2)
    assert figures["near_share"] == 15 / 76
    assert figures["median_distance"] == sorted(least)[37]
    said = render(figures)
    assert "15 of 76 pictures (19.7 %) are near one of 500 trained on (within 4 bits of 64), 2 have no hash" in said
    assert "0: 10, 1 to 4: 5, 5 to 8: 1," in said


def test_without_hashes_nothing_is_claimed() -> None:
    nothing = apart(np.zeros(0, np.uint64), np.array([1], np.uint64), 5)
    assert nothing["near_share"] is None and "not known" in render(nothing)
    assert "not known" in render(apart(np.array([1], np.uint64), np.zeros(0, np.uint64), 0))


def test_only_hashes_count_as_such() -> None:
    found = hashes_of(["0000000000000010", None, "", "xyz", 7, "ffffffffffffffff", "00000000000000100"])
    assert found.tolist() == [16, 2**64 - 1]


def test_hashes_come_from_the_table_beside_else_from_the_tar(
    tmp_path: Path, make_shards: Callable, make_pairs: Callable
) -> None:
    pairs = make_pairs(8)
    for number, (_, _, _, metadata) in enumerate(pairs):
        metadata["phash"] = f"{number:016x}"
    make_shards(tmp_path, pairs, 4)
    pq.write_table(pa.table({"phash": [f"{100 + number:016x}" for number in range(4)]}), tmp_path / "00001.parquet")
    hashes, total = hashes_in([f"{tmp_path}/*.tar"])
    assert total == 8
    assert sorted(hashes.tolist()) == [0, 1, 2, 3, 100, 101, 102, 103]
    (tmp_path / "00001.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(UserError, match=r"00001\.parquet: is damaged"):
        hashes_in([f"{tmp_path}/*.tar"])


def test_the_command_says_how_far_apart(
    trained: tuple[list[str], Path],
    tmp_path: Path,
    make_shards: Callable,
    make_pairs: Callable,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sides = {"trained": make_pairs(6), "held": make_pairs(6, seed=1)}
    for side, pairs in sides.items():
        for number, (_, _, _, metadata) in enumerate(pairs):
            metadata["phash"] = f"{(number << 20) if side == 'trained' or number < 2 else (2**64 - 1 - number):016x}"
        make_shards(tmp_path / side, pairs, 6)
    words = ["retrieval", "--checkpoint", str(trained[1]), "--data", f"{tmp_path}/held/*.tar", "--device", "cpu"]
    output = str(tmp_path / "r.json")
    assert evaluate([*words, "--train-data", f"{tmp_path}/trained/*.tar", "--output", output]) == 0
    assert "2 of 6 pictures (33.3 %) are near one of 6 trained on" in capsys.readouterr().out
    assert json.loads(Path(output).read_text())["apart"]["least_distances"]["0"] == 2
    # By itself it looks at the shards that the checkpoint names, which have no hashes here.
    assert evaluate(words) == 0
    assert "is not known: no hashes" in capsys.readouterr().out
