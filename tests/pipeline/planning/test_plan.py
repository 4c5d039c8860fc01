"""What a plan says comes true: of lists of which it sees a part, of archives, of crawls; and it asks nobody."""

import gzip
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in, samples_in
from pipeline.net.config import HostConfig, HttpConfig
from pipeline.planning.figure import Figure, figure_of
from pipeline.planning.hours import capped, chain_seconds
from pipeline.planning.rates import Rates
from pipeline.planning.sample import sample_inputs
from pipeline.planning.spots import cut, strata_of
from pipeline.read.config import ExtractConfig
from pipeline.read.url_list import read_url_list
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.read.publisher import Publisher
from tests.pipeline.small_archive import write_archive
from tests.pipeline.small_job import Job
from tests.pipeline.small_site import serve
from tests.pipeline.test_open_work import IMAGES, build

ANIMALS = ["owl", "fox", "newt", "stone nobody looks for"]
SHARES = [0.5, 0.2, 0.05, 0.25]


def planned(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["plan", *map(str, words), "--json", "-"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def holds(figure: dict[str, float], true: float, within: float = 0.0) -> bool:
    return figure["low"] - within * true <= true <= figure["high"] + within * true


def write_list(folder: Path, rows: int, form: str) -> Path:
    """A list, a third of it of one host, in no order; gives the configuration."""
    draw = np.random.default_rng(3)
    hosts = np.where(draw.random(rows) < 1 / 3, 0, draw.integers(1, 400, rows))
    animals = draw.choice(len(ANIMALS), rows, p=SHARES)
    urls = [f"http://h{host}.example/{number}.jpg" for number, host in enumerate(hosts)]
    texts = [f"the {ANIMALS[animal]} seen by us on day {number}" for number, animal in enumerate(animals)]
    path = folder / f"list{form}"
    if form == ".parquet":
        pq.write_table(pa.table({"URL": urls, "TEXT": texts}), path, row_group_size=rows // 7)
    elif form == ".jsonl":
        path.write_text("".join(json.dumps({"url": u, "text": t}) + "\n" for u, t in zip(urls, texts, strict=True)))
    else:
        lines = "".join(f"{url}\t{text}\n" for url, text in zip(urls, texts, strict=True))
        content = f"URL\tTEXT\n{lines}".encode()
        path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    (folder / "queries.txt").write_text("owl\nfox\nnewt\n")
    config = folder / "run.toml"
    config.write_text(
        f'queries = "{folder}/queries.txt"\n[extract]\nsource = "url_list"\ninputs = ["{path}"]\n'
        '[text]\ndetector = "off"\n[balance]\nt = 900\n'
    )
    return config


@pytest.mark.parametrize("form", [".tsv", ".parquet", ".jsonl", ".tsv.gz"])
def test_a_part_of_a_list_tells_of_all_of_it(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = 30_000
    config = write_list(tmp_path, rows, form)
    part = planned(capsys, config, "--sample", 6_000)
    whole = planned(capsys, config, "--sample", 10 * rows)
    assert 0.1 < part["pairs"]["share"] < 0.4 and whole["pairs"]["share"] == 1
    exact = whole["pairs"]
    assert exact["candidates"] == {"value": rows, "low": rows, "high": rows}
    assert exact["balanced"]["value"] == pytest.approx(2700, abs=1)  # three queries, each of more pairs than t
    for name in ("candidates", "passed", "matched", "balanced", "asked"):
        found, true = part["pairs"][name], exact[name]["value"]
        # Of a packed list the beginning alone is looked at, which tells less than places all over.
        assert holds(found, true, 0.05 if form.endswith("gz") else 0.01), name
        assert found["value"] == pytest.approx(true, rel=0.15)
    giant, others = next(iter(part["slowest"])), set(list(exact["hosts"])[1:])
    assert giant == "h0.example" and giant not in others
    assert holds(part["pairs"]["hosts"][giant], exact["hosts"][giant]["value"], 0.05)
    assert exact["hosts"][giant]["value"] == pytest.approx(900, rel=0.1)


def test_one_host_decides_the_end_whatever_the_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_list(tmp_path, 3_000, ".tsv")
    found = planned(capsys, config, "--http.delay", 60, "--workers", 1, 64, "--engines", "local")
    one, many = found["hours"]
    addresses, hours = found["slowest"]["h0.example"]
    assert hours == pytest.approx((addresses["value"] + 2) * 60 / 3600)  # behind three policy files
    assert one["fetch_bound"] == many["fetch_bound"] == "one host"
    assert many["fetch"] == pytest.approx(one["fetch"]) == pytest.approx(hours, rel=0.01)
    assert many["dollars"] > 60 * one["dollars"] > 0
    assert found["left_open"]["1.0"] == pytest.approx(addresses["value"] - 58, abs=0.1)
    fast = ["--http.delay", 0, "--http.concurrency-per-host", 64, "--workers", 1, "--engines", "local"]
    free = planned(capsys, config, *fast)
    assert free["hours"][0]["fetch_bound"] == "answers" and free["left_open"]["1.0"] == 0
    slow = planned(capsys, config, *fast, "--speeds.images", 1)
    assert slow["hours"][0]["fetch_bound"] == "processor"
    alive = 0.8 * (slow["pairs"]["asked"]["value"] + slow["topped_up"])
    assert slow["hours"][0]["fetch"] * 3600 == pytest.approx(alive / 2 + 2)  # two cores, and the start


def test_the_text_names_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_list(tmp_path, 3_000, ".tsv")
    rates = tmp_path / "rates.toml"
    rates.write_text("[assumed]\nalive = 0.5\n[prices]\ncore_hour = 1000.0\n")
    assert main(["plan", str(config), "--rates", str(rates), "--json", str(tmp_path / "plan.json")]) == 0
    told = capsys.readouterr().out
    assert "(50% of the addresses give one)" in told and "h0.example" in told and "dataflow, 64" in told
    found = json.loads((tmp_path / "plan.json").read_text())
    assert found["fetched"]["value"] == pytest.approx(found["pairs"]["balanced"]["value"] / 2)
    time = found["hours"][0]
    assert time["dollars"] == pytest.approx(time["hours"] * 2 * 1000, rel=1e-3)
    rates.write_text("[assumed]\nalife = 0.5\n")
    assert main(["plan", str(config), "--rates", str(rates)]) == 2
    assert "did you mean 'alive'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings",
    [
        ("--balance.mode", "capped", "--balance.t", 1000),
        ("--balance.wanted-total", 900),
        ("--balance.tail-share", 0.2),
        ("--balance.mode", "none"),
    ],
)
def test_every_balance_is_reckoned(
    tmp_path: Path, settings: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """As the run's own curation has it."""
    config = write_list(tmp_path, 3_000, ".tsv")
    found = planned(capsys, config, *settings)
    for verb in ("extract", "curate"):
        assert main([verb, str(config), "--output", str(tmp_path / "run"), *map(str, settings)]) == 0
    run = RunFolder(str(tmp_path / "run"))
    assert found["pairs"]["candidates"]["value"] == rows_in(run.candidates)
    assert found["pairs"]["matched"]["value"] == rows_in(run.matched)
    assert holds(found["pairs"]["balanced"], rows_in(run.selected), 0.001)


def test_a_plan_agrees_with_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(tmp_path / "site") as site:
        config = build(tmp_path, site.url)
        more = ["--assumed.alive", "1", "--assumed.kept", "1", "--http.delay", "0"]
        found = planned(capsys, config, *more)
        assert not site.asked
        assert main(["run", str(config), "--output", str(tmp_path / "run"), "--http.delay", "0"]) == 0
    run = RunFolder(str(tmp_path / "run"))
    requests = found["requests"]["value"] + found["policy_requests"]
    assert requests == pytest.approx(len(site.asked)) == IMAGES + 3
    assert found["pairs"]["balanced"]["value"] == pytest.approx(rows_in(run.selected))
    assert found["joined"]["value"] == pytest.approx(samples_in(run.shards))
    # Once there is a run, its candidates are what is looked at.
    again = planned(capsys, config, *more, "--output", run.root)
    assert again["pairs"]["candidates"]["value"] == pytest.approx(IMAGES)
    assert any("candidates: from" in note for note in again["notes"])


def test_pictures_of_an_archive_are_not_asked_for(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_archive(job.folder / "site", tmp_path / "site.warc.gz")
    words = ["--extract.source", "warc", "--extract.inputs", str(tmp_path / "site.warc.gz")]
    found = planned(capsys, job.config, *words)
    assert found["pairs"]["share"] == 1 and found["pairs"]["asked"]["value"] == 0 == found["policy_requests"]
    assert found["requests"]["value"] == 0 and found["stored"] > 0 == found["received"]
    run = job.run("of_archive", *words)
    assert found["pairs"]["candidates"]["value"] == rows_in(run.candidates)
    assert found["pairs"]["matched"]["value"] == rows_in(run.matched)
    assert found["fetched"]["value"] == pytest.approx(found["pairs"]["balanced"]["value"])
    cut = planned(capsys, job.config, *words, "--sample", 1)
    assert cut["pairs"]["share"] < 1 and holds(cut["pairs"]["candidates"], rows_in(run.candidates), 1.0)


@pytest.mark.parametrize("packed", [True, False])
def test_places_of_a_published_crawl_tell_of_all_its_files(packed: bool) -> None:
    """Read over HTTP, some of its files, and of these some of their records."""
    draw, name = np.random.default_rng(5), "CC-MAIN-2026-05"
    archives, pairs = {}, 0
    for number in range(60):
        records = []
        for page in range(draw.integers(20, 40)):
            shown = int(draw.integers(0, 9))
            pairs += shown
            body = "".join(f'<img src="/{page}/{n}.jpg" alt="an owl on day {n} of {page}">' for n in range(shown))
            filling = draw.bytes(int(draw.integers(100, 3000))).hex()
            page_record = http_block(f"<p>{filling}</p>{body}".encode())
            records.append(warc_record("response", f"http://h{number}.example/{page}.html", page_record))
        content = [gzip.compress(record) if packed else record for record in records]
        archives[f"/crawl-data/{name}/segments/1/{number}.warc{'.gz' if packed else ''}"] = b"".join(content)
    paths = "".join(f"{path[1:]}\n" for path in archives)
    publisher = Publisher({**archives, f"/crawl-data/{name}/warc.paths.gz": gzip.compress(paths.encode())})
    try:
        extract = ExtractConfig(source="warc", inputs=(name,), path_prefix=publisher.base)
        sample = sample_inputs(RunConfig(extract=extract), 5_000)
    finally:
        publisher.server.shutdown()
        publisher.server.server_close()
    assert 0.05 < sample.share < 0.8 and not sample.is_whole and sample.units == 60
    # Which files and records are read is drawn by the publisher's address: within five deviations, of 0.02 and 0.03.
    assert sample.bytes == pytest.approx(sum(map(len, archives.values())), rel=0.1)
    assert sample.weights().sum() == pytest.approx(pairs, rel=0.18)
    assert sample.weights(3).sum() == pytest.approx(pairs, rel=0.18)
    assert sample.weights(3).sum() != sample.weights().sum()
    assert (sample.weights(3)[sample.group == 3] == 0).all() and (sample.group == 3).any()


def test_a_crawl_is_bounded_by_its_settings(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(job.site.asked)
    words = [job.config, "--http.delay", 2, "--extract.max-pages", 900, "--extract.max-pages-per-host", 400]
    found = planned(capsys, *words)
    assert found["pairs"] is None and found["crawl"]["most_pages"] == 900 and found["crawl"]["rounds"] == 0
    assert found["crawl"]["most"] == found["crawl"]["least"] == (400 + 2) * 2
    assert found["requests"]["value"] == 900 and found["policy_requests"] == 3
    assert main(["plan", *map(str, words)]) == 0
    assert "cannot be known before" in capsys.readouterr().out
    assert len(job.site.asked) == before


def test_a_crawl_that_is_done_tells_of_its_pairs(
    job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(job.site.asked)
    found = planned(capsys, job.config, "--output", first.root)
    crawl = found["crawl"]
    assert crawl["is_whole"] and crawl["goes_on"] and crawl["rounds"] >= 2 and found["requests"]["value"] > 0
    assert found["pairs"]["candidates"]["value"] == rows_in(first.candidates)
    assert found["pairs"]["matched"]["value"] == rows_in(first.matched)
    drawn = found["pairs"]["balanced"]
    assert abs(drawn["value"] - rows_in(first.selected)) < 2.5 * (drawn["high"] - drawn["value"])  # five deviations
    # With other settings the crawl begins anew; what it found tells what pages are like.
    other = planned(capsys, job.config, "--output", first.root, "--extract.max-pages", 80)
    assert not other["crawl"]["goes_on"] and not other["crawl"]["is_whole"] and other["requests"]["value"] > 80
    grown = 80 / crawl["asked"]
    assert other["pairs"]["candidates"]["value"] == pytest.approx(rows_in(first.candidates) * grown, rel=0.01)
    assert len(job.site.asked) == before


def test_a_reader_of_ones_own_is_refused_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_list(tmp_path, 100, ".tsv")
    assert main(["plan", str(config), "--extract.reader", "json:loads"]) == 2
    assert "pipeline extract" in capsys.readouterr().err


def test_a_list_of_nothing_usable_gives_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_list(tmp_path, 100, ".tsv")
    (tmp_path / "list.tsv").write_text("URL\tTEXT\nno address\tan owl seen by us\n")
    found = planned(capsys, config)
    assert found["pairs"]["candidates"]["value"] == 0 == found["joined"]["value"] and found["slowest"] == {}
    assert main(["plan", str(config)]) == 0
    (tmp_path / "list.tsv").write_text("a\tb\n1\t2\n")
    assert main(["plan", str(config)]) == 2
    assert f"{tmp_path}/list.tsv: no column holds" in capsys.readouterr().err


def test_the_time_of_a_host() -> None:
    http = HttpConfig(delay=2.0, hosts=(HostConfig("slow.example", 10.0, 1),), binding_signals=("robots_txt",))
    assert chain_seconds("a.example", 100, http, Rates()) == 200  # and one policy file in front
    assert chain_seconds("slow.example", 100, http, Rates()) == 1000
    free = HttpConfig(delay=0.0)
    assert chain_seconds("a.example", 100, free, Rates()) == pytest.approx(100 * 0.28 / 2)
    hosts = {"a.example": Figure(100, 90, 110), "slow.example": Figure(30, 0, 40)}
    assert capped(hosts, 100.0, http) == (100 - 50) + (30 - 10)
    assert capped(hosts, 1000.0, http) == 0 == capped(hosts, 1.0, free)


def test_the_interval_is_that_of_the_jackknife() -> None:
    """For a mean the jackknife is the mean's own standard error."""
    values = np.array([3.0, 5, 9, 1, 4, 4, 8, 2, 6, 7])
    parts = [float(np.delete(values, place).mean()) for place in range(10)]
    error = values.std(ddof=1) / np.sqrt(10)
    found = figure_of(values.mean(), parts, 0.0)
    assert found.high - found.value == pytest.approx(2.262 * error) == found.value - found.low
    assert Figure(10.0, 7.0, 13.0).widened(4.0) == Figure(10.0, 5.0, 15.0)
    assert figure_of(5.0, [], 1.0) == Figure(5.0, 5.0, 5.0)
    assert figure_of(5.0, parts, 1.0) == Figure(5.0, 5.0, 5.0)
    assert figure_of(5.0, parts, 0.5, least=4.0) == Figure(5.0, 1.0, 9.0)


@pytest.mark.parametrize("seed", range(20))
def test_places_of_a_list_hold_whole_lines_and_each_at_most_once(seed: int) -> None:
    draw = np.random.default_rng(seed)
    lengths, rows = draw.integers(1, 60, draw.integers(30, 200)).tolist(), int(draw.integers(1, 50))
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"http://a.example/{number:05}.jpg\t{'word ' * length}\n" for number, length in enumerate(lengths)]
        paths = []
        for half in (0, 1):
            path = Path(folder) / f"{half}.tsv"
            path.write_text("url\tcaption\n" + "".join(lines[half::2]))
            paths.append(str(path))
        [stratum] = strata_of(paths, rows, archives=False)
        assert stratum.bytes == sum(Path(path).stat().st_size for path in paths)
        found, looked = [], 0.0
        for spot in stratum.spots:
            made, stands_for = cut(spot, folder, ExtractConfig(source="url_list"))
            looked += stands_for
            for piece in read_url_list(made, ExtractConfig(source="url_list")):
                assert piece.rejects.num_rows == 0
                found += piece.candidates.column("url").to_pylist()
        assert looked <= stratum.bytes
        if looked == stratum.bytes and all(spot.is_whole for spot in stratum.spots):
            assert len(found) == len(lengths)
        spots = sorted((spot.path, spot.start, spot.stop) for spot in stratum.spots)
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spots))
        assert len(found) == len(set(found))
