"""The configuration of a whole run: one table of the TOML file a component, each owned and checked by that
component."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.balance.config import BalanceConfig
from pipeline.fetch.config import FetchConfig
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.stages.config import StepsConfig
from pipeline.text.config import TextConfig
from pipeline.write.config import PackageConfig
from webimagetext.errors import UserError
from webimagetext.ranges import Range, Ranged

__all__ = ["RunConfig"]


@dataclass(frozen=True)
class RunConfig(Ranged):
    """Everything that decides what a run makes."""

    queries: str = "queries.parquet"
    """The query list, path or URL: a Parquet file that `query_builder build` made, or texts of your own (text, CSV,
    JSON, Parquet), which are put into normal form and kept in the run folder."""
    matching: Literal["words", "metaclip"] = "words"
    """words: whole words in normal form. metaclip: the published re-creation's rule, case-sensitive, for comparison."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Seed of every random choice: the balance, the hold-out split and the shuffle."""
    earlier_runs: tuple[str, ...] = ()
    """Folders of earlier runs. What their shards and hold-outs hold is dropped: the same image address before fetching;
    after it the same picture, and a nearly equal one if package.near_duplicates is set."""
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    text: TextConfig = field(default_factory=TextConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    fetch: FetchConfig = field(default_factory=FetchConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    package: PackageConfig = field(default_factory=PackageConfig)
    steps: StepsConfig = field(default_factory=StepsConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.extract.verify_hash[1:] == ("md5",) and not self.image.md5:
            raise UserError("extract.verify_hash: no MD5 of images is noted", "set image.md5 = true")
