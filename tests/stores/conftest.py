"""Both stores, started once a test process, each test with a bucket of its own; credentials as a user would set
them."""

import gc
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import fsspec
import fsspec.config
import pytest

from tests.stores.servers import KEY, SECRET, Store, google_store, s3_store

# What the stores' packages do not tidy up: gcsfs sends large bodies as bytes, both leave closing sockets to the
# collector.
QUIET = [
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """Environment variables for the tests of a module: the standard ones, and nothing of the machine's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("WEBIMAGETEXT_QUIET", "1")
        yield patch


@pytest.fixture(scope="module")
def s3(environment: pytest.MonkeyPatch) -> Iterator[Store]:
    """moto's S3 server, and the environment that leads to it."""
    import s3fs

    with s3_store() as store:
        environment.setenv("AWS_ENDPOINT_URL", store.address)
        s3fs.S3FileSystem.clear_instance_cache()
        store.make_bucket = lambda name: s3fs.S3FileSystem().mkdir(name)
        yield store
        _let_go(s3fs.S3FileSystem)


@pytest.fixture(scope="module")
def gs(environment: pytest.MonkeyPatch) -> Iterator[Store]:
    """The emulator of Google Cloud Storage, and the environment that leads to it."""
    import gcsfs

    with google_store() as store:
        environment.setenv("STORAGE_EMULATOR_HOST", store.address)
        environment.setenv("FSSPEC_GS_TOKEN", "anon")
        environment.setitem(fsspec.config.conf, "gs", {"token": "anon"})  # the variable is read at import alone
        gcsfs.GCSFileSystem.clear_instance_cache()
        yield store
        _let_go(gcsfs.GCSFileSystem)


def _let_go(kind: Any) -> None:
    """Ends the connections of all file systems of a kind here, so that no other test is told of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind.clear_instance_cache()
        gc.collect()


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> Store:
    """One store after the other, for what must hold on both."""
    found: Store = request.getfixturevalue(request.param)
    found.asked.clear()
    return found


@pytest.fixture
def bucket(store: Store) -> str:
    """The URL of a new bucket in ``store``."""
    return new_bucket(store)


def new_bucket(store: Store) -> str:
    """Makes a bucket and returns its URL."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    store.make_bucket(name)
    store.asked.clear()
    return f"{store.scheme}://{name}"
