"""Where crawls lie in a run folder: each in a folder named by its settings, with a folder a round, and which of them is
current."""

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from webimagetext import files
from webimagetext.deciding import deciding
from webimagetext.settings import fingerprint

__all__ = ["CURRENT_FILE", "crawl_folder", "current_crawl", "round_folder"]

CURRENT_FILE = "_CURRENT"  # names the folder of the crawl that the candidates come from


def crawl_folder(run: RunFolder, config: RunConfig) -> str:
    """The folder of the crawl that the settings ask for: crawls under other settings lie beside it until this one is
    whole."""
    return files.join(run.crawl, fingerprint(deciding([config.extract, config.http], of_a_unit=True))[:12])


def current_crawl(run: RunFolder) -> str | None:
    """The folder of the crawl that was last whole; None where there is none, or where the note of it is not whole."""
    content = files.read(files.join(run.crawl, CURRENT_FILE)) or b""
    name = content.decode("ascii", "replace")
    return files.join(run.crawl, name) if name and files.is_folder(files.join(run.crawl, name)) else None


def round_folder(folder: str, number: int, table: str) -> str:
    """The folder of one table (a key of TABLES, or frontier) of one round of the crawl in ``folder``."""
    return files.join(folder, f"round-{number:03d}", table)
