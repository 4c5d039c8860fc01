"""A small run, made once, whose shards other projects' readers load."""

import pytest

from pipeline.audit.write import write_audit
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from tests.small_run import make_run
from webimagetext.settings import to_dict


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with two shards of 25 samples in all and a hold-out part of 5."""
    folder = make_run(tmp_path_factory.mktemp("compatibility") / "run")
    write_audit(folder, to_dict(RunConfig()))
    return folder


@pytest.fixture(scope="session")
def captions(run: RunFolder) -> set[str]:
    """The captions in the shards; each is there once."""
    return {f"a red dog number {number} <b>& its house</b>" for number in range(5, 30)}
