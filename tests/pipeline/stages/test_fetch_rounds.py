"""Rounds of one fetch: they go on until nothing is open, with what was learnt of the hosts, and a host that was in
trouble is asked again."""

from collections import Counter
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.audit.outcome import NOTHING_LEFT
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, iter_batches, read_manifest
from tests.pipeline.stages.answering import Answering, serving

IMAGES = 24


class Server(ThreadingHTTPServer):
    """Pictures for every host of 127.x.y.z; ``busy``: the requests for pictures, by number, that get a 429."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)
        self.asked: list[tuple[str, str]] = []
        self.busy = range(0)
        self.pictures = 0


class _Handler(Answering):
    server: Server

    def do_GET(self) -> None:  # noqa: N802 (the name that the server calls)
        self.server.asked.append((self.headers["Host"].split(":")[0], self.path))
        status, body = 404, b""
        if self.path.endswith(".png"):
            self.server.pictures += 1
            status = 429 if self.server.pictures in self.server.busy else 200
            pixels = np.random.default_rng(abs(hash(self.path))).integers(0, 255, (9, 8, 3), dtype=np.uint8)
            stream = BytesIO()
            Image.fromarray(pixels).resize((72, 64)).save(stream, "PNG")
            body = stream.getvalue()
        self.answer(status, "image/png", body)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    with serving(running):
        yield running


def fetched(server: Server, folder: Path, hosts: int, *words: str, status: int = 0) -> Counter[str]:
    """The statuses of the images of a list, all of one to ``hosts`` hosts, by one fetch."""
    port = server.server_address[1]
    rows = [f"http://127.0.1.{1 + number % hosts}:{port}/{number}.png" for number in range(IMAGES)]
    lines = [f"{url},an owl seen on day {number}" for number, url in enumerate(rows)]
    (folder / "list.csv").write_text("\n".join(["url,caption", *lines]) + "\n")
    (folder / "queries.txt").write_text("owl\n")
    config = folder / "run.toml"
    config.write_text(
        f'queries = "{folder}/queries.txt"\n[extract]\nsource = "url_list"\ninputs = ["{folder}/list.csv"]\n'
        '[text]\ndetector = "off"\n[http]\nallow_loopback = true\n'
        "retries = 0\nbackoff = 0.0\nconcurrency_per_host = 1\n"
    )
    run = RunFolder(str(folder / "run"))
    for verb in ("extract", "curate"):
        assert main([verb, str(config), "--output", run.root]) == 0
    assert main(["fetch", str(config), "--output", run.root, *words]) == status
    assert is_complete(run.images) and not Path(run.path(".hosts-fetch")).exists()
    tables = [name for name in read_manifest(run.images).column("file").to_pylist() if name.endswith(".parquet")]
    statuses: Counter[str] = Counter()
    for batch in iter_batches(run.images, ["status"], tables):
        statuses.update(batch.column("status").to_pylist())
    return statuses


def test_rounds_go_on_in_one_command_and_other_processes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every round has new worker processes, which ask no policy file again."""
    words = ["--http.delay", "0.25", "--fetch.round-seconds", "0.6", "--workers", "2"]
    statuses = fetched(server, tmp_path, 2, *words)
    told = capsys.readouterr().err
    assert told.count("the next round") >= 2 and "0 image URLs" not in told
    assert statuses["success"] == IMAGES and statuses.keys() == {"success", "not_reached"}
    asked = Counter(server.asked)
    # One may have been under way when its round was over.
    assert sum(count for (_, path), count in asked.items() if path.endswith(".png")) <= IMAGES + 2 * told.count("round")
    policies = {count for (_, path), count in asked.items() if not path.endswith(".png")}
    assert policies == {1} and len(asked) == IMAGES + 2 * 3


def test_a_host_that_was_in_trouble_is_asked_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.busy = range(8, 11)
    statuses = fetched(server, tmp_path, 1, "--http.delay", "0", "--http.host-failures", "3")
    assert statuses == {"success": IMAGES - 3, "http_429": 3, "not_reached": IMAGES - 10}
    assert f"{IMAGES - 10} are open, most of 127.0.1.1: {IMAGES - 10}: the next round" in capsys.readouterr().err


def test_a_host_that_never_answers_is_given_up(server: Server, tmp_path: Path) -> None:
    server.busy = range(1, 1000)
    statuses = fetched(server, tmp_path, 1, "--http.delay", "0", "--http.host-failures", "3", status=NOTHING_LEFT)
    assert statuses == {"http_429": 3, "host_given_up": IMAGES - 3}


def test_what_was_refused_after_good_answers_is_given_up_in_the_next_round(server: Server, tmp_path: Path) -> None:
    """Two rounds, and no third: rounds that bring nothing would never end."""
    server.busy = range(8, 1000)
    statuses = fetched(server, tmp_path, 1, "--http.delay", "0", "--http.host-failures", "3")
    assert statuses == {"success": 7, "http_429": 6, "not_reached": IMAGES - 10, "host_given_up": IMAGES - 13}
