"""The dataset card and the Croissant file: true to the run, and read by the programs that such files are for."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.peers import PEERS, run_in_peers
from pipeline.audit.write import write_audit
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.net.config import HttpConfig
from pipeline.tables.schema import SHARD
from tests.small_run import make_run
from webimagetext.settings import to_dict

CONFIG = RunConfig(http=HttpConfig(contact="me@example.org"))

VALIDATE = """
import json, sys
import mlcroissant
dataset = mlcroissant.Dataset(sys.argv[1])
rows = {part: list(dataset.records(part)) for part in ("shards", "holdout")}
first = min(rows["shards"], key=lambda row: row["shards/key"])
print(json.dumps({"errors": list(dataset.metadata.ctx.issues.errors),
  "rows": {part: len(found) for part, found in rows.items()},
  "caption": first["shards/caption"].decode(), "queries": [query.decode() for query in first["shards/queries"]]}))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("card") / "run")
    write_audit(folder, to_dict(CONFIG))
    return folder


def test_the_card_states_counts_consent_and_settings(run: RunFolder) -> None:
    card = Path(run.card).read_text()
    assert card.startswith("---\nlicense: other\n")
    assert '"n<1K"' in card and "path: holdout/*.tar" in card
    assert "25 pairs\nin `shards/` and 5 kept apart" in card
    assert "| pairs in the shards | 36 pairs | 30 | small image: 6 |" in card
    assert "`webimagetext` (contact: me@example.org), at most one request in 1.0 seconds a host" in card
    assert "x robots tag" in card and 'contact = "me@example.org"' in card


def test_the_cards_loading_code_is_python(run: RunFolder) -> None:
    code = re.search(r"```python\n(.*?)```", Path(run.card).read_text(), re.DOTALL)
    assert code is not None
    compile(code[1], "README.md", "exec")


def test_every_column_but_the_nested_is_described(run: RunFolder) -> None:
    described = json.loads(Path(run.croissant).read_text())
    for record_set in described["recordSet"]:
        columns = [field["source"]["extract"]["column"] for field in record_set["field"]]
        assert columns == [name for name in SHARD.names if name not in ("texts", "scores")]
        assert record_set["key"]["@id"] in [field["@id"] for field in record_set["field"]]


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_mlcroissant_reads_the_pairs(run: RunFolder, tmp_path: Path) -> None:
    source = tmp_path / "validate.py"
    source.write_text(VALIDATE)
    found = run_in_peers(source, run.croissant)
    assert found["errors"] == []
    assert found["rows"] == {"shards": 25, "holdout": 5}
    assert found["caption"].startswith("a red dog number ") and found["queries"] == ["dog", "red", "a"]
