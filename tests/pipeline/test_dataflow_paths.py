"""Settings that name files of this machine are refused before a job on Dataflow starts."""

import pytest

from pipeline.config import RunConfig
from pipeline.engines.dataflow import check_paths
from pipeline.image.config import HooksConfig
from pipeline.write.config import PackageConfig
from webimagetext.errors import UserError

HOOKS = PackageConfig(hooks=HooksConfig(clip_checkpoint="model.pt"))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (RunConfig(queries="gs://bucket/q.parquet", earlier_runs=("runs/may",)), "earlier_runs"),
        (RunConfig(queries="gs://bucket/q.parquet", package=HOOKS), "package.hooks.clip_checkpoint"),
    ],
)
def test_files_of_this_machine_are_refused(config: RunConfig, name: str) -> None:
    with pytest.raises(UserError, match=name):
        check_paths(config)
