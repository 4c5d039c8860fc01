"""What ``pipeline remove`` costs: one sample in a hundred taken out of a hundred shards, whole and by shard.

In: shards of small JPEG pictures as the pipeline writes them, beside each a table. Out: processor seconds for each
shard that is written anew, and for the whole removal, with the samples to go in every shard, which is the worst case,
and in one shard in a hundred; beside it the peer: every shard written anew by webdataset's reader and writer with what
is to stay, which is how shards are thinned without such a command. ``equal`` says that both leave the same samples.
"""

import io
import os
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import webdataset
from PIL import Image

from benchmarks.table import Row, figure
from pipeline.keeping.folder import key_of
from pipeline.removing.lists import read_list
from pipeline.removing.remove import remove
from pipeline.tables.schema import JOINED
from pipeline.write.shards import write_shard
from webimagetext.hashing import mix

__all__ = ["rows", "run"]

SHARDS = int(os.environ.get("REMOVE_SHARDS", "100"))
SAMPLES = int(os.environ.get("REMOVE_SAMPLES", "500"))
SHARE = 0.01
PICTURES = 64  # different ones


def run() -> dict[str, Any]:
    """Both, on copies of the same shards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = _write(folder)
        spread = [of_shard[place] for of_shard in keys for place in range(int(SAMPLES * SHARE))]
        in_one = [key for of_shard in keys[: max(1, int(SHARDS * SHARE))] for key in of_shard]
        began = time.process_time()
        theirs = _anew(folder / "shards", folder / "theirs", {*in_one, *spread})
        peer = time.process_time() - began
        found: dict[str, dict[str, Any]] = {}
        for case, gone in (("in one", in_one), ("spread", spread)):
            (folder / "list.txt").write_text("\n".join(gone))
            began = time.process_time()
            done = remove(str(folder / "shards"), [read_list("key", str(folder / "list.txt"))])
            found[case] = {"seconds": time.process_time() - began, "rewritten": done.rewritten, "pairs": done.pairs}
        equal = _keys(folder / "shards") == theirs == _keys(folder / "theirs")
    whole = found["spread"]["seconds"]
    return {
        "ours": round(found["in one"]["seconds"], 3),
        "peer": round(peer, 3),
        "ratio": round(peer / found["in one"]["seconds"], 2),
        "unit": "processor seconds",
        "equal": equal,
        "shards": SHARDS,
        "samples": SHARDS * SAMPLES,
        "removed": found["spread"]["pairs"],
        "spread_seconds": round(whole, 3),
        "seconds_a_shard": round(whole / found["spread"]["rewritten"], 4),
        "rewritten": {case: each["rewritten"] for case, each in found.items()},
        "spread_ratio": round(peer / whole, 2),
    }


def _write(folder: Path) -> list[list[str]]:
    """Writes the shards; the keys of each, in order."""
    (folder / "store").mkdir()
    places = []
    rng = np.random.default_rng(7)
    with tarfile.open(folder / "store" / "part.tar", "w") as archive:
        for number in range(PICTURES):
            stream = io.BytesIO()
            pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((256, 192), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
            about = tarfile.TarInfo(f"{number}.jpg")
            about.size = len(stream.getvalue())
            places.append((archive.offset + 512, about.size))
            archive.addfile(about, io.BytesIO(stream.getvalue()))
    keys = []
    for shard in range(SHARDS):
        ids = mix(np.arange(shard * SAMPLES, (shard + 1) * SAMPLES, dtype=np.uint64)).tolist()
        keys.append([key_of(pair) for pair in ids])
        table = pa.Table.from_pylist([_row(pair, *places[pair % PICTURES]) for pair in ids], schema=JOINED)
        write_shard(str(folder / "shards"), shard, table, str(folder / "store"), ["a picture"])
    return keys


def _row(pair: int, offset: int, length: int) -> dict[str, Any]:
    return {
        "pair_id": pair,
        "url": f"https://host{pair % 997}.example/{pair}.jpg",
        "caption": f"a picture of number {pair} on a wall",
        "page_url": f"https://host{pair % 997}.example/{pair % 89}",
        "query_ids": [0],
        "drawn_by": [0],
        "sha256": f"{pair:064x}",
        "width": 256,
        "height": 192,
        "original_width": 256,
        "original_height": 192,
        "file": "part.tar",
        "offset": offset,
        "length": length,
    }


def _anew(shards: Path, folder: Path, gone: set[str]) -> list[str]:
    """Every shard written anew without some samples, as webdataset does it."""
    folder.mkdir()
    kept = []
    for path in sorted(shards.glob("*.tar")):
        with webdataset.TarWriter(str(folder / path.name)) as sink:
            for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False):
                if sample["__key__"] not in gone:
                    kept.append(sample["__key__"])
                    sink.write({name: data for name, data in sample.items() if name[:2] != "__" or name == "__key__"})
    return kept


def _keys(folder: Path) -> list[str]:
    """The keys of all tars, in order."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            found += [name.partition(".")[0] for name in archive.getnames() if name.endswith(".json")]
    return found


def rows(result: dict[str, Any]) -> list[Row]:
    """The lines of the README's table."""
    share = f"{result['removed']:,} of {result['samples']:,} samples in {result['shards']:,} shards"
    return [
        Row(
            f"{share} taken out by `pipeline remove`, all of one shard in a hundred: {figure(result['ours'])} s; "
            f"some of every shard: {figure(result['spread_seconds'])} s, {figure(result['seconds_a_shard'])} a shard",
            f"every tar written anew with webdataset, tables and indexes left as they were: {figure(result['peer'])} s",
            f"{figure(result['ratio'])}; {figure(result['spread_ratio'])}",
        )
    ]
