"""A small finished run folder, made of real tables, a real image store and real shards, for tests of what reads one."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.hashing import pair_ids
from pipeline.keeping.folder import RunFolder, key_of, part_name
from pipeline.keeping.manifest import entry_of, write_manifest
from pipeline.tables.schema import CANDIDATES, COUNTS, IMAGES, JOINED, MATCHED, PAGES, REJECTS, SELECTED
from pipeline.write.shards import write_index, write_shard

__all__ = ["QUERIES", "make_run", "paint"]

QUERIES = ["dog", "red", "house", "a", "never seen"]
FOUND, CANDIDATE, IN_MATCHED, IN_SELECTED, WITH_IMAGE, PACKAGED, HELD_OUT = 100, 90, 60, 40, 36, 30, 5


def _picture(index: int) -> bytes:
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def paint(seed: int) -> bytes:
    """A small JPEG of 40 by 30 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (seed * 37 % 256, 10, 200)).save(stream, "JPEG")
    return stream.getvalue()


def _table(folder: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), f"{folder}/{part_name(0)}")
    write_manifest(folder, [entry_of(folder, part_name(0), len(rows))])


def _reject(rows: list[dict[str, Any]], stage: str, reason: str, subject: str = "pair") -> list[dict[str, Any]]:
    return [
        {
            "key": key_of(row["pair_id"]),
            "subject": subject,
            "stage": stage,
            "reason": reason,
            "url": row["url"],
            "detail": row["caption"],
        }
        for row in rows
    ]


def make_run(root: Path) -> RunFolder:
    """Writes the run; the numbers of rows after each step are this module's constants."""
    run = RunFolder(str(root))
    root.mkdir(parents=True, exist_ok=True)
    Path(run.config).write_text('queries = "queries.parquet"\n\n[balance]\nt = 20\n')
    rows = _pairs()
    pages = [
        {"url": f"https://a.example/{n}", "host": "https://a.example", "depth": 0, "status": "success"}
        for n in range(7)
    ]
    pages += [{**pages[0], "url": f"https://a.example/no{n}", "status": "http_404"} for n in range(3)]
    _table(f"{run.crawl}/made/round-000/pages", pages, PAGES)
    Path(run.crawl, "_CURRENT").write_text("made")
    _table(run.candidates, rows[:CANDIDATE], CANDIDATES)
    repeated = _reject(rows[CANDIDATE:], "extract", "repeated_pair")
    _table(run.rejects("extract"), _reject(rows[:20], "extract", "no_text", "image") + repeated, REJECTS)
    _table(run.matched, rows[:IN_MATCHED], MATCHED)
    short = _reject(rows[IN_MATCHED:80], "match", "too_short")
    _table(run.rejects("match"), short + _reject(rows[80:CANDIDATE], "match", "no_query"), REJECTS)
    _table(run.selected, rows[:IN_SELECTED], SELECTED)
    _table(run.reserve, rows[IN_SELECTED:50], SELECTED)
    _table(run.rejects("balance"), _reject(rows[50:IN_MATCHED], "balance", "not_drawn"), REJECTS)
    _write_images(run, rows)
    _table(run.joined, rows[:PACKAGED], JOINED)
    lost = _reject(rows[WITH_IMAGE:IN_SELECTED], "join", "http_404")
    _table(run.rejects("package"), lost + _reject(rows[PACKAGED:WITH_IMAGE], "package", "small_image"), REJECTS)
    _write_shards(run.shards, run, [rows[HELD_OUT:18], rows[18:PACKAGED]])
    _write_shards(run.holdout, run, [rows[:HELD_OUT]])
    counts = [(0, 60, 20), (1, 30, 20), (2, 5, 5), (3, 21, 20), (4, 0, 0)]
    columns = [{"query_id": i, "query": QUERIES[i], "matched": m, "drawn": s, "selected": s} for i, m, s in counts]
    pq.write_table(pa.Table.from_pylist(columns, schema=COUNTS), run.counts)
    return run


def _write_shards(folder: str, run: RunFolder, parts: list[list[dict[str, Any]]]) -> None:
    entries = []
    for number, part in enumerate(parts):
        entries += write_shard(folder, number, pa.Table.from_pylist(part, schema=JOINED), run.images, QUERIES)
    write_manifest(folder, [*entries, *write_index(folder, entries)])


def _pairs() -> list[dict[str, Any]]:
    urls = [f"https://{'a' if n % 3 else 'b'}.example/{n}.png" for n in range(FOUND)]
    captions = [f"a red dog number {n} <b>& its house</b>" for n in range(FOUND)]
    ids = pair_ids(pa.array(urls), pa.array(captions)).tolist()
    return [
        {
            "pair_id": ids[n],
            "url": urls[n],
            "caption": captions[n],
            "page_url": f"https://a.example/{n % 7}" if n else "javascript:alert(1)",
            "source": "pages",
            "page_language": "en" if n % 2 else None,
            "p_english": 0.75,
            "query_ids": [0, 1, 3],
            "drawn_by": [1],
            "probability": 0.5,
            "consent": "allowed",
            "consent_evidence": "robots.txt: none",
            "original_width": 320 + n,
            "original_height": 240,
            "width": 320,
            "height": 240,
            "sha256": f"{n:064x}",
            "exif": "{}",
        }
        for n in range(FOUND)
    ]


def _write_images(run: RunFolder, rows: list[dict[str, Any]]) -> None:
    """The image store: a tar of the pictures that were had, referred to from ``rows`` too, and the table of all that
    were asked."""
    Path(run.images).mkdir()
    table = []
    with tarfile.open(f"{run.images}/part-00000.tar", "w") as archive:
        for index, row in enumerate(rows[:IN_SELECTED]):
            if index >= WITH_IMAGE:
                table.append({"url": row["url"], "status": "http_404"})
                continue
            data = _picture(index)
            member = tarfile.TarInfo(f"{index}.jpg")
            member.size = len(data)
            row |= {"file": "part-00000.tar", "offset": archive.offset + 512, "length": len(data)}
            archive.addfile(member, io.BytesIO(data))
            table.append({"url": row["url"], "status": "success", "file": row["file"]})
    pq.write_table(pa.Table.from_pylist(table, schema=IMAGES), f"{run.images}/{part_name(0)}")
    entries = [entry_of(run.images, "part-00000.tar", WITH_IMAGE), entry_of(run.images, part_name(0), len(table))]
    write_manifest(run.images, entries)
