"""A list made again, from inputs of which some are the same: what was counted is not counted again."""

import hashlib
from pathlib import Path

import pytest

import query_builder.build
from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.count.shard import ShardTask
from tests.query_builder.conftest import dump, page

VIEWS = "en.wikipedia Part_{} 1 desktop {} A1\n"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were counted, by name."""
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    names: list[str] = []

    def noting(function):  # type: ignore[no-untyped-def]
        def noted(task: ShardTask) -> int:
            names.append(Path(task.shard.url).name)
            return int(function(task))

        return noted

    for name in ("count_shard", "count_views"):
        monkeypatch.setattr(query_builder.build, name, noting(getattr(query_builder.build, name)))
    return names


def config(folder: Path, output: str, **changes: object) -> BuildConfig:
    dumps = tuple(sorted(str(path) for path in folder.glob("*.xml")))
    views = tuple(sorted(str(path) for path in folder.glob("*.views")))
    settings = {"min_word_count": 2, "min_bigram_count": 2, "min_pmi": 0.0, "size": 100, "workers": 1, **changes}
    return BuildConfig(dump=dumps, pageviews=views, output=str(folder / output), **settings)  # type: ignore[arg-type]


def write(folder: Path, number: int, text: str) -> None:
    (folder / f"{number}.xml").write_text(dump([page(f"Part {number}", text * 9)]))


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_files_that_changed_are_counted(
    tmp_path: Path, counted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        write(tmp_path, number, "Los Angeles. ")
        (tmp_path / f"{number}.views").write_text(VIEWS.format(number, 99))
    kept = {"keep_work": True, "work": str(tmp_path / "work")}
    build(config(tmp_path, "old.parquet", **kept))
    assert counted == ["1.xml", "2.xml", "1.views", "2.views"]
    counted.clear()
    write(tmp_path, 2, "Hong Kong. ")
    write(tmp_path, 0, "San Pedro. ")
    (tmp_path / "3.views").write_text(VIEWS.format(1, 7))
    capsys.readouterr()
    build(config(tmp_path, "new.parquet", **kept))
    assert counted == ["0.xml", "2.xml", "3.views"]
    assert "3 of 6 shards are counted already, for another list" in capsys.readouterr().out
    build(config(tmp_path, "fresh.parquet"))
    assert sha(tmp_path / "new.parquet") == sha(tmp_path / "fresh.parquet")
    assert sha(tmp_path / "new.candidates.parquet") == sha(tmp_path / "fresh.candidates.parquet")


def test_what_is_counted_differently_is_counted(tmp_path: Path, counted: list[str]) -> None:
    write(tmp_path, 1, "Los Angeles. ")
    (tmp_path / "1.views").write_text(VIEWS.format(1, 99))
    kept = {"keep_work": True, "work": str(tmp_path / "work")}
    for number, changes in enumerate(({}, {"all_sections": True}, {"on_corrupt": "skip"}, {"min_word_count": 3})):
        counted.clear()
        build(config(tmp_path, f"{number}.parquet", **kept, **changes))
        assert counted == ([] if "min_word_count" in changes else ["1.xml", "1.views"]), changes


def test_damage_in_what_another_list_left_is_seen(
    tmp_path: Path, counted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, 1, "Los Angeles. ")
    kept = {"keep_work": True, "work": str(tmp_path / "work")}
    build(config(tmp_path, "old.parquet", **kept))
    damaged = next(tmp_path.glob("work/*/shards/00000/part-0/forms.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    write(tmp_path, 2, "Hong Kong. ")
    counted.clear()
    build(config(tmp_path, "new.parquet", **kept))
    assert counted == ["1.xml", "2.xml"]
    assert "is damaged: it is counted anew" in capsys.readouterr().err
