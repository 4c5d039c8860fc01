"""The flow from a WARC file and from a list of URLs instead of a crawl."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.__main__ import main
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.small_site import CAPTIONS, build_site, serve


def write_queries(path: Path) -> None:
    names = ["circle", "square", "triangle"]
    ids = pa.array(range(3), pa.uint32())
    pq.write_table(pa.table({"query": names, "surface": names, "id": ids, "sources": [["synset"]] * 3}), path)


def funnel(run: Path) -> dict[str, dict[str, object]]:
    return {step["name"]: step for step in json.loads((run / "funnel.json").read_text())["steps"]}


def test_images_inside_an_archive_are_used_without_a_request(tmp_path: Path) -> None:
    build_site(tmp_path / "site")
    write_queries(tmp_path / "queries.parquet")
    with gzip.open(tmp_path / "site.warc.gz", "wb") as stream:
        for file in sorted((tmp_path / "site").rglob("*")):
            if file.suffix in (".html", ".png"):
                kind = "text/html" if file.suffix == ".html" else "image/png"
                url = f"http://shapes.example/{file.relative_to(tmp_path / 'site')}"
                stream.write(warc_record("response", url, http_block(file.read_bytes(), kind)))
    config = tmp_path / "run.toml"
    # Without a contact address any request to the public web would be refused: nothing may be asked.
    config.write_text(
        f'queries = "{tmp_path}/queries.parquet"\n'
        f'[extract]\nsource = "warc"\ninputs = ["{tmp_path}/*.warc.gz"]\n'
        f'[text]\ndetector = "off"\nblocked_words = "{tmp_path}/blocked.txt"\n'
    )
    (tmp_path / "blocked.txt").write_text("purple\n")  # the caption of the picture that is not in the archive
    assert main(["run", str(config), "--output", str(tmp_path / "run")]) == 0
    steps = funnel(tmp_path / "run")
    assert steps["fetch"]["rejects"] == {}
    # The page that robots.txt closes to a crawl is in the archive with a caption of its own.
    assert steps["package"]["rows_out"] == len(CAPTIONS) + 1
    assert all(step["unaccounted"] == 0 for step in steps.values())


def test_a_list_of_urls_is_fetched(tmp_path: Path) -> None:
    build_site(tmp_path / "site")
    write_queries(tmp_path / "queries.parquet")
    with serve(tmp_path / "site") as site:
        with open(tmp_path / "list.csv", "w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["URL", "TEXT"])
            rows.writerows([f"{site.url}images/{index:03}.png", caption] for index, caption in enumerate(CAPTIONS))
            rows.writerow(["file:///etc/passwd", "a red circle from this very machine"])
        config = tmp_path / "run.toml"
        config.write_text(
            f'queries = "{tmp_path}/queries.parquet"\n'
            f'[extract]\nsource = "url_list"\ninputs = ["{tmp_path}/list.csv"]\n'
            '[text]\ndetector = "off"\n[http]\nallow_loopback = true\ndelay = 0.0\n'
        )
        assert main(["run", str(config), "--output", str(tmp_path / "run")]) == 0
    steps = funnel(tmp_path / "run")
    assert steps["package"]["rows_out"] == len(CAPTIONS)
    assert all(step["unaccounted"] == 0 for step in steps.values())
