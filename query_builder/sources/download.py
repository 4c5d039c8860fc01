"""Fetches a Wikipedia dump, a month of page views and WordNet: resumed where it stopped, checked, kept for the next
time.

In: a dump's name such as ``enwiki-20260101``. Out: the paths of the files. A file grows under a name ending in
``.part`` and gets its own when its size and the published SHA-1 are right; page views and WordNet have no published
checksum, so their size is checked, the page views' own bzip2 checksums when they are read, and WordNet's number of
synsets.
"""

import hashlib
import json
import os
import re
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from query_builder.config import BuildConfig
from query_builder.sources.wordnet import read_wordnet
from webimagetext.errors import UserError, full_disk_names
from webimagetext.files import is_url
from webimagetext.lock import locked
from webimagetext.progress import Progress

__all__ = ["RemoteFile", "download_all", "fetch", "list_dump"]

DUMPS = "https://dumps.wikimedia.org"
WORDNET = "https://wordnetcode.princeton.edu/3.0/WNdb-3.0.tar.gz"
WORDNET_SYNSETS = 117_659
USER_AGENT = f"webimagetext-query-builder {requests.utils.default_user_agent()}"
# The dump's own names of the jobs that give all articles, the preferred first: in parts, or as one file.
JOBS = ("articlesmultistreamdump", "articlesmultistreamdumprecombine", "articlesdump", "articlesdumprecombine")
CHUNK = 1 << 16
ATTEMPTS = 6
TIMEOUT = 60.0
LONGEST_WAIT = 600.0  # seconds, whatever a server asks for
_NAME = re.compile(r"([a-z_]+)wiki-(\d{4})(\d{2})(\d{2})")


@dataclass(frozen=True)
class RemoteFile:
    """An address with what is published about the file: bytes and SHA-1, None where nothing is."""

    url: str
    size: int | None = None
    sha1: str | None = None


@dataclass(frozen=True)
class Downloads:
    """Where the fetched files lie."""

    dump: tuple[str, ...]
    pageviews: tuple[str, ...]
    wordnet: str | None


def _get(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> requests.Response:
    """One request; network trouble becomes a ConnectionError, which is tried again, refusal a UserError."""
    response = session.get(url, stream=True, timeout=TIMEOUT, headers={"User-Agent": USER_AGENT, **(headers or {})})
    if response.status_code in (429, 500, 502, 503, 504):
        wait = response.headers.get("Retry-After", "")
        raise requests.ConnectionError(f"status {response.status_code}", wait if wait.isdigit() else "")
    if response.status_code not in (200, 206, 416):
        raise UserError(
            f"{url}: the server answers {response.status_code}",
            "check the name and the date, or choose another --mirror",
        )
    return response


def list_dump(session: requests.Session, mirror: str, name: str) -> list[RemoteFile]:
    """The files of a dump with all articles, from its published status. Raises UserError if it isn't there or isn't
    finished."""
    found = _NAME.fullmatch(name)
    if not found:
        raise UserError(f"--download {name}: not the name of a dump", "give database and date, such as enwiki-20260101")
    wiki, date = f"{found[1]}wiki", "".join(found.groups()[1:])
    url = f"{mirror}/{wiki}/{date}/dumpstatus.json"
    try:
        jobs = json.loads(_get(session, url).content)["jobs"]
    except requests.RequestException as error:
        raise UserError(f"{url}: cannot be reached: {error}", "try again later, or choose another --mirror") from None
    except (ValueError, KeyError):
        raise UserError(f"{url}: not a dump's status", "choose another --mirror") from None
    for job in JOBS:
        if jobs.get(job, {}).get("status") == "done":
            files = sorted(jobs[job].get("files", {}).items())
            articles = [(file, item) for file, item in files if ".xml" in file and "index" not in file]
            return [
                RemoteFile(f"{mirror}/{wiki}/{date}/{file}", item.get("size"), item.get("sha1"))
                for file, item in articles
            ]
    raise UserError(f"{name}: this dump is not finished", "choose an earlier date")


def fetch(
    session: requests.Session, remote: RemoteFile, path: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Fetches one file unless it is there; goes on where an earlier attempt stopped.

    Raises UserError when the server refuses, when it can't be reached in several attempts, or when the checksum is
    wrong.
    """
    if os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    partial = f"{path}.part"
    for attempt in range(ATTEMPTS):
        try:
            _transfer(session, remote, partial)
            break
        except requests.RequestException as error:
            if attempt == ATTEMPTS - 1:
                raise UserError(
                    f"{remote.url}: {error}", "run the same command again: it goes on where it stopped"
                ) from None
            asked = str(error.args[1]) if len(error.args) > 1 else ""
            sleep(min(float(asked), LONGEST_WAIT) if asked else 2.0**attempt)
    length = os.path.getsize(partial)
    if remote.size is not None and length != remote.size:
        os.unlink(partial)
        raise UserError(
            f"{remote.url}: {length:,} bytes came, {remote.size:,} are published", "run the same command again"
        )
    if remote.sha1:
        with open(partial, "rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
        if found != remote.sha1:
            os.unlink(partial)
            raise UserError(
                f"{remote.url}: its SHA-1 is {found}, published is {remote.sha1}", "run the same command again"
            )
    os.replace(partial, path)


def _transfer(session: requests.Session, remote: RemoteFile, partial: str) -> None:
    """Adds to the partial file what it lacks."""
    have = os.path.getsize(partial) if os.path.exists(partial) else 0
    with _get(session, remote.url, {"Range": f"bytes={have}-"} if have else None) as response:
        if response.status_code == 416:  # nothing lies beyond what we have
            return
        if have and response.status_code == 200:  # the server doesn't resume
            have = 0
        expected = response.headers.get("Content-Length")
        total = have + int(expected) if expected else remote.size
        with (
            full_disk_names(partial),
            open(partial, "ab" if have else "wb") as file,
            Progress(os.path.basename(remote.url), "B", total) as progress,
        ):
            progress.resume_at(have)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                progress.advance(len(chunk))
    if total is not None and os.path.getsize(partial) < total:
        raise requests.ConnectionError("the connection closed early")


def _pageviews(mirror: str, name: str) -> RemoteFile:
    """The whole month before the dump's."""
    found = _NAME.fullmatch(name)
    assert found
    year, month = int(found[2]), int(found[3]) - 1
    if month == 0:
        year, month = year - 1, 12
    return RemoteFile(
        f"{mirror}/other/pageview_complete/monthly/{year}/{year}-{month:02}/pageviews-{year}{month:02}-user.bz2"
    )


def _fetch_wordnet(session: requests.Session, folder: str) -> str:
    """WordNet's database folder, unpacked."""
    target = os.path.join(folder, "wordnet-3.0")
    if not os.path.isdir(target):
        archive = os.path.join(folder, os.path.basename(WORDNET))
        fetch(session, RemoteFile(WORDNET), archive)
        try:
            with full_disk_names(f"{target}.part"), tarfile.open(archive) as tar:
                tar.extractall(f"{target}.part", filter="data")
        except tarfile.TarError as error:  # also of a member that leads out of the folder
            raise UserError(f"{archive}: cannot be unpacked: {error}", "delete it and run again") from None
        os.replace(f"{target}.part", target)
    found = len(read_wordnet(target))
    if found != WORDNET_SYNSETS:
        raise UserError(
            f"{target}: {found:,} synsets where WordNet 3.0 has {WORDNET_SYNSETS:,}", "delete it and run again"
        )
    return target


def download_all(config: BuildConfig) -> Downloads:
    """Fetches what ``--download`` names; what is there already is not fetched again."""
    assert config.download
    mirror, folder = (config.mirror or DUMPS).rstrip("/"), config.download_folder
    if is_url(folder):
        raise UserError(
            f"--download-folder {folder}: an interrupted download grows on a local disk",
            "give a folder of this machine, or copy the files there yourself and name them with --dump and --pageviews",
        )
    with locked(folder, "a download"), requests.Session() as session:  # two would write into one unfinished file
        dumps = list_dump(session, mirror, config.download)
        views = _pageviews(mirror, config.download)
        paths = []
        for remote in [*dumps, views]:
            paths.append(os.path.join(folder, os.path.basename(remote.url)))
            fetch(session, remote, paths[-1])
        wordnet = _fetch_wordnet(session, folder) if config.language == "en" and not config.wordnet else config.wordnet
    return Downloads(tuple(paths[:-1]), (paths[-1],), wordnet)
