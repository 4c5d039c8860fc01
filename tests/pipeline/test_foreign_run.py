"""A whole run, by the command line, on a list and a server full of what is in no encoding: it ends, and every row is
accounted for."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches
from query_builder.importing import import_to
from tests.pipeline.net.hostile_server import HostileServer
from tests.pipeline.net.strange_headers import STRANGE


def text_of(values: list[bytes]) -> pa.Array:
    """Bytes that claim to be text."""
    return pa.array(values, pa.binary()).view(pa.string())


def rows(folder: str) -> list[dict[str, object]]:
    return [row for batch in iter_batches(folder) for row in batch.to_pylist()]


def test_a_run_on_strange_rows_and_strange_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HostileServer(STRANGE) as server:
        urls = [(server.url + path).encode() for path in STRANGE]
        captions = [b"a dog number %d caf\xe9 \x00 \xf0\x9f\x90\x95" % number for number in range(len(urls))]
        urls += [b"\xff\xfe", b"http://\xff/", b"http://127.0.0.1/\x00.jpg"]
        captions += [b"a dog", b"a dog", b"\xff\xff"]
        table = pa.table(
            {"url": text_of(urls), "caption": text_of(captions), "page_url": text_of([b"\xe9"] * len(urls))}
        )
        pq.write_table(table, tmp_path / "list.parquet")
        lines = [json.dumps({"url": f"{server.url}/picture?{number}", "text": text}) for number, text in
                 enumerate(["a dog \ud800", ["no", "three dogs run"], 5, None, {"a": 1}])]  # fmt: skip
        (tmp_path / "more.jsonl").write_text("\n".join([*lines, "{broken", "[]"]))
        (tmp_path / "words.txt").write_text("dog\ndogs\n")
        import_to(str(tmp_path / "queries.parquet"), [str(tmp_path / "words.txt")])
        config = tmp_path / "run.toml"
        config.write_text(
            f'queries = "{tmp_path}/queries.parquet"\n[extract]\nsource = "url_list"\n'
            f'inputs = ["{tmp_path}/list.parquet", "{tmp_path}/more.jsonl"]\n'
            '[http]\ncontact = "https://example.org/bot"\nallow_loopback = true\n'
            "delay = 0.0\nretries = 0\nhost_failures = 1000\n"
            '[text]\ndetector = "off"\nfile_names = false\nmin_letter_share = 0.0\n[package.rules]\nmin_spread = 0.0\n'
        )
        assert main(["run", str(config), "--output", str(tmp_path / "run")]) == 0
    run = RunFolder(str(tmp_path / "run"))
    candidates, rejects = rows(run.candidates), rows(run.rejects("extract"))
    assert len(candidates) + len(rejects) == len(urls) + 7
    assert {str(row["caption"]).isprintable() for row in candidates} == {True}
    stored = {str(row["url"])[len(server.url) :]: row["status"] for row in rows(run.images)}
    assert set(STRANGE) < set(stored) and stored["/type"] == "wrong_type" and stored["/to-latin"] == "success"
    assert Path(tmp_path / "run" / "report.html").read_text(encoding="utf-8").count("caf�")
    assert "Traceback" not in capsys.readouterr().err
