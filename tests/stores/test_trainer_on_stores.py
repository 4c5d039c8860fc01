"""Training, evaluation and export with shards, checkpoints and results on an object store."""

import glob
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest
import torch

from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import Store
from tests.trainer.conftest import pairs, write_shards
from trainer import checkpoint
from trainer.data.sources import Library
from trainer.evaluate.__main__ import main as evaluate
from trainer.export import main as export
from trainer.hold import Hold
from trainer.rerank import main as rerank
from trainer.run import main
from webimagetext import files
from webimagetext.errors import UserError

pytestmark = QUIET

MODEL = (
    "embed_dim = 32\nimage_size = 32\nvision_layers = 2\nvision_width = 32\nvision_heads = 2\npatch_size = 8\n"
    "text_width = 32\ntext_heads = 2\ntext_layers = 2\nvocab_size = 700\nlearning_rate = 2e-3\n"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Path:
    """A folder with shards, hold-out and a model's sizes; copies go to a temporary folder of the module's own."""
    folder = tmp_path_factory.mktemp("run")
    environment.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    write_shards(folder / "shards", pairs(96), 48)
    write_shards(folder / "holdout", pairs(24, seed=1), 24)
    (folder / "small.toml").write_text(MODEL)
    return folder


def put_all(folder: Path, url: str) -> str:
    """Copies a folder to a store."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with files.write_atomic(files.join(url, str(path.relative_to(folder)))) as stream:
                stream.write(path.read_bytes())
    return url


def flags(run: str, output: str, *more: str) -> list[str]:
    words = [
        "--preset",
        "tiny",
        "--model",
        f"{run}/small.toml",
        "--train-data",
        f"{run}/shards/*.tar",
        "--output",
        output,
    ]
    words += ["--vocab-size", "700", "--batch-size", "24", "--warmup-steps", "5", "--log-steps", "1", "--workers", "2"]
    return [*words, *more]


def weights(output: str) -> dict[str, torch.Tensor]:
    return dict(checkpoint.read(checkpoint.newest(output) or "").model)


@pytest.mark.parametrize("store", ["s3", pytest.param("gs", marks=pytest.mark.slow)], indirect=True)
def test_training_there_is_the_same_as_here(store: Store, bucket: str, run: Path, tmp_path: Path, capsys) -> None:
    there = put_all(run, f"{bucket}/run")
    here = str(tmp_path / "model")
    assert main(flags(str(run), here, "--steps", "8")) == 0
    # Broken off half way, then resumed.
    output = f"{bucket}/model"
    assert (
        main(flags(there, output, "--steps", "8", "--checkpoint-steps", "2", "--keep", "2", "--max-seconds", "0.001"))
        == 0
    )
    first = checkpoint.read(checkpoint.newest(output) or "").step
    assert 0 < first < 8
    assert main(flags(there, output, "--steps", "8", "--checkpoint-steps", "2", "--keep", "2")) == 0
    assert [url.rsplit("-", 1)[1] for url in checkpoint.all_in(output)] == ["00000006.pt", "00000008.pt"]
    steps = [json.loads(line) for line in (files.read(f"{output}/log.jsonl") or b"").decode().splitlines()]
    taken = [event["step"] for event in steps if event["event"] == "step"]
    assert taken == list(range(1, 9))
    assert (
        json.loads(files.read(f"{output}/summary.json") or b"")["checkpoint"]
        == f"{output}/checkpoints/step-00000008.pt"
    )
    assert files.exists(f"{output}/tokenizer.json") and files.exists(f"{output}/config.toml")
    # Nothing of it is left on this machine.
    assert [name for name in os.listdir(tempfile.gettempdir()) if "webimagetext" in name] == []
    capsys.readouterr()
    assert main(flags(there, output, "--steps", "8", "--checkpoint-steps", "2", "--keep", "2")) == 0
    assert "nothing to do" in capsys.readouterr().err
    holdout = f"{there}/holdout/*.tar"
    figures = []
    for place, data in ((here, f"{run}/holdout/*.tar"), (output, holdout)):
        result = f"{place}/recall.json"
        assert evaluate(["retrieval", "--checkpoint", place, "--data", data, "--output", result]) == 0
        figures.append(json.loads(files.read(result) or b""))
        assert figures[-1].pop("checkpoint").startswith(place)
    assert figures[0]["images"] == figures[1]["images"] == 24
    words = ["--checkpoint", output, "--output"]
    assert export([*words, f"{bucket}/export/model.safetensors"]) == 0
    assert export([*words, f"{bucket}/hf", "--format", "huggingface"]) == 0
    assert files.exists(f"{bucket}/export/tokenizer.json") and files.exists(f"{bucket}/hf/model.safetensors")
    capsys.readouterr()
    assert rerank(["--checkpoint", output, "--prompt", "a red circle", "--images", holdout, "--top", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_same_weights_whatever_the_store(store: Store, bucket: str, run: Path, tmp_path: Path) -> None:
    there = put_all(run, f"{bucket}/run")
    results = []
    for place, output in ((str(run), str(tmp_path / "model")), (there, f"{bucket}/model")):
        assert main(flags(place, output, "--steps", "3")) == 0
        results.append(weights(output))
    assert results[0].keys() == results[1].keys()
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_the_streaming_loader_reads_from_the_store_too(store: Store, bucket: str, run: Path) -> None:
    there = put_all(run, f"{bucket}/run")
    assert main(flags(there, f"{bucket}/model", "--steps", "2", "--loader", "webdataset")) == 0
    assert checkpoint.read(checkpoint.newest(f"{bucket}/model") or "").step == 2


def first_pictures(library: Library, pattern: tuple[str, ...]) -> list[bytes]:
    found = []
    for shard in library.find(pattern):
        with library.lent(shard) as reader:
            found.append(reader.read(0, False)[0])
    return found


def test_copies_follow_the_content_and_leave_the_disk(store: Store, bucket: str, run: Path, tmp_path: Path) -> None:
    there = put_all(run / "shards", f"{bucket}/shards")
    pattern = (f"{there}/*.tar",)
    kept = tmp_path / "cache"
    for _ in range(2):
        library = Library(str(kept))
        found = first_pictures(library, pattern)
        library.close()
        assert len(list(kept.iterdir())) == 2
    assert len(store.of("get", "00000.tar")) == 1
    # Another shard under the same address: it is fetched, and the old copy goes.
    with files.write_atomic(f"{there}/00000.tar") as stream:
        stream.write((run / "shards" / "00001.tar").read_bytes())
    library = Library(str(kept))
    again = first_pictures(library, pattern)
    library.close()
    assert again == [found[1], found[1]]
    names = {hashlib.sha256(path.read_bytes()).hexdigest() for path in kept.iterdir()}
    assert len(list(kept.iterdir())) == 2 and len(names) == 1
    # Without a cache folder a copy has no name as soon as it is open, so that no ending of the process can leave one.
    library = Library()
    with library.lent(library.find(pattern)[0]) as reader:
        assert [name for name in glob.glob(f"{tempfile.gettempdir()}/*") if "webimagetext" in name] == []
        assert reader.read(0, False)[0] == found[1]
    library.close()


def test_what_needs_a_local_disk_says_so(s3: Store, run: Path) -> None:
    with pytest.raises(UserError, match="copies are for this machine"):
        Library("s3://bucket/cache")
    with pytest.raises(UserError, match="appends to local files"):
        main(flags(str(run), f"{new_bucket(s3)}/model", "--steps", "1", "--tensorboard"))


def test_a_shard_or_checkpoint_that_is_not_there(store: Store, bucket: str, run: Path) -> None:
    with pytest.raises(UserError, match="no shard matches"):
        Library().find((f"{bucket}/none/*.tar",))
    with pytest.raises(UserError, match=f"{bucket}/none.tar: no such shard"):
        Library().find((f"{bucket}/none.tar",))
    with pytest.raises(UserError, match="there is no checkpoint here"):
        evaluate(["retrieval", "--checkpoint", f"{bucket}/none", "--data", f"{bucket}/none/*.tar"])
    with pytest.raises(UserError, match="there is no bucket 'no-such-bucket'"):
        main(flags(str(run), f"{store.scheme}://no-such-bucket/model", "--steps", "1"))


def test_a_second_training_there_is_refused(
    store: Store, bucket: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webimagetext.lock.SETTLED_SECONDS", 0.0)
    output = f"{bucket}/model"
    first = Hold(output)
    first.take()
    first.take()  # no harm
    with pytest.raises(UserError, match=f"training is under way there .process {os.getpid()} on .+ since 20"):
        main(flags(str(run), output, "--steps", "1"))
    assert [url for url in files.listing(f"{output}/*") if not url.endswith("/.lock")] == []
    first.close()
    assert main(flags(str(run), output, "--steps", "1")) == 0
    assert not files.exists(f"{output}/.lock")
