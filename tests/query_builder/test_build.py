"""The whole build on a small dump: what comes out, that it is always the same, and what bad input does."""

import bz2
import gzip
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from query_builder.build import build
from query_builder.config import BuildConfig, DiffConfig, InspectConfig, ReportConfig
from query_builder.diff import compare, diff
from query_builder.explain import explain
from query_builder.inspect import inspect
from query_builder.lists import read_list
from query_builder.report import report
from query_builder.schema import QUERIES, read_metadata
from webimagetext.errors import UserError
from webimagetext.lock import locked
from webimagetext.temporary import temporary_name

VIEWS = (
    'en.wikipedia Mercury_(planet) 1 desktop 50 A50\nen.wikipedia Mercury_(planet) null mobile-web 7 A7\n'
    'en.wikipedia Mercury_(element) 2 desktop 20 A20\nen.wikipedia Hydrargyrum 3 desktop 9 A9\n'
    'en.wikipedia Quicksilver desktop 4 A4\nen.wikipedia "Story_1" 5 desktop 3 A3\n'
    'de.wikipedia Mercury_(planet) 1 desktop 99 A99\n'
    "en.wikipedia broken\n"
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path, small_dump: str, wordnet_folder: str, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    (tmp_path / "dump.xml.bz2").write_bytes(bz2.compress(small_dump.encode()))
    (tmp_path / "views.bz2").write_bytes(bz2.compress(VIEWS.encode()))
    return BuildConfig(
        dump=(str(tmp_path / "dump.xml.bz2"),),
        pageviews=(str(tmp_path / "views.bz2"),),
        wordnet=wordnet_folder,
        output=str(tmp_path / "queries.parquet"),
        size=1000,
        min_word_count=10,
        min_bigram_count=10,
        min_pmi=1.0,
        min_page_views=1,
        workers=1,
    )


def variant(config: BuildConfig, **changes: object) -> BuildConfig:
    return BuildConfig(**{**vars(config), **changes})  # type: ignore[arg-type]


def rows(path: str) -> dict[str, dict[str, object]]:
    return {row["query"]: row for row in read_list(path).to_pylist()}


def sha(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_every_source_gives_its_queries_and_numbers(config: BuildConfig) -> None:
    build(config)
    found = rows(config.output)
    assert read_list(config.output).schema.remove_metadata() == QUERIES
    assert [row["id"] for row in found.values()] == list(range(len(found)))
    assert list(found) == sorted(found)
    city = found["los angeles"]
    assert (city["surface"], city["bigram_count"], city["sources"]) == ("Los Angeles", 80, ["bigram"])
    assert "hidden" not in found
    assert "chatter" not in found
    assert (found["locomotive"]["word_count"], found["café"]["surface"]) == (40, "Café")
    assert "is a" not in found, "function words make no bigram"
    assert "city the" not in found, "a template stands between the two words"
    assert "pedro it" not in found, "a semicolon stands between the two words"
    mercury = found["mercury"]
    assert mercury["page_views"] == 50 + 7 + 20 + 9 + 4, "with the redirects, chained ones too"
    assert mercury["titles"] == ["Mercury (planet)", "Mercury (element)"]
    assert "title" in mercury["sources"]
    assert "quicksilver" not in found
    assert "list of planets" not in found
    assert found["story 1"]["page_views"] == 3, "the quotation marks only quoted the title"
    assert found["dog"]["synsets"] == ["dog.n.01", "dog.v.01"]
    assert (found["st louis"]["synsets"], found["galore"]["synsets"]) == (["st._louis.n.01"], ["galore.s.01"])
    assert found["harbour"]["sources"] == ["word", "synset"]
    assert not Path(f"{config.output}.work").exists()


def test_the_bytes_do_not_depend_on_packing_shards_workers_or_the_work_folder(
    config: BuildConfig, small_dump: str, tmp_path: Path
) -> None:
    build(config)
    expected, near = sha(config.output), sha(config.output.replace(".parquet", ".candidates.parquet"))
    for number, changes in enumerate(
        ({"shard_megabytes": 0.0005}, {"workers": 2, "shard_megabytes": 0.0005}, {"keep_work": True})
    ):
        again = variant(config, output=str(tmp_path / f"again-{number}.parquet"), **changes)
        build(again)
        assert sha(again.output) == expected
        assert sha(again.output.replace(".parquet", ".candidates.parquet")) == near
    data = small_dump.encode()
    streams = b"".join(bz2.compress(data[at : at + 3000]) for at in range(0, len(data), 3000))
    packings = {
        "a.xml": data,
        "a.gz": gzip.compress(data[:9000], mtime=0) + gzip.compress(data[9000:], mtime=0),
        "a.zst": zstandard.compress(data),
        "multistream.bz2": streams,
    }
    texts = read_list(config.output).to_pylist()
    for name, packed in packings.items():
        (tmp_path / name).write_bytes(packed)
        for size in (0.0, 0.0005):
            other = variant(
                config,
                dump=(str(tmp_path / name),),
                output=str(tmp_path / f"{name}-{size}.parquet"),
                shard_megabytes=size,
            )
            build(other)
            assert read_list(other.output).to_pylist() == texts, (name, size)


def test_several_files_and_fsspec_addresses_are_one_dump(config: BuildConfig, tmp_path: Path, small_dump: str) -> None:
    head, *pages = small_dump.split("  <page>")
    for number in range(2):
        part = head + "".join(f"  <page>{page}" for page in pages[number::2])
        (tmp_path / f"part{number}.xml").write_text(part.replace("</mediawiki>", "") + "</mediawiki>\n")
    build(config)
    split = variant(
        config,
        dump=(str(tmp_path / "part0.xml"), f"file://{tmp_path}/part1.xml"),
        output=str(tmp_path / "split.parquet"),
    )
    build(split)
    assert read_list(split.output).to_pylist() == read_list(config.output).to_pylist()


@pytest.mark.parametrize("name", ["queries.parquet", "queries.candidates.parquet"])
@pytest.mark.parametrize("fault", ["flip", "cut", "delete"])
def test_a_damaged_list_is_built_again(
    name: str, fault: str, config: BuildConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(config)
    path = tmp_path / name
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:half] + bytes([whole[half] ^ 2]) + whole[half + 1 :] if fault == "flip" else whole[:-9])
    if fault == "delete":
        path.unlink()
    if name == "queries.parquet" and fault != "delete":
        with pytest.raises(UserError, match="run the command that made it once more"):
            read_list(config.output)
    capsys.readouterr()
    build(config)
    assert "up to date" not in capsys.readouterr().out
    assert path.read_bytes() == whole


def test_a_second_build_has_nothing_to_do(config: BuildConfig, capsys: pytest.CaptureFixture[str]) -> None:
    build(config)
    before = os.stat(config.output).st_mtime_ns
    build(config)
    assert "up to date" in capsys.readouterr().out
    assert os.stat(config.output).st_mtime_ns == before
    build(variant(config, min_word_count=20))
    assert os.stat(config.output).st_mtime_ns != before


def test_inputs_are_known_by_what_they_hold(
    config: BuildConfig,
    small_dump: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Moved and touched they are the same; changed in the middle, with the same size and ends, they are not."""
    monkeypatch.setattr("query_builder.inputs.ENDS", 100)
    old, dump = tmp_path / "plain.xml", tmp_path / "moved.xml"
    old.write_text(small_dump)
    config = variant(config, dump=(str(old),), keep_work=True)
    build(config)
    made = os.stat(config.output).st_mtime_ns
    old.rename(dump)
    os.utime(dump, (1, 1))
    moved = variant(config, dump=(str(dump),))
    build(moved)
    assert "up to date" in capsys.readouterr().out and os.stat(config.output).st_mtime_ns == made
    word = max((query for query in rows(config.output) if query in small_dump and query.isalpha()), key=len)
    dump.write_text(small_dump.replace(word, "x" * len(word)))
    build(moved)
    assert "up to date" not in capsys.readouterr().out
    assert word not in rows(config.output) and "x" * len(word) in rows(config.output)


def test_budgets_and_size_are_kept(config: BuildConfig) -> None:
    small = variant(config, size=20, budget=("words=5", "bigrams=3", "titles=2", "synsets=10"))
    build(small)
    admitted = [row["admitted"] for row in rows(small.output).values()]
    assert len(admitted) == 20
    assert admitted.count("bigram") >= 3
    assert admitted.count("title") >= 2
    assert admitted.count("synset") == 5
    metadata = read_metadata(small.output)
    assert metadata is not None
    assert metadata["settings"]["budgets"]["words"] == 5
    assert metadata["inputs"][0]["sha256"] == sha(config.dump[0])


def test_the_published_rules_keep_their_errors(config: BuildConfig) -> None:
    old = variant(config, compat="metaclip")
    build(old)
    found = rows(old.output)
    assert "st" in found
    assert "synset" in found["st"]["sources"]
    assert "st louis" not in found
    assert all(str(number) in found for number in range(100))
    assert "Mercury (planet)" in found
    assert "" not in found


def test_inspect_tells_which_threshold_was_missed(config: BuildConfig, capsys: pytest.CaptureFixture[str]) -> None:
    build(config)
    assert any("80 occurrences" in line for line in explain(config.output, "LOS-Angeles"))
    assert any("below the threshold of 10" in line for line in explain(config.output, "planet"))
    assert any("not counted" in line for line in explain(config.output, "zyzzyva"))
    inspect(config.output, InspectConfig())
    assert "Los Angeles" in capsys.readouterr().out


def test_diff_and_report_show_what_changed(
    config: BuildConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(config)
    other = variant(config, output=str(tmp_path / "other.parquet"), min_bigram_count=41)
    build(other)
    changes = {change.source: change for change in compare(config.output, other.output)}
    assert "san pedro" in changes["bigram"].gone
    assert not changes["word"].gone
    diff(config.output, other.output, DiffConfig())
    assert "min_bigram_count: 10 -> 41" in capsys.readouterr().out
    report(config.output, ReportConfig(output=str(tmp_path / "page.html")))
    page = (tmp_path / "page.html").read_text()
    assert page.count("<polyline") == 3
    assert "http" not in page


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "empty"),
        (lambda text: "just some text", "not a Wikipedia dump"),
        (lambda text: text.split("  <page>")[0] + "</mediawiki>", "no article"),
        (lambda text: text[: len(text) // 2], "ends within a page"),
        (lambda text: text.replace("</mediawiki>", ""), "without </mediawiki>"),
        (lambda text: text.replace("  </page>", "", 1), "begins within another"),
        (lambda text: text.replace("<title>Story 3</title>", ""), "without a title"),
        (lambda text: text.replace("Number 3 of", "Number \udcff of"), "not valid UTF-8"),
    ],
)
def test_bad_input_is_named(config: BuildConfig, small_dump: str, tmp_path: Path, damage: object, message: str) -> None:
    path = tmp_path / "bad.xml"
    path.write_bytes(damage(small_dump).encode("utf-8", "surrogateescape"))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        build(variant(config, dump=(str(path),)))
    assert not Path(config.output).exists()


def test_damage_can_be_left_out_and_is_counted(
    config: BuildConfig, small_dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small_dump.encode()
    streams = [bz2.compress(data[at : at + 2000]) for at in range(0, len(data), 2000)]
    streams[4] = streams[4][:60] + bytes([streams[4][60] ^ 16]) + streams[4][61:]
    path = tmp_path / "bad.bz2"
    path.write_bytes(b"".join(streams))
    with pytest.raises(UserError, match=r"at byte [0-9,]+: this bz2 block is damaged"):
        build(variant(config, dump=(str(path),)))
    for size in (0.0, 0.0003):
        build(
            variant(
                config,
                dump=(str(path),),
                on_corrupt="skip",
                shard_megabytes=size,
                output=str(tmp_path / f"{size}.parquet"),
            )
        )
        assert "left out 1 damaged stretches" in capsys.readouterr().out
    assert sha(str(tmp_path / "0.0.parquet")) == sha(str(tmp_path / "0.0003.parquet"))
    assert 30 < int(rows(str(tmp_path / "0.0.parquet"))["locomotive"]["word_count"]) < 40  # type: ignore[call-overload]


def test_unusable_settings_are_refused(config: BuildConfig) -> None:
    with pytest.raises(UserError, match="no dump"):
        build(variant(config, dump=(), wordnet=None))
    with pytest.raises(UserError, match="budget"):
        build(variant(config, budget=("verbs=3",)))
    with pytest.raises(UserError, match="WordNet"):
        build(variant(config, wordnet="/nonexistent"))
    with pytest.raises(UserError, match="no such file"):
        build(variant(config, dump=("/nonexistent.bz2",)))


@pytest.fixture(scope="module")
def roomy(small_dump: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The command of a build of 20,000 words, but for its output, and the SHA-256 of what it makes where there is
    room."""
    folder = tmp_path_factory.mktemp("roomy")
    draw = random.Random(3)
    vocabulary = ["".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(20_000)]
    head, page, *_ = small_dump.split("  <page>")
    pages = (page.replace("</text>", " ".join(draw.choices(vocabulary, k=400)) + "</text>") for _ in range(500))
    dump = folder / "dump.xml"
    dump.write_text("  <page>".join([head, *pages]) + "</mediawiki>\n")
    options = ["--workers", "1", "--shard-megabytes", "0.5", "--min-word-count", "5", "--size", "90000"]
    command = shlex.join([sys.executable, "-m", "query_builder", "build", "--dump", str(dump), *options])
    build_all = f"{command} --output {folder}/q.parquet"
    subprocess.run(build_all, shell=True, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    return command, sha(str(folder / "q.parquet"))


# Full while counting, while merging words, while merging bigrams.
@pytest.mark.parametrize(
    "kilobytes", [1500, *(pytest.param(kilobytes, marks=pytest.mark.slow) for kilobytes in (600, 2100))]
)
def test_a_full_disk_is_named_and_the_build_goes_on_when_there_is_room(
    roomy: tuple[str, str], tmp_path: Path, kilobytes: int
) -> None:
    command, expected = roomy
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own (unshare -rm mount)")
    script = f"""mount -t tmpfs -o size={kilobytes}k none {disk}
        {command} --output {disk}/q.parquet; echo "status $?"
        mount -o remount,size=64m {disk}
        {command} --output {disk}/q.parquet && sha256sum < {disk}/q.parquet"""
    root = Path(__file__).parents[2]
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=root, capture_output=True, text=True)
    assert "status 2" in done.stdout, done.stderr
    assert f"no space left while writing {disk}" in done.stderr
    assert "Traceback" not in done.stderr
    assert expected in done.stdout


@pytest.mark.slow
def test_a_build_killed_at_ten_random_moments_gives_the_same_bytes(
    config: BuildConfig, small_dump: str, tmp_path: Path
) -> None:
    head, *pages = small_dump.removesuffix("</mediawiki>\n").split("  <page>")
    big = tmp_path / "big.xml"
    big.write_text(head + "".join(f"  <page>{page}" for page in pages) * 400 + "</mediawiki>\n")
    command = [
        sys.executable,
        "-m",
        "query_builder",
        "build",
        "--dump",
        str(big),
        "--workers",
        "2",
        "--shard-megabytes",
        "0.5",
    ]
    command += ["--min-word-count", "10", "--size", "500", "--wordnet", config.wordnet or ""]
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    root = Path(__file__).parents[2]
    began = time.monotonic()
    subprocess.run([*command, "--output", str(tmp_path / "whole.parquet")], cwd=root, env=environment, check=True)
    whole = time.monotonic() - began
    draw = random.Random(5)
    output = tmp_path / "killed.parquet"
    for _ in range(10):
        process = subprocess.Popen(
            [*command, "--output", str(output)], cwd=root, env=environment, start_new_session=True
        )
        time.sleep(draw.uniform(0.1, 0.9) * whole)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not output.exists() or pq.read_table(output).num_rows
    subprocess.run([*command, "--output", str(output)], cwd=root, env=environment, check=True)
    assert sha(str(output)) == sha(str(tmp_path / "whole.parquet"))


def test_what_a_kill_at_the_end_leaves_goes_with_the_same_command(config: BuildConfig) -> None:
    build(variant(config, keep_work=True))
    work, half = Path(f"{config.output}.work"), Path(temporary_name(config.output))
    build(variant(config, keep_work=True))  # up to date, and its work is kept
    assert work.is_dir()
    with locked(str(work), "`build`"):
        build(config)  # up to date, and another one is at work there
        assert work.is_dir()
    build(config)
    assert not work.exists()
    half.write_bytes(b"half")
    build(variant(config, min_word_count=11))
    assert not half.exists()


def test_real_page_views_rank_the_titles_of_a_real_dump(config: BuildConfig, shared_data: Path) -> None:
    folder = shared_data / "wikipedia" / "kwnlp" / "wikipedia-raw-20210701"
    real = variant(
        config,
        dump=tuple(sorted(map(str, (folder / "articlesdump").iterdir()))),
        pageviews=tuple(sorted(map(str, (folder / "pageviewcomplete").iterdir()))),
        size=5000,
    )
    build(real)
    found = rows(real.output)
    # The sum over 30 days of desktop, mobile web and app, counted with another program.
    assert found["frodo baggins"]["page_views"] == _views(folder, "Frodo_Baggins")
    assert found["frodo baggins"]["titles"] == ["Frodo Baggins"]


def _views(folder: Path, title: str) -> int:
    total = 0
    for path in (folder / "pageviewcomplete").iterdir():
        for line in bz2.decompress(path.read_bytes()).decode().splitlines():
            fields = line.split(" ")
            if fields[0] == "en.wikipedia" and fields[1] == title:
                total += int(fields[-2])
    return total


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, query_builder.cli, query_builder.config; "
        "print([m for m in ('numpy', 'numba', 'pyarrow', 'requests') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_another_wikipedia_works_by_its_code_and_its_own_names(
    config: BuildConfig, shared_data: Path, tmp_path: Path
) -> None:
    packed = shared_data / "wikipedia" / "gensim" / "bgwiki-latest-pages-articles-shortened.xml.bz2"
    with pytest.raises(UserError, match="UTF-16"):
        build(variant(config, dump=(str(_unpack(packed, tmp_path)),)))
    path = tmp_path / "bg.xml"
    path.write_text(_unpack(packed, tmp_path).read_text(encoding="utf-16"), encoding="utf-8")
    other = variant(config, dump=(str(path),), pageviews=(), wordnet=None, language="bg")
    build(other)
    found = rows(other.output)
    assert "на" in found
    assert not [query for query in found if "категория" in query.split() and len(query.split()) == 1]


def _unpack(path: Path, folder: Path) -> Path:
    target = folder / "unpacked.xml"
    target.write_bytes(bz2.decompress(path.read_bytes()))
    return target


def test_an_input_that_gives_nothing_stops_the_build(
    config: BuildConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(VIEWS.replace("en.wikipedia ", "en.wikibooks ").encode()))
    for pageviews in ((str(other),), (*config.pageviews, str(other))):
        with pytest.raises(UserError, match=r"other.gz: not one row of en.wikipedia"):
            build(variant(config, pageviews=pageviews))
        assert not Path(config.output).exists()
    build(variant(config, pageviews=(*config.pageviews, str(other)), on_corrupt="skip"))
    told = capsys.readouterr()
    assert "other.gz: not one row of en.wikipedia that can be read" in told.err
    assert "in 6 rows of en.wikipedia; 9 rows are of other projects" in told.out
    assert "left out 1 unreadable rows of page views" in told.out
    empty = tmp_path / "empty.xml"
    empty.write_text("<mediawiki>\n<siteinfo></siteinfo>\n</mediawiki>\n")
    with pytest.raises(UserError, match=r"empty.xml: not one page"):
        build(variant(config, dump=(*config.dump, str(empty))))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_cut_dump_stops_the_build(
    config: BuildConfig, small_dump: str, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "cut.packed"
    whole = pack(small_dump.encode())
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(UserError, match=r"cut.packed: at byte [0-9,]+: the file is cut off"):
        build(variant(config, dump=(str(path),)))
    assert not Path(config.output).exists()


def test_every_page_and_row_is_accounted_for(config: BuildConfig) -> None:
    build(config)
    totals = (read_metadata(config.output) or {})["totals"]
    kinds = ("articles", "redirects", "pages in other namespaces")
    assert [totals[kind] for kind in kinds] == [44, 4, 1] and totals["pages"] == 49
    kinds = ("taken", "of other projects", "unreadable")
    assert [totals[f"page views: {kind}"] for kind in kinds] == [6, 1, 1] and totals["page views: rows"] == 8


def test_what_is_not_accounted_for_is_an_error(config: BuildConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query_builder.build.PAGE_KINDS", ("articles", "redirects"))
    with pytest.raises(UserError, match=r"49 pages were read, and 48 are accounted for: this is a defect"):
        build(config)
    assert not Path(config.output).exists()
