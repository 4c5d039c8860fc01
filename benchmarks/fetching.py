"""The two fetch benchmarks: ours and img2dataset on the same pictures, from the same nginx, in turns.

In: a scheme. Out: images per second of processor time in a whole job, from start to end, at its best of several turns; as ``also``
the same without what starting up costs (the cost of a small job taken off), images per second of wall time, and peak memory. Both
resize as img2dataset does by default (border, 256 pixels). Ours runs with every protection on: robots.txt and the other policies,
the address check, the caps, the journal.
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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.peers import peers_python
from benchmarks.resources import Cost, measure
from benchmarks.webserver import WebServer, serve_images

__all__ = ["compare"]

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
                [sys.executable, "-m", "benchmarks.fetch_worker", *jobs], timeout=TIMEOUT, environment=_environment()
            )

        def peer(urls: Sequence[str], output: Path) -> Cost:
            job = _written(output.with_suffix(".json"), {"urls": urls, "folder": str(output), "processes": PROCESSES})
            environment = {**_environment(), **({"SSL_CERT_FILE": authorities} if authorities else {})}
            script = str(ROOT / "benchmarks" / "fetch_peer.py")
            return measure([python, script, job], timeout=TIMEOUT, environment=environment)

        costs: dict[str, list[tuple[Cost, Cost]]] = {"ours": [], "peer": []}
        for turn in range(ROUNDS):
            for side, work in (("ours", ours), ("peer", peer)):
                costs[side].append(_turn(work, server, MANY[scheme], folder / f"{side}-{turn}"))
        equal = _equal(
            folder / f"ours-{ROUNDS - 1}-many", folder / f"peer-{ROUNDS - 1}-many", server.urls(MANY[scheme])
        )
    return _result(costs, MANY[scheme], equal)


def _authorities(folder: Path, server: WebServer) -> str:
    """A file of the system's certificate authorities and the server's; empty without TLS."""
    if not server.certificate:
        return ""
    bundle = folder / "authorities.pem"
    system = [Path(path) for path in SYSTEM_AUTHORITIES if Path(path).exists()]
    bundle.write_bytes(b"\n".join(path.read_bytes() for path in [*system[:1], Path(server.certificate)]))
    return str(bundle)


def _environment() -> dict[str, str]:
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


def _result(costs: dict[str, list[tuple[Cost, Cost]]], images: int, equal: bool) -> dict[str, Any]:
    # The least of several turns is the one that other programs disturbed least.
    least: dict[str, dict[str, float]] = {}
    for side, turns in costs.items():
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
            "decoder": DECODER,
            "ratio_without_start": round(ours["cpu_without_start"] / peer["cpu_without_start"], 2),
            "ratio_wall": round(ours["wall"] / peer["wall"], 2),
            "ratio_memory": round(peer["memory_mb"] / ours["memory_mb"], 2),
            **{f"{side}_{name}": round(value, 1) for side, values in least.items() for name, value in values.items()},
        },
    }


def _equal(ours: Path, peer: Path, urls: Sequence[str]) -> bool:
    """Whether both stored every picture, of the same size, from the same bytes, looking alike."""
    mine = {row["url"]: row for file in sorted(ours.glob("*.parquet")) for row in pq.read_table(file).to_pylist()}
    theirs = {row["url"]: row for file in sorted(peer.glob("*.parquet")) for row in pq.read_table(file).to_pylist()}
    fields = ("status", "sha256", "width", "height", "original_width", "original_height")
    same = [mine[url]["status"] == "success" and all(mine[url][f] == theirs[url][f] for f in fields) for url in urls]
    return all(same) and all(_alike(ours, peer, mine[url], theirs[url]) for url in urls[:20])


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
