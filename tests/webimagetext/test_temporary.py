"""What a killed program was writing is known by its name, and nothing else is."""

import os
from pathlib import Path

import pytest

from webimagetext import files
from webimagetext.temporary import final_name, remove_temporary, remove_temporary_of, temporary_name

OTHERS = ["a.tmp", "a.0123456789a.tmp", "a.0123456789ab.tmp.gz", "a.0123456789aB.tmp", "a0123456789ab.tmp", "_SUCCESS"]


def test_names() -> None:
    first, second = temporary_name("/x/a.pt"), temporary_name("/x/a.pt")
    assert first != second and Path(first).parent == Path("/x")
    assert final_name(first) == final_name(second) == "/x/a.pt"
    assert [final_name(name) for name in OTHERS] == OTHERS


def half_written(path: Path) -> Path:
    """Leaves a file behind as a killed program does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = Path(temporary_name(str(path)))
    found.write_bytes(b"half")
    return found


def test_what_is_being_written_has_such_a_name(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    with files.write_atomic(path) as stream:
        stream.write(b"half")
        (found,) = map(str, tmp_path.iterdir())
        assert final_name(found) == path != found
        remove_temporary_of([path])
        assert not os.listdir(tmp_path)
        Path(found).write_bytes(b"whole")
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_below_a_folder(tmp_path: Path) -> None:
    left = [half_written(tmp_path / name) for name in ("a.parquet", "b/c/_SUCCESS", "b/.hidden/d")]
    kept = [tmp_path / "b" / name for name in OTHERS]
    for path in kept:
        path.write_bytes(b"")
    remove_temporary(str(tmp_path))
    assert not any(path.exists() for path in left) and all(path.exists() for path in kept)
    remove_temporary(str(tmp_path / "nowhere"))


def test_of_some_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [half_written(tmp_path / "list.parquet"), half_written(tmp_path / "list.parquet")]
    others = [half_written(tmp_path / name) for name in ("other-list.parquet", "list.parquet.gz", "b/list.parquet")]
    (tmp_path / "list.parquet").write_bytes(b"whole")
    remove_temporary_of([str(tmp_path / "list.parquet"), str(tmp_path / "nowhere/x")])
    assert not any(path.exists() for path in mine) and all(path.exists() for path in others)
    assert (tmp_path / "list.parquet").read_bytes() == b"whole"
    monkeypatch.chdir(tmp_path)
    remove_temporary_of(["list.parquet.gz"])
    assert [path.exists() for path in others] == [True, False, True]
