"""The peers' environment: where other projects' programs live, whose pinned dependencies clash with ours.

In: a Python source file of ours that imports a peer. Out: what it reports, as the JSON object on its last line.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from webimagetext.errors import UserError

__all__ = ["peers_python", "run_in_peers"]

PEERS = Path(__file__).parents[1] / ".venv-peers"


def peers_python() -> Path:
    """The interpreter of the peers' environment. Raises UserError when it has not been built."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        raise UserError("the peers' environment (.venv-peers) has not been built", "build it once with: make peers")
    return python


def run_in_peers(source: str | Path, *arguments: str | Path, timeout: float = 1800) -> dict[str, Any]:
    """Runs the file ``source`` in the peers' environment, at most ``timeout`` seconds, and returns its last line's
    JSON.

    Nothing of this project can be imported there. Raises UserError without the environment, and
    subprocess.CalledProcessError when the program fails, with its error output in the message.
    """
    command = [str(peers_python()), str(source), *map(str, arguments)]
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        error.add_note(done.stderr[-4000:])
        raise error
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
