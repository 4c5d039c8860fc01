"""The contrastive loss and its gradient at 16,384 pairs: memory and time, against open_clip's.

In: unit vectors of 512 numbers from a seed. Out: the peak of memory beyond the inputs, each side in a process of its
own with one thread; ``seconds_*`` is processor time. Equal means that the loss, the scale's gradient and a sample of
the others agree to 1e-4 of the largest. Ours is also run at 32,768 pairs, which the peer could not do in 20 GB.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import run_in_peers
from benchmarks.table import Row, figure

__all__ = ["rows", "run"]

PAIRS, LARGE = 16_384, 32_768


def _ours(pairs: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("loss_process.py")), "ours", str(pairs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run() -> dict[str, Any]:
    """Measures both sides."""
    ours = _ours(PAIRS)
    peer = run_in_peers(Path(__file__).with_name("loss_process.py"), "peer", str(PAIRS))
    large = _ours(LARGE)
    near = [
        max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) <= 1e-4 * max(abs(value) for value in theirs)
        for mine, theirs in zip(ours["checks"], peer["checks"], strict=True)
    ]
    return {
        "ours": round(ours["megabytes"]),
        "peer": round(peer["megabytes"]),
        "ratio": round(peer["megabytes"] / ours["megabytes"], 2),
        "unit": f"MB at the peak, {PAIRS:,} pairs",
        "equal": all(near),
        "seconds_ours": round(ours["seconds"], 2),
        "seconds_peer": round(peer["seconds"], 2),
        "ratio_seconds": round(peer["seconds"] / ours["seconds"], 2),
        "megabytes_at_32768": round(large["megabytes"]),
        "process_megabytes_at_32768": round(large["process_megabytes"]),
        "seconds_at_32768": round(large["seconds"], 2),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"the loss and its gradient of {PAIRS:,} pairs: {figure(result['ours'])} MB, "
            f"{figure(result['seconds_ours'])} s",
            f"open_clip: {figure(result['peer'])} MB, {figure(result['seconds_peer'])} s",
            f"1/{result['ratio']:.0f} of the memory, {figure(1 / result['ratio_seconds'], 2)} of the time",
        )
    ]
