"""The whole flow on real input, in a few minutes: a query list, a crawl, curated shards, a trained model and its score.

    python examples/demo/run.py [--site https://… --contact you@example.org] [--output demo-run]

Each step is a command of this project, printed before it runs, so that it can be typed again by hand. A step whose
command and inputs have not changed since it finished is skipped.
"""

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from examples.demo.inputs import demo_site, wikipedia_excerpt, wordnet
from pipeline.keeping.folder import MANIFEST_FILE
from webimagetext import files
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.progress import human_time
from webimagetext.settings import fingerprint

HERE = Path(os.path.relpath(Path(__file__).parent))
PYTHON = os.path.relpath(sys.executable)
CACHE = Path(".cache/demo")


def show(command: Sequence[str]) -> None:
    """Prints a command as it would be typed."""
    print(f"$ {shlex.join(command)}", flush=True)


def step(title: str, command: Sequence[str], *, record: Path, made: Path, inputs: Sequence[Path]) -> None:
    """Runs ``command`` unless it has already made ``made`` from the same ``inputs``; ``record`` is a file that
    remembers that.

    What an interrupted run with the same inputs left is taken up by the command itself; what other inputs gave is
    removed.
    """
    print(f"\n== {title}", flush=True)
    show(command)
    mark = fingerprint(list(command), [files.digest(str(path)) for path in inputs])
    before = record.read_text().split() if record.exists() else []
    if before == [mark, "finished"] and made.exists():
        print(f"finished before, skipped ({made})", flush=True)
        return
    if before[:1] != [mark]:
        files.remove(str(made))
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(mark)
    run(command)
    record.write_text(f"{mark} finished")


def run(command: Sequence[str]) -> None:
    """Runs a command and prints its time. Raises UserError when it fails; it has then said why."""
    start = time.monotonic()
    status = subprocess.run(command).returncode
    if status:
        raise UserError(
            f"the command above ended with exit status {status}",
            "once that is mended, the same make demo goes on from here: finished steps are kept",
        )
    print(f"   {human_time(time.monotonic() - start)}", flush=True)


@contextlib.contextmanager
def web_site(folder: Path) -> Iterator[None]:
    """Serves the folder on loopback while the block runs."""
    command = [PYTHON, str(HERE / "serve.py"), str(folder)]
    print(f"$ {shlex.join(command)} &")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        if not (line := server.stdout.readline()):
            raise UserError("the demonstration's web server did not start")
        print(line, end="", flush=True)
        try:
            yield
        finally:
            server.terminate()


def crawl_and_package(output: Path, site: str, contact: str) -> None:
    """Makes the shards, from the web site served here or from the user's own site."""
    command = [PYTHON, "-m", "pipeline", "run", str(HERE / "demo.toml"), "--output", str(output)]
    print("\n== image-text pairs from a web site: crawl, filter, match, balance, fetch, package", flush=True)
    if site:
        command += ["--queries", str(output / "queries.parquet"), "--extract.seeds", site]
        command += ["--http.contact", contact, "--http.delay", "1.0", "--http.no-allow-loopback"]
        show(command)
        run(command)
        return
    with web_site(demo_site(CACHE)):
        show(command)
        run(command)


def demonstrate(site: str, contact: str, output: Path) -> None:
    """All steps in order."""
    start = time.monotonic()
    dump, synsets = wikipedia_excerpt(CACHE), wordnet(CACHE)
    queries, model, scores = output / "queries.parquet", output / "model", output / "retrieval.json"

    records = output / ".steps"

    build = [PYTHON, "-m", "query_builder", "build", "--dump", str(dump), "--wordnet", str(synsets)]
    build += ["--min-word-count", "5", "--min-bigram-count", "3", "--output", str(queries)]
    title = "query list from a Wikipedia excerpt and WordNet"
    step(title, build, record=records / "queries", made=queries, inputs=[dump])

    crawl_and_package(output, site, contact)

    shards, held_out = output / "shards" / MANIFEST_FILE, output / "holdout" / MANIFEST_FILE
    train = [PYTHON, "-m", "trainer.run", "--train-data", str(output / "shards" / "*.tar"), "--preset", "tiny"]
    train += ["--max-seconds", "150", "--output", str(model)]
    step("a small CLIP trained on the shards", train, record=records / "model", made=model, inputs=[shards])

    evaluate = [PYTHON, "-m", "trainer.evaluate", "retrieval", "--checkpoint", str(model)]
    evaluate += ["--data", str(output / "holdout" / "*.tar"), "--output", str(scores)]
    title = "recall on pairs that it has not seen"
    step(title, evaluate, record=records / "scores", made=scores, inputs=[shards, held_out])

    print(f"\nDone in {human_time(time.monotonic() - start)}.")
    print(f"  shards      {output}/shards/")
    print(f"  report      {output}/report.html  (open it in a browser)")
    print(f"  checkpoint  {model}/checkpoints/")
    print("Next:")
    print("- why a query is in the list:")
    show([PYTHON, "-m", "query_builder", "inspect", str(queries), "--find", "colour"])
    print("- curate again with fewer pairs a query; no page and no image is downloaded twice:")
    show([PYTHON, "-m", "pipeline", "run", str(HERE / "demo.toml"), "--output", str(output), "--balance.t", "5"])
    print("- the same from a site of your choice, one request a second:")
    show(["make", "demo", "SITE=https://example.org", "CONTACT=you@example.org"])


def main() -> None:
    """Parses the command line and runs the demonstration. Raises UserError for options that do not go together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--site", default="", help="web site to crawl instead, https://…, one page a second")
    parser.add_argument(
        "--contact", default="", help="web page or e-mail address at which the site's owner reaches you"
    )
    parser.add_argument("--output", type=Path, help="folder for everything that is made (default: demo-run)")
    flags = parser.parse_args()
    if flags.site and not flags.site.startswith(("http://", "https://")):
        raise UserError(f"SITE={flags.site}: is not an address that begins with https:// or http://")
    if flags.site and not flags.contact:
        raise UserError(
            "crawling somebody's site needs an address at which its owner reaches you",
            f"make demo SITE={flags.site} CONTACT=you@example.org",
        )
    folder = f"demo-run-{urlsplit(flags.site).hostname}" if flags.site else "demo-run"
    demonstrate(flags.site, flags.contact, flags.output or Path(folder))


if __name__ == "__main__":
    sys.exit(run_command(main))
