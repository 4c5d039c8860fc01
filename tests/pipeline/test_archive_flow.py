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


def archive_job(folder: Path) -> Path:
    """An archive of the small site with its pictures, and the configuration of a run on it."""
    build_site(folder / "site")
    write_queries(folder / "queries.parquet")
    with gzip.open(folder / "site.warc.gz", "wb") as stream:
        for file in sorted((folder / "site").rglob("*")):
            if file.suffix in (".html", ".png"):
                kind = "text/html" if file.suffix == ".html" else "image/png"
                url = f"http://shapes.example/{file.relative_to(folder / 'site')}"
                stream.write(warc_record("response", url, http_block(file.read_bytes(), kind)))
    config = folder / "run.toml"
    # Without a contact address any request to the public web would be refused: nothing may be asked.
    config.write_text(
        f'queries = "{folder}/queries.parquet"\n'
        f'[extract]\nsource = "warc"\ninputs = ["{folder}/*.warc.gz"]\n'
        f'[text]\ndetector = "off"\nblocked_words = "{folder}/blocked.txt"\n'
    )
    (folder / "blocked.txt").write_text("purple\n")  # the caption of the picture that is not in the archive
    return config


def test_images_inside_an_archive_are_used_without_a_request(tmp_path: Path) -> None:
    config = archive_job(tmp_path)
    assert main(["run", str(config), "--output", str(tmp_path / "run")]) == 0
    steps = funnel(tmp_path / "run")
    assert steps["fetch"]["rejects"] == {}
    # The page that robots.txt closes to a crawl is in the archive with a caption of its own.
    assert steps["package"]["rows_out"] == len(CAPTIONS) + 1
    assert all(step["unaccounted"] == 0 for step in steps.values())


def test_what_came_from_an_archive_is_read_again_where_it_is_damaged(tmp_path: Path) -> None:
    config, run = archive_job(tmp_path), tmp_path / "run"
    words = ["run", str(config), "--output", str(run)]
    assert main(words) == 0
    shards = (run / "shards" / "00000.tar").read_bytes()
    for pattern in (
        "images/archive-*.tar",
        "images/archive-*.parquet",
        "sources/candidates/part-*",
        "sources/held/part-*",
        "sources/rejects/_MANIFEST",
    ):
        path = next(run.glob(pattern))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert main(["check", str(run), "--no-readers", "--sample", "1"]) == 2, pattern
        assert main(words) == 0, pattern
        assert main(["check", str(run), "--no-readers", "--sample", "1"]) == 0, pattern
        assert (run / "shards" / "00000.tar").read_bytes() == shards, pattern


def test_nobody_is_asked_for_what_an_archive_holds_whatever_it_is(tmp_path: Path) -> None:
    build_site(tmp_path / "site")
    write_queries(tmp_path / "queries.parquet")
    pictures = [(tmp_path / "site" / "images" / f"{index:03}.png").read_bytes() for index in range(6)]
    with serve(tmp_path / "site") as site:
        base = f"{site.url}images/"
        shown = ["000.png", "x.vec", "001.png", "002.png", "003.png", "004.png", "gone.png", "moved.png", "005.png"]
        shown.append("led.png")
        body = "".join(
            f'<img src="images/{name}" alt="a circle, the {name[0:3].replace(chr(46), chr(120))} of all">'
            for name in shown
        )
        refusing = http_block(pictures[3], "image/png", X_Robots_Tag="noai")
        first = [
            warc_record("response", f"{site.url}a.html", http_block(f"<html lang=en>{body}".encode())),
            warc_record("response", f"{base}000.png", http_block(pictures[0], "image/png")),
            warc_record(
                "response", f"{base}x.vec", http_block(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
            ),
            warc_record("response", f"{base}001.png", http_block(pictures[1], "application/octet-stream")),
            warc_record("response", f"{base}unused.css", http_block(b"a{}", "text/css")),
        ]
        # Another file of the same archive holds what the page of the first one shows.
        second = [
            warc_record("response", f"{base}002.png", http_block(b"<p>no picture", "text/html")),
            warc_record("response", f"{base}003.png", refusing),
            warc_record("revisit", f"{base}004.png", http_block(b"")),
            warc_record("response", f"{base}gone.png", http_block(b"", "text/html", status="404 Not Found")),
            warc_record("response", f"{base}moved.png", http_block(b"", "text/plain", status="301 Moved")),
            # Two redirects, one after the other, to a picture of the other file.
            warc_record(
                "response",
                f"{base}led.png",
                http_block(b"", "text/html", status="302 Found", Location="/images/on.png"),
            ),
            warc_record(
                "response", f"{base}on.png", http_block(b"", "image/png", status="301 Moved", Location="001.png")
            ),
        ]
        for name, records in (("a", first), ("b", second)):
            (tmp_path / f"{name}.warc.gz").write_bytes(gzip.compress(b"".join(records)))
        config = tmp_path / "run.toml"
        config.write_text(
            f'queries = "{tmp_path}/queries.parquet"\n[extract]\nsource = "warc"\ninputs = ["{tmp_path}/*.warc.gz"]\n'
            '[text]\ndetector = "off"\n[http]\nallow_loopback = true\ndelay = 0.0\n[image]\nmax_pixels = 19200\n'
        )
        assert main(["run", str(config), "--output", str(tmp_path / "run")]) == 0
        assert [path for path in site.asked if path.startswith("/images")] == ["/images/005.png"]
    steps = funnel(tmp_path / "run")
    # 000 and 001 of the archive, the latter under two addresses, 005 of the site.
    assert steps["package"]["rows_out"] == 4
    assert steps["join"]["rejects"] == {
        "not_an_image": 1,
        "wrong_type": 1,
        "refused_by_x_robots_tag": 1,
        "revisit": 1,
        "http_404": 1,
        "http_301": 1,
    }
    assert all(step["unaccounted"] == 0 for step in steps.values())
    assert steps["fetch"]["rows_in"] == len(shown)  # and not a row for the style sheet


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
