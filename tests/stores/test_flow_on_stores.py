"""The whole flow with its run folder, query list and inputs on an object store: the same bytes as on a disk, and no key
in them."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from pipeline.write.store import ImageReader
from tests.pipeline import small_site
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.small_job import Job, digests
from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import KEY, SECRET, Store
from webimagetext import files
from webimagetext.errors import UserError

pytestmark = QUIET
ROOT = Path(__file__).resolve().parents[2]


def put(url: str, content: bytes) -> str:
    with files.write_atomic(url) as stream:
        stream.write(content)
    return url


def command(store: Store, job: Job, *options: str) -> tuple[list[str], RunFolder]:
    """The words of a run with its configuration, query list and folder in a new bucket."""
    bucket = new_bucket(store)
    queries = put(f"{bucket}/queries.parquet", (job.folder / "queries.parquet").read_bytes())
    config = put(f"{bucket}/run.toml", job.config.read_bytes())
    store.asked.clear()
    run = RunFolder(f"{bucket}/runs/one")
    return ["run", config, "--output", run.root, "--queries", queries, *options], run


@pytest.mark.parametrize("store", ["s3", pytest.param("gs", marks=pytest.mark.slow)], indirect=True)
def test_the_same_bytes_as_first_and_no_key_in_them(
    store: Store, job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    words, run = command(store, job, "--workers", "1")
    assert main(words) == 0
    if store.scheme == "s3":
        # As many requests as files, not as samples. Each file is put once, but for the markers and the manifests that
        # grow.
        kinds, names = store.kinds(), {name for verb, name, _ in store.asked if verb == "put"}
        assert kinds["put"] < 1.2 * len(names) and kinds["get"] + kinds["head"] < 6 * len(names)
        assert kinds["begin upload"] == 0
        # The pictures of a shard lie close together here: one request for all, and one for the report.
        assert len(store.of("get", ".tar")) <= 2 * len({name for name in names if name.endswith(".tar")})
    assert digests(run) == digests(first)
    assert files.read(run.funnel) == Path(first.funnel).read_bytes()
    assert "data:image/jpeg;base64" in (files.read(run.report) or b"").decode()
    assert files.exists(run.card) and files.exists(run.croissant)
    said = "".join(capsys.readouterr())
    assert KEY not in said and SECRET not in said
    written = files.listing(f"{run.root}/**")
    assert len(written) > 80
    contents = [content for url in written if not files.is_folder(url) and (content := files.read(url))]
    assert not [content for content in contents if KEY.encode() in content or SECRET.encode() in content]
    # Again: nothing but the markers and what the reports are made of is read, nothing but the reports is written.
    store.asked.clear()
    assert main(words) == 0
    assert capsys.readouterr().err.count("finished before, skipped") == 8
    assert digests(run) == digests(first)
    put_ = "put" if store.scheme == "s3" else "begin upload"
    # The lock, config.toml, the four files of the report and their manifest.
    assert store.kinds()[put_] == 7
    removed = [name for verb, name, _ in store.asked if verb == "delete"]
    assert all(unquote(name).endswith("/.lock") for name in removed), removed


@pytest.mark.slow
def test_worker_processes_write_the_same(s3: Store, job: Job, first: RunFolder) -> None:
    words, run = command(s3, job)
    for verb, workers in (("extract", "1"), ("curate", "1"), ("fetch", "2"), ("package", "2")):
        assert main([verb, *words[1:], "--workers", workers]) == 0
    assert digests(run) == digests(first)


def test_pictures_are_read_by_range(store: Store, bucket: str) -> None:
    size, length, step = 48 << 20, 30_000, 1 << 20
    content = bytearray(size)
    places = [("part.tar", start, length) for start in range(512, size - length, step)]
    for number, (_, start, _) in enumerate(places):
        content[start : start + length] = bytes([number + 1]) * length
    near = [("part.tar", 40 << 20, 10), ("part.tar", (40 << 20) + 500, 10)]
    put(f"{bucket}/images/part.tar", bytes(content))
    store.asked.clear()
    with ImageReader(f"{bucket}/images") as reader:
        found = reader.read([*reversed(places), *near])
        assert found[: len(places)] == [bytes([number]) * length for number in range(len(places), 0, -1)]
        assert len(store.of("get", "part.tar")) <= len(places) + 1
        if store.scheme == "s3":
            assert sum(sent for _, _, sent in store.asked) < 1.1 * len(places) * length
        with pytest.raises(UserError, match="ends before byte"):
            reader.read([("part.tar", size - 5, 10)])
        with pytest.raises(UserError, match="it is missing"):
            reader.read([("other.tar", 0, 10)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["warc", "url_list"])
def test_inputs_from_a_store(s3: Store, job: Job, kind: str) -> None:
    bucket = new_bucket(s3)
    if kind == "warc":
        name, content = "site.warc.gz", b""
        for file in sorted((job.folder / "site").rglob("*")):
            if file.suffix in (".html", ".png"):
                media = "text/html" if file.suffix == ".html" else "image/png"
                url = f"http://shapes.example/{file.relative_to(job.folder / 'site')}"
                content += gzip.compress(warc_record("response", url, http_block(file.read_bytes(), media)))
    else:
        name = "list.csv"
        rows = [f"{job.site.url}images/{number:03}.png,{text}" for number, text in enumerate(small_site.CAPTIONS)]
        content = "\n".join(["URL,TEXT", *rows]).encode()
    made = []
    for place in (str(job.folder), bucket):
        put(f"{place}/{name}", content)
        put(f"{place}/blocked.txt", b"purple\n")  # the caption of the picture that is nowhere
        config = job.folder / f"{kind}.toml"
        config.write_text(
            f'queries = "{job.folder}/queries.parquet"\n'
            "[extract]\n"
            f'source = "{kind}"\n'
            f'inputs = ["{place}/*{name[4:]}"]\n'
            "[text]\n"
            'detector = "off"\n'
            f'blocked_words = "{place}/blocked.txt"\n'
            "[http]\n"
            "allow_loopback = true\n"
            "delay = 0.0\n"
            "[package]\n"
            "samples_per_shard = 6\n"
        )
        made.append(RunFolder(f"{place}/from-{kind}"))
        assert main(["run", str(config), "--output", made[-1].root]) == 0
    assert len(files.listing(f"{made[1].root}/shards/*.tar")) > 2
    assert manifest_digest(made[0].shards) == manifest_digest(made[1].shards)


@pytest.mark.slow
def test_killed_runs_are_taken_up_and_leave_nothing_half(s3: Store, job: Job, first: RunFolder, tmp_path: Path) -> None:
    """Killed while images arrive, then while a table, and then while a shard is written; each time the same command
    again."""
    words, run = command(s3, job, "--workers", "1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    running: list[subprocess.Popen[bytes]] = []

    def kill(*_: object) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running[-1].pid, signal.SIGKILL)
        return 503  # what it was sending is not stored

    def start() -> int:
        running.append(subprocess.Popen([sys.executable, "-m", "pipeline", *words], cwd=ROOT, env=environment))
        return running[-1].wait(120)

    pictures = [path for path in job.site.asked if path.startswith("/images/")]
    before = len(pictures)

    class Asked(list[str]):
        def append(self, path: str) -> None:
            super().append(path)
            if path.startswith("/images/") and len(self) - before > 12:
                kill()

    whole = job.site.asked
    job.site.asked = Asked(whole)
    assert start() == -signal.SIGKILL
    job.site.asked = whole
    for victim in ("selected/part-00000", "shards/00001.parquet"):
        files.remove(run.selected)  # so that its step is run again
        s3.before = lambda verb, name, victim=victim: kill() if verb == "put" and victim in name else None
        try:
            assert start() == -signal.SIGKILL
        finally:
            s3.before = lambda verb, name: None
        assert not [url for url in files.listing(f"{run.root}/**") if victim in url]
    put(f"{run.shards}/99999.parquet", b"the remains of something")
    assert start() == 0
    assert digests(run) == digests(first)
    assert [name for name in os.listdir(tmp_path / f"webimagetext-{os.getuid()}") if name.endswith(".spool")] == []


@pytest.mark.slow
def test_a_fresh_start_takes_the_marks_away_first(s3: Store, job: Job) -> None:
    words, run = command(s3, job, "--workers", "1")
    assert main(words) == 0
    deleted: list[list[str]] = []

    def before(verb: str, name: str) -> int | None:
        if verb == "delete":
            deleted.append(files.listing(f"{run.joined}/*"))
        return None

    s3.before = before
    try:
        assert main([*words, "--package.holdout", "0.3"]) == 0
    finally:
        s3.before = lambda verb, name: None
    joined = [{url.rsplit("/", 1)[1] for url in urls} for urls in deleted if urls]
    assert any("_SUCCESS" not in names and "_MANIFEST" in names for names in joined)
    assert not any("_SUCCESS" in names and "_MANIFEST" not in names for names in joined)
