"""What a Python program calls: :func:`run`, the same as ``webimagetext run``. The rest of this package serves the
programs."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.audit.funnel import Step
    from pipeline.config import RunConfig

__all__ = ["run"]


def run(
    config: "RunConfig | Mapping[str, Any] | str | PathLike[str]",
    output: str,
    *,
    verb: str = "run",
    workers: int = 0,
    beam_options: Sequence[str] = (),
) -> "list[Step]":
    """Builds a dataset, or does one verb of it, and returns what remained after each step, in order.

    ``config`` is a :class:`pipeline.config.RunConfig`, a dictionary as a TOML file holds it, or the path or URL of such
    a file; ``output`` the run folder, path or URL; ``workers`` and ``beam_options`` are as on the command line.
    Finished steps are skipped, and an interrupted run is gone on with. Raises :class:`webimagetext.errors.UserError`,
    which says what is to be mended.
    """
    from pipeline.config import RunConfig
    from pipeline.run import run_steps_of
    from webimagetext.settings import from_dict, from_toml

    if isinstance(config, Mapping):
        config = from_dict(RunConfig, dict(config), where="config")
    elif not isinstance(config, RunConfig):
        config = from_toml(RunConfig, config)
    return run_steps_of(verb, output, config, beam_options, workers)
