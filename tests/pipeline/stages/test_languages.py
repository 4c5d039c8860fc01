"""A list of addresses without pages, curated: what its sites are in is counted, decides, and stands in the ledger."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.hashing import hash64
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, read_table
from pipeline.tables.schema import MATCHED, REJECTS, SITE_LANGUAGES

ENGLISH = [f"a red fox in field number {number}" for number in range(30)]
GERMAN = [f"ein roter Fuchs auf dem Feld Nummer {number}" for number in range(30)]
DOUBTFUL = "fox Hotel Berlin"  # of whichever language the others of its site are


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on a list of two sites, each with the same doubtful caption."""
    folder = tmp_path_factory.mktemp("languages")
    rows = [
        *((f"https://en.example/{number}.png", caption) for number, caption in enumerate([*ENGLISH, DOUBTFUL])),
        *((f"https://de.example/{number}.png", caption) for number, caption in enumerate([*GERMAN, DOUBTFUL])),
        ("https://lone.example/1.png", "a red fox alone here"),
    ]
    pq.write_table(
        pa.table({"URL": [url for url, _ in rows], "TEXT": [text for _, text in rows]}), folder / "l.parquet"
    )
    names = ["fox", "red fox", "field number"]
    queries = {"query": names, "id": pa.array([0, 1, 2], pa.uint32()), "sources": [["synset"]] * 3}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    (folder / "run.toml").write_text(
        f'queries = "{folder}/queries.parquet"\n[extract]\nsource = "url_list"\ninputs = ["{folder}/l.parquet"]\n'
    )
    run = RunFolder(str(folder / "run"))
    for verb in ("extract", "curate"):
        assert main([verb, str(folder / "run.toml"), "--output", run.root]) == 0
    return run


def test_sites_are_counted(curated: RunFolder) -> None:
    told = {row["site"]: row for row in read_table(curated.site_languages, SITE_LANGUAGES).to_pylist()}
    assert set(told) == {hash64("en.example"), hash64("de.example"), 0}
    english, german = told[hash64("en.example")], told[hash64("de.example")]
    assert english["captions"] == german["captions"] == 31 and told[0]["captions"] == 1
    assert english["wanted"] > 20 * german["wanted"]


def test_the_others_of_a_site_decide_on_a_doubtful_caption(curated: RunFolder) -> None:
    kept = read_table(curated.matched, MATCHED).to_pylist()
    assert {row["url"] for row in kept if row["caption"] == DOUBTFUL} == {"https://en.example/30.png"}
    assert sum(row["caption"] in ENGLISH for row in kept) == 30
    assert all(0.5 <= row["p_english"] <= 1 and row["p_context"] > 0.5 for row in kept if "en.ex" in row["url"])


def test_the_ledger_says_why(curated: RunFolder) -> None:
    ledger = [row for batch in iter_batches(curated.rejects("match"), REJECTS.names) for row in batch.to_pylist()]
    lost = [row for row in ledger if row["reason"] == "other_language"]
    assert len(lost) == 31 and all("site, 30 others, -" in row["detail"] for row in lost)
    assert any(row["detail"].startswith(f"{DOUBTFUL} [p 0.") for row in lost)
