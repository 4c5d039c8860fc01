"""A web site on this machine: serves a folder over HTTP on 127.0.0.1 until it is stopped, and prints its address first.

    python examples/demo/serve.py FOLDER [--port 8731]

Its robots.txt closes one folder, so that a crawl's report shows what obeying it means.
"""

import argparse
import sys
from pathlib import Path

from aiohttp import web

from webimagetext.command import run_command
from webimagetext.errors import UserError

ROBOTS = "User-agent: *\nDisallow: /en/images/preferences/\n"


def application(folder: Path) -> web.Application:
    """The site: /robots.txt and the files of ``folder``."""

    async def robots(_: web.Request) -> web.Response:
        return web.Response(text=ROBOTS)

    app = web.Application()
    app.router.add_get("/robots.txt", robots)
    app.router.add_static("/", folder)
    return app


def main() -> None:
    """Parses the command line and serves. Raises UserError when the port is taken or the folder is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder whose files are served")
    parser.add_argument("--port", type=int, default=8731, help="TCP port on 127.0.0.1 (default: 8731)")
    flags = parser.parse_args()
    if not flags.folder.is_dir():
        raise UserError(f"{flags.folder}: no such folder")
    try:
        web.run_app(
            application(flags.folder),
            host="127.0.0.1",
            port=flags.port,
            access_log=None,
            print=lambda _: print(f"serving {flags.folder} at http://127.0.0.1:{flags.port}/", flush=True),
        )
    except OSError as error:
        raise UserError(
            f"port {flags.port} cannot be used: {error.strerror}", "stop the program that holds it"
        ) from None


if __name__ == "__main__":
    sys.exit(run_command(main))
