"""The pool of Python workers on one machine of a cluster: ``python -m pipeline.workers [--port 50000]``.

An engine outside Python (Spark, Flink) asks it for workers, by Beam's options ``--environment_type=EXTERNAL
--environment_config=localhost:50000``.
"""

import argparse
import os
import sys

from webimagetext.command import run_command
from webimagetext.cores import OWN_CORES

DEFAULT_PORT = 50000


def main() -> None:
    """Runs a pool until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.workers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"TCP port (default: {DEFAULT_PORT})")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1). Whoever can reach it can run code here",
    )
    flags = parser.parse_args()
    os.environ.setdefault(OWN_CORES, "1")  # an engine asks for a worker a core
    from pipeline.engines.worker_pool import start_pool  # Beam's import takes seconds, and --help should not

    address, server, pool = start_pool(flags.port, flags.host)
    print(f"a pool of workers listens at {address}", flush=True)
    try:
        server.wait_for_termination()
    finally:
        pool.close()


if __name__ == "__main__":
    sys.exit(run_command(main))
