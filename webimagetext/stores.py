"""Object stores behind ``s3://``, ``gs://`` and other URLs: opened through fsspec, with their errors put into words.

In: a URL. Out: its fsspec file system and the path within it; and, for what goes wrong there, a UserError that names
the URL and what to do. Credentials come from the store's own chain (environment, profile, instance role, application
default) alone: an address that holds a key or a password is refused before it can be logged or stored with a run, and
none is put into a message.
"""

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from webimagetext.errors import UserError
from webimagetext.extras import not_installed

__all__ = ["answers", "is_url", "missing", "open_store", "patiently", "refuse_credentials"]

T = TypeVar("T")

# Seconds for one request, of at most a block; s3fs has its own limits.
_REQUEST_SECONDS = 300
# Listings are never cached: another process may have written since. gcsfs would wait for ever where a store stalls. It
# would also ask over gRPC, before each request, what kind of bucket it is; its user can have that back (for zonal
# buckets) by setting the variable.
_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"use_listings_cache": False} for name in ("s3", "s3a", "abfs", "az")},
    **{name: {"use_listings_cache": False, "requests_timeout": _REQUEST_SECONDS} for name in ("gs", "gcs")},
}
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?#\s\"']*)")
_SIGNED = re.compile(
    r"[?&](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|signature|sig"
    r"|access_token)=",
    re.IGNORECASE,
)
_KEYS = re.compile(r"\b(?:A[KS]IA[0-9A-Z]{12,}|ya29\.[\w.-]+)|(?<=\bBearer )\S+")
# What stores say when they are asked at a moment that is far from theirs.
_CLOCK = re.compile(r"difference between the request time|TimeTooSkewed|reasonable timeframe", re.IGNORECASE)
_EXPIRED = re.compile(r"ExpiredToken|token[^.]{0,40} (?:has|is) expired|credentials have expired", re.IGNORECASE)
_NO_REASON = re.compile(r"Forbidden\.?$|\(403\) when calling")  # as a question for a file's size is answered
_CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives access",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file",
}
_ALIASES = {"s3a": "s3", "gcs": "gs"}
_LIBRARIES = frozenset(
    {"aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs", "urllib3", "socket"}
)
# Seconds between the attempts of what may be done twice. s3fs and gcsfs repeat requests besides; over https nobody else
# does.
_PAUSES = (0.5, 2.0, 8.0)
_ENOUGH_SECONDS = 60.0  # of failing: then the libraries have tried again and again themselves, and no more is tried


class StoreFailedError(UserError):
    """A store, or the network before it, failed in a way that may pass."""


def is_url(path: str) -> bool:
    """Whether ``path`` is a URL rather than a path on this machine."""
    return "://" in path


def refuse_credentials(text: str, where: str = "") -> None:
    """Raises UserError when an address in ``text`` holds a user, a password, a key or a signature; the message repeats
    none.

    ``where`` names the option or file that it stands in.
    """
    for found in _ADDRESS.finditer(text):
        scheme, host = found[1], re.sub(r"^\[[^\]]*\]", "", found[2])
        named = host.startswith("arn:") or not re.search(
            r":(?!\d*$)", host
        )  # an ARN has colons; else only a port may follow one
        if "@" in host or not named or _SIGNED.search(text):
            raise UserError(
                f"{f'{where}: ' if where else ''}{scheme}://***: this address holds credentials",
                f"leave them out of it: {_CREDENTIALS.get(_kind(scheme), 'give an address that needs none')}",
            )


def _kind(scheme: str) -> str:
    return _ALIASES.get(scheme.lower(), scheme.lower())


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url`` and the path within it. Raises UserError when its package is not installed."""
    refuse_credentials(url)
    import fsspec.core

    scheme = url.partition("://")[0]
    if _kind(scheme) == "gs" and "GCSFS_DEBUG" not in os.environ:
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs every error that it raises, with a traceback
    try:
        filesystem, path = fsspec.core.url_to_fs(url, **_OPTIONS.get(scheme, {}))
    except ImportError:
        from fsspec.registry import known_implementations

        known = known_implementations[scheme]["class"].partition(".")[0]
        raise not_installed(known, f"{url}: {scheme}://") from None
    except ValueError as error:
        raise UserError(f"{url}: this kind of address cannot be opened: {error}") from None
    except Exception as error:  # credentials are looked for here too
        raise _explained(error, url) or error from None
    return filesystem, path


def missing(url: str) -> UserError:
    """The error for a file that is not there; says so when it is the whole bucket."""
    if _kind(url.partition("://")[0]) in _CREDENTIALS:
        filesystem, path = open_store(url)
        bucket = path.partition("/")[0]
        with contextlib.suppress(Exception):
            try:
                filesystem.info(bucket)
            except FileNotFoundError:
                return UserError(f"{url}: there is no bucket '{bucket}'", "create it, or correct its name")
    return UserError(f"{url}: no such file", "correct its name, or get it again")


@contextlib.contextmanager
def answers(url: str) -> Iterator[None]:
    """Puts what a store raises in the block into a UserError. That a file is missing, or a folder, is for the caller to
    word."""
    try:
        yield
    except (UserError, IsADirectoryError):
        raise
    except FileNotFoundError as error:
        # Over http every failure to open a file is called this; what it was is the cause.
        cause = error.__cause__ if url.startswith(("http://", "https://")) else None
        if cause is None or getattr(cause, "status", 0) in (404, 410):
            raise
        raise _explained(cause, url) or error from None
    except Exception as error:
        found = _explained(error, url)
        if found is None:
            raise
        raise found from None


def _explained(error: BaseException, url: str) -> UserError | None:
    """A store's error in words, None for one that is a defect of ours."""
    kind, name = _kind(url.partition("://")[0]), type(error).__name__
    library = type(error).__module__.partition(".")[0]
    code = str(getattr(error, "code", "")) if library == "gcsfs" else ""
    text = _KEYS.sub("***", " ".join(str(error).split()))[:300]
    way = _CREDENTIALS.get(kind, "see how this kind of address gets its credentials")
    if kind == "s3" and isinstance(error, PermissionError) and _NO_REASON.search(text):
        text = _reason(url) or text
    if _CLOCK.search(text):
        return UserError(f"{url}: the store says that this machine's clock is wrong ({text})", "set the clock")
    if _EXPIRED.search(text):
        return UserError(f"{url}: the credentials in use have expired ({text})", f"get new ones: {way}")
    if "Credential" in name or name.startswith(
        ("SSO", "TokenRetrieval", "UnauthorizedSSO", "ProfileNotFound", "Refresh")
    ):
        return UserError(f"{url}: no usable credentials were found ({text})", way)
    if code == "401":
        return UserError(f"{url}: the store wants to know who asks, or a token has expired ({text})", way)
    denied = getattr(error, "status", 0) in (401, 403) or code == "403"
    if denied or isinstance(error, PermissionError) or text.startswith("Forbidden"):
        remedy = "the credentials in use need the right to list, read, write and delete there; to use others: "
        return UserError(f"{url}: access is denied ({text})", remedy + way)
    if isinstance(error, NotImplementedError):
        return UserError(
            f"{url}: this kind of address cannot be used for that", "use s3://, gs:// or a path on this machine"
        )
    if library in _LIBRARIES or isinstance(error, OSError):
        return StoreFailedError(
            f"{url}: the store failed: {text or name}", "run the same command again: finished work is kept"
        )
    return None


def _reason(url: str) -> str:
    """Why access to an object is denied: S3 says so to who asks for its content, and not to who asks for its size."""
    try:
        filesystem, path = open_store(url)
        filesystem.cat_file(path, start=0, end=1)
    except PermissionError as error:
        return _KEYS.sub("***", " ".join(str(error).split()))[:300]
    except Exception:
        pass
    return ""


def patiently(url: str, ask: Callable[[], T]) -> T:
    """What ``ask`` returns, which may be done twice, tried again a few times while the store fails; other errors come
    out at once."""
    began = time.monotonic()
    for pause in _PAUSES:
        try:
            with answers(url):
                return ask()
        except StoreFailedError:
            if time.monotonic() - began > _ENOUGH_SECONDS:
                raise
            time.sleep(pause)
    with answers(url):
        return ask()
