"""Steps of a user's own between the stages: the ``[steps]`` table of a run's configuration. Import-light: ``--help``
reads it."""

from dataclasses import dataclass
from typing import Annotated

from webimagetext.deciding import CODE, check_name
from webimagetext.ranges import Ranged

__all__ = ["StepsConfig"]


@dataclass(frozen=True)
class StepsConfig(Ranged):
    """Beam transforms of your own, named module:class, that judge or change the rows between two stages."""

    candidates: Annotated[tuple[str, ...], CODE] = ()
    """On candidate pairs, before the text rules: record batches in, the same with a column ``reason`` (null keeps the
    row) out."""
    matched: Annotated[tuple[str, ...], CODE] = ()
    """The same on pairs that hold a query, before they are counted and drawn. For pairs with an image see
    package.steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("candidates", "matched"):
            for name in getattr(self, field):
                check_name(f"steps.{field}", name)
