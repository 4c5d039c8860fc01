"""The two fetch benchmarks: ours and img2dataset on the same pictures, from the same nginx, in turns.

In: a scheme. Out: images per second of processor time in a whole job, from start to end, at its best of several turns;
as ``also`` the same without what starting up costs (the cost of a small job taken off), images per second of wall time,
and peak memory. Two comparisons of ours and the peer with the same resizing, to 256 pixels:

- ``defaults``: the command ``pipeline fetch`` as people get it, so with ``keep_ratio``, and with the faster decoder
  where that is installed. The delay alone is 0, since the addresses of this machine stand for hosts that would
  otherwise be waited for.
- the result itself: the fetcher without the command around it, with the faster decoder turned on, and ``border``, as
  the peer's default is.

Every protection is on in both: robots.txt and the other policies, the address check, the caps, the journal.
"""

import importlib.util
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.fetch_worker import CONCURRENCY
from benchmarks.peers import peers_python
from benchmarks.resources import Cost, measure
from benchmarks.table import Row, figure, times
from benchmarks.webserver import HOSTS, WebServer, serve_images
from pipeline.hashing import hash_strings
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import mark_complete, write_manifest
from pipeline.keeping.step import FORMAT
from pipeline.tables.schema import CANDIDATES, MATCHED, SELECTED
from pipeline.tables.sink import write_part

__all__ = ["ROOT", "compare", "environment", "rows_of", "write_selected"]

ROUNDS = 2
FEW = 64  # images of the small job
MANY = {"http": 4096, "https": 1024}  # of the whole one; the peer sets up TLS anew for each image
PROCESSES = 2
TIMEOUT = 600.0
ROOT = Path(__file__).parents[1]
# The faster decoder's packages are optional; the peer uses OpenCV too.
DECODER = "turbo" if importlib.util.find_spec("simplejpeg") and importlib.util.find_spec("cv2") else "pillow"
# Both sides read the authorities of a real machine, and the server's own.
SYSTEM_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
SIDES = ("command", "peer_keep_ratio", "ours", "peer")
CONFIG = """[http]
delay = 0
allow_loopback = true
ca_file = "{authorities}"
"""


def compare(scheme: str) -> dict[str, Any]:
    """Runs both sides over ``scheme``; returns the benchmark's result. Raises UserError without nginx or the peers."""
    python = str(peers_python())
    with tempfile.TemporaryDirectory() as name, serve_images(Path(name), tls=scheme == "https") as server:
        folder = Path(name)
        authorities = _authorities(folder, server)

        def ours(urls: Sequence[str], output: Path) -> Cost:
            shares = [urls[number::PROCESSES] for number in range(PROCESSES)]
            jobs = []
            for number, share in enumerate(shares):
                job = {
                    "urls": share,
                    "folder": str(output),
                    "part": f"part-{number}",
                    "certificate": authorities,
                    "decoder": DECODER,
                }
                jobs.append(_written(output.with_suffix(f".{number}.json"), job))
            return measure(
                [sys.executable, "-m", "benchmarks.fetch_worker", *jobs], timeout=TIMEOUT, environment=environment()
            )

        def command(urls: Sequence[str], output: Path) -> Cost:
            write_selected(RunFolder(str(output)), urls)
            config = output.with_suffix(".toml")
            config.write_text(CONFIG.format(authorities=authorities), encoding="utf-8")
            words = [sys.executable, "-m", "pipeline", "fetch", str(config), "--output", str(output)]
            return measure(words, timeout=TIMEOUT, environment=environment())

        def peer(urls: Sequence[str], output: Path, resize_mode: str) -> Cost:
            job = {"urls": urls, "folder": str(output), "processes": PROCESSES, "resize_mode": resize_mode}
            trusting = {**environment(), **({"SSL_CERT_FILE": authorities} if authorities else {})}
            script = str(ROOT / "benchmarks" / "fetch_peer.py")
            words = [python, script, _written(output.with_suffix(".json"), job)]
            return measure(words, timeout=TIMEOUT, environment=trusting)

        works: tuple[Callable[[Sequence[str], Path], Cost], ...]
        works = (command, partial(peer, resize_mode="keep_ratio"), ours, partial(peer, resize_mode="border"))
        costs: dict[str, list[tuple[Cost, Cost]]] = {side: [] for side in SIDES}
        for turn in range(ROUNDS):
            for side, work in zip(SIDES, works, strict=True):
                costs[side].append(_turn(work, server, MANY[scheme], folder / f"{side}-{turn}"))
        urls = server.urls(MANY[scheme])
        stores = {side: folder / f"{side}-{ROUNDS - 1}-many" for side in SIDES}
        result = _result(costs["ours"], costs["peer"], MANY[scheme], _equal(stores["ours"], stores["peer"], urls))
        same = _equal(Path(RunFolder(str(stores["command"])).images), stores["peer_keep_ratio"], urls)
        defaults = _result(costs["command"], costs["peer_keep_ratio"], MANY[scheme], same)
    result["also"]["decoder"] = DECODER
    return {**result, "equal": result["equal"] and same, "images": MANY[scheme], "hosts": HOSTS, "defaults": defaults}


def rows_of(result: dict[str, Any], scheme: str) -> list[Row]:
    """The lines of the table: as people get it, and with the faster decoder."""
    images = f"{result['images']:,} images from {result['hosts']} hosts over {scheme}"
    settings = {"decoder": f'"{result["also"]["decoder"]}"', "resize_mode": '"border"', **CONCURRENCY}
    turned_on = ", ".join(f"`{name} = {value}`" for name, value in settings.items())
    return [
        Row(
            f"{images}, `pipeline fetch` with its defaults but no delay: {figure(result['defaults']['ours'])} a second",
            f"img2dataset, `keep_ratio`: {figure(result['defaults']['peer'])}",
            _ratios(result["defaults"]),
        ),
        Row(
            f"the same, the fetcher alone with {turned_on}: {figure(result['ours'])} a second",
            f"img2dataset, `border`: {figure(result['peer'])}",
            _ratios(result),
        ),
    ]


def _ratios(result: dict[str, Any]) -> str:
    also = result["also"]
    bare, memory = times(also["ratio_without_start"]), figure(also["peer_memory_mb"] / also["ours_memory_mb"], 2)
    return f"{times(result['ratio'])} ({bare} without the starts); the other takes {memory} times the memory"


def write_selected(run: RunFolder, urls: Sequence[str]) -> None:
    """The tables that ``curate`` would leave, of pairs with these images."""
    addresses = pa.array(urls)
    known = {"url": addresses, "caption": addresses, "pair_id": pa.array(hash_strings(addresses))}
    for folder, schema in ((run.candidates, CANDIDATES), (run.matched, MATCHED), (run.selected, SELECTED)):
        columns = [known.get(field.name, pa.nulls(len(urls), field.type)) for field in schema]
        table = pa.Table.from_arrays(columns, schema=schema).sort_by("pair_id")
        write_manifest(folder, [write_part(folder, part_name(0), table)])
        mark_complete(folder, "", format=FORMAT, settings={"extract": {"source": "url_list"}})


def _authorities(folder: Path, server: WebServer) -> str:
    """A file of the system's certificate authorities and the server's; empty without TLS."""
    if not server.certificate:
        return ""
    bundle = folder / "authorities.pem"
    system = [Path(path) for path in SYSTEM_AUTHORITIES if Path(path).exists()]
    bundle.write_bytes(b"\n".join(path.read_bytes() for path in [*system[:1], Path(server.certificate)]))
    return str(bundle)


def environment() -> dict[str, str]:
    """What the programs of both sides are started with: this checkout's code, and no word to anybody else's server."""
    quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | quiet


def _written(path: Path, job: dict[str, Any]) -> str:
    path.write_text(json.dumps(job))
    return str(path)


def _turn(
    work: Callable[[Sequence[str], Path], Cost], server: WebServer, images: int, output: Path
) -> tuple[Cost, Cost]:
    costs = []
    for size, count in (("few", FEW), ("many", images)):
        folder = output.with_name(f"{output.name}-{size}")
        costs.append(work(server.urls(count), folder))
        print(f"{folder.name}: {count} images, {costs[-1].cpu:.1f} s of processor, {costs[-1].wall:.1f} s", flush=True)
        if size == "few":
            shutil.rmtree(folder, ignore_errors=True)
    return costs[0], costs[1]


def _result(
    our_turns: list[tuple[Cost, Cost]], peer_turns: list[tuple[Cost, Cost]], images: int, equal: bool
) -> dict[str, Any]:
    # The least of several turns is the one that other programs disturbed least.
    least: dict[str, dict[str, float]] = {}
    for side, turns in (("ours", our_turns), ("peer", peer_turns)):
        few, many = zip(*turns, strict=True)
        start = min(cost.cpu for cost in few)
        least[side] = {
            "cpu": images / min(cost.cpu for cost in many),
            "cpu_without_start": (images - FEW) / (min(cost.cpu for cost in many) - start),
            "wall": images / min(cost.wall for cost in many),
            "memory_mb": min(cost.memory for cost in many) / 1e6,
            "start_s": start,
        }
    ours, peer = least["ours"], least["peer"]
    return {
        "ours": round(ours["cpu"], 1),
        "peer": round(peer["cpu"], 1),
        "ratio": round(ours["cpu"] / peer["cpu"], 2),
        "unit": "images per second of processor time",
        "equal": equal,
        "also": {
            "ratio_without_start": round(ours["cpu_without_start"] / peer["cpu_without_start"], 2),
            "ratio_wall": round(ours["wall"] / peer["wall"], 2),
            "ratio_memory": round(peer["memory_mb"] / ours["memory_mb"], 2),
            **{f"{side}_{name}": round(value, 1) for side, values in least.items() for name, value in values.items()},
        },
    }


def _equal(ours: Path, peer: Path, urls: Sequence[str]) -> bool:
    """Whether both stored every picture, of the same size, from the same bytes, looking alike."""
    mine, theirs = _rows_by_url(ours), _rows_by_url(peer)
    fields = ("status", "sha256", "width", "height", "original_width", "original_height")
    same = [mine[url]["status"] == "success" and all(mine[url][f] == theirs[url][f] for f in fields) for url in urls]
    return all(same) and all(_alike(ours, peer, mine[url], theirs[url]) for url in urls[:20])


def _rows_by_url(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of a store's Parquet files, but not of its manifest."""
    files = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("_"))
    return {row["url"]: row for file in files for row in pq.read_table(file).to_pylist()}


def _alike(ours: Path, peer: Path, mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    with open(ours / mine["file"], "rb") as stream:
        first = np.asarray(Image.open(_section(stream.read(), mine["offset"], mine["length"])), dtype=float)
    shard = next(path for path in peer.glob("*.tar") if theirs["key"].startswith(path.stem))
    with tarfile.open(shard) as archive:
        member = archive.extractfile(f"{theirs['key']}.jpg")
        assert member is not None
        second = np.asarray(Image.open(member), dtype=float)
    # Two good filters differ by a few levels at edges.
    return bool(np.abs(first - second).mean() < 5)


def _section(data: bytes, offset: int, length: int) -> io.BytesIO:
    return io.BytesIO(data[offset : offset + length])
