"""The data path: index of tars, order, crops, captions, broken samples, Parquet, remote shards."""

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainer.config import DataConfig
from trainer.data.captions import choose
from trainer.data.images import BadImageError, square
from trainer.data.loader import Batch, Dataset, Loader
from trainer.data.order import Plan, SourceOrder, uniform
from trainer.data.parquet import ParquetReader
from trainer.data.sources import Library, expand
from trainer.data.tar import TarReader
from trainer.tokenizer import train_tokenizer
from webimagetext.errors import UserError


def batches(config: DataConfig, steps: int, start: int = 0, rank: int = 0, world: int = 1) -> list[Batch]:
    dataset = Dataset(config)
    tokenizer = train_tokenizer(["a red circle"], 514)
    return list(Loader(dataset, tokenizer, lambda step: 32, start=start, stop=steps, rank=rank, world=world))


def test_the_index_finds_what_tarfile_finds(shapes: Path) -> None:
    path = shapes / "shards/00001.tar"
    reader = TarReader(str(path))
    assert len(reader) == 60
    assert not reader.index.cut
    with tarfile.open(path) as archive:
        for number in (0, 17, 59):
            key = reader.index.keys[number]
            picture, caption, metadata = reader.read(number, True)
            stored = {suffix: archive.extractfile(key + suffix) for suffix in (".jpg", ".txt", ".json")}
            assert picture == stored[".jpg"].read()
            assert caption == stored[".txt"].read().decode()
            assert metadata == json.loads(stored[".json"].read())


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extended_headers_are_understood(tmp_path: Path, make_pairs, layout: int) -> None:
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w", format=layout) as archive:
        for key, picture, caption, _ in make_pairs(3):
            for suffix, data in ((".jpg", picture), (".txt", caption.encode())):
                member = tarfile.TarInfo("folder/" * 20 + key + suffix)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    reader = TarReader(str(path))
    assert len(reader) == 3
    assert reader.read(2, False)[1] == make_pairs(3)[2][2]


def test_a_tar_that_ends_early_gives_what_is_whole(tmp_path: Path, shapes: Path) -> None:
    whole = (shapes / "shards/00000.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    reader = TarReader(str(tmp_path / "cut.tar"))
    assert 20 < len(reader) < 40
    assert reader.index.cut


@pytest.mark.parametrize("multiple", [1, 8])
def test_every_epoch_takes_each_sample_once_in_another_order(multiple: int) -> None:
    order = SourceOrder([5, 0, 13, 7, 9], seed=3, shuffle_shards=2, multiple=multiple)
    length = order.epoch_length(0)
    assert length == 34 - 34 % multiple
    epochs = [order.take(epoch * length, length) for epoch in range(3)]
    for epoch, (shard, sample, number) in enumerate(epochs):
        assert set(number) == {epoch}
        assert len(set(zip(shard.tolist(), sample.tolist(), strict=True))) == length
    assert epochs[0][1].tolist() != epochs[1][1].tolist()
    # Any stretch is the same, however it is cut.
    pieces = [order.take(start, 3) for start in range(0, 99, 3)]
    whole = order.take(0, 99)
    for column in range(3):
        assert np.concatenate([piece[column] for piece in pieces]).tolist() == whole[column].tolist()


def test_sources_are_mixed_by_weight() -> None:
    plan = Plan([SourceOrder([50], 0, 4), SourceOrder([20, 10], 1, 4)], [3, 1], 10)
    counts: Counter[int] = Counter()
    for step in range(40):
        picks = plan.batch(step)
        assert len(picks) == 10
        counts.update(picks.source.tolist())
    assert counts == {0: 300, 1: 100}
    late = plan.batch(33)
    plan.batch(5)
    assert (plan.batch(33).sample == late.sample).all()


def test_stored_probabilities_thin_each_epoch() -> None:
    chances = [np.array([1.0, 0.25] * 200, dtype=np.float32)]
    order = SourceOrder([400], 0, 4, probabilities=chances)
    lengths = [order.epoch_length(epoch) for epoch in range(20)]
    assert len(set(lengths)) > 1
    assert abs(np.mean(lengths) - 250) < 10
    _, sample, epoch = order.take(0, sum(lengths))
    seen = Counter(sample.tolist())
    assert all(seen[number] == 20 for number in range(0, 400, 2))
    assert abs(np.mean([seen[number] for number in range(1, 400, 2)]) - 5) < 0.5
    assert (np.diff(epoch) >= 0).all()


def test_batches_do_not_depend_on_threads_or_processes(shapes: Path) -> None:
    data = (str(shapes / "shards/*.tar"),)
    alone = batches(DataConfig(train_data=data, batch_size=12, workers=1), 25)
    many = batches(DataConfig(train_data=data, batch_size=12, workers=5, prefetch=7), 25, start=20)
    assert [batch.step for batch in many] == [20, 21, 22, 23, 24]
    for a, b in zip(alone[20:], many, strict=True):
        assert a.captions == b.captions
        assert a.images.equal(b.images)
    shares = [batches(DataConfig(train_data=data, batch_size=12), 1, rank=rank, world=3)[0] for rank in range(3)]
    joined = [shares[place % 3].captions[place // 3] for place in range(12)]
    assert joined == alone[0].captions


def test_pictures_and_captions_stay_together(shapes: Path) -> None:
    batch = batches(DataConfig(train_data=(str(shapes / "shards/*.tar"),), batch_size=64, crop="squash"), 1)[0]
    for pixels, caption in zip(batch.images.numpy().astype(int), batch.captions, strict=True):
        if "red" in caption or "blue" in caption:
            difference = pixels[..., 0] - pixels[..., 2]
            assert (difference.max() > 100) == ("red" in caption)
            assert (difference.min() < -100) == ("blue" in caption)


def test_broken_samples_are_counted_and_replaced_the_same_way(tmp_path: Path, make_pairs, make_shards) -> None:
    pairs = make_pairs(40)
    broken = [
        (key, b"not a picture" if i % 5 == 0 else data, text, meta) for i, (key, data, text, meta) in enumerate(pairs)
    ]
    broken[7] = (broken[7][0], broken[7][1], "  ", {})
    make_shards(tmp_path, broken, 20)
    config = DataConfig(train_data=(str(tmp_path / "*.tar"),), batch_size=20, workers=1)
    dataset = Dataset(config)
    tokenizer = train_tokenizer(["a"], 514)
    first = list(Loader(dataset, tokenizer, lambda step: 32, stop=2))
    assert sum(dataset.faults.values()) >= 9
    assert any("sample" in name and ".tar" in name for name in dataset.fault_names)
    again = batches(DataConfig(train_data=config.train_data, batch_size=20, workers=4), 2)
    assert [batch.captions for batch in first] == [batch.captions for batch in again]
    assert all(len(batch.images) == 20 for batch in first)


def test_shards_without_any_good_sample_end_the_run(tmp_path: Path, make_pairs, make_shards) -> None:
    make_shards(tmp_path, [(key, b"x", text, meta) for key, _, text, meta in make_pairs(8)], 8)
    with pytest.raises(UserError, match="could not be read"):
        batches(DataConfig(train_data=(str(tmp_path / "*.tar"),), batch_size=4), 1)


def picture(mode: str, size: tuple[int, int], kind: str = "PNG") -> bytes:
    image = Image.new("RGB", size, (200, 30, 40)).convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16"])
@pytest.mark.parametrize("size", [(40, 33), (33, 400), (1, 1), (900, 500)])
def test_any_picture_becomes_a_square(mode: str, size: tuple[int, int]) -> None:
    data = picture(mode if mode != "I;16" else "L", size)
    for across, down in ((0, 0), (0.5, 0.5), (0.999, 0.999)):
        assert square(data, 32, across, down).shape == (32, 32, 3)
    assert square(data, 32, crop="squash").shape == (32, 32, 3)


def test_the_crop_is_where_it_should_be() -> None:
    image = Image.new("RGB", (128, 64), "red")
    image.paste("blue", (64, 0, 128, 64))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    left, right = square(stream.getvalue(), 56, 0, 0), square(stream.getvalue(), 56, 1, 0)
    assert left[..., 0].min() == 255
    assert right[..., 2].min() == 255


def test_transparent_pictures_are_laid_on_white() -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(stream, "PNG")
    assert square(stream.getvalue(), 32).min() == 255


def test_bad_pictures_are_refused_by_reason() -> None:
    for data in (b"", b"GIF89a", picture("RGB", (64, 64), "JPEG")[:200]):
        with pytest.raises(BadImageError):
            square(data, 32)


def test_caption_rules() -> None:
    metadata = {"texts": [{"kind": "alt", "text": "A dog"}, {"kind": "title", "text": "Rex, our dog."}], "alt": ""}
    fields = ("txt", "texts", "alt")
    assert choose("text", fields, "A dog", metadata, 0) == "A dog"
    assert choose("longest", fields, "A dog", metadata, 0) == "Rex, our dog."
    assert choose("join", fields, "A dog", metadata, 0) == "A dog. Rex, our dog"
    assert {choose("random", fields, "A dog", metadata, draw) for draw in (0, 0.4, 0.6, 0.99)} == {
        "A dog",
        "Rex, our dog.",
    }
    assert choose("text", fields, "", {"caption": "from the metadata"}, 0) == "from the metadata"
    told = "One dog.  Two cats! Is it 3.5 m high? No"
    sentences = ["One dog.", "Two cats!", "Is it 3.5 m high?", "No"]
    assert [choose("sentence", fields, told, metadata, draw) for draw in (0, 0.3, 0.5, 0.99)] == sentences
    assert choose("sentence", fields, "", {"caption": "One. Two."}, 0.6) == "Two."
    assert choose("sentence", fields, " ", {}, 0.6) == ""
    assert choose("random", ("absent",), "stored", {}, 0.5) == "stored"


def test_balanced_sampling_reads_the_stored_field(shapes: Path) -> None:
    data = (str(shapes / "shards/*.tar"),)
    config = DataConfig(train_data=data, batch_size=8, sample_by="probability")
    dataset = Dataset(config)
    assert dataset.steps_per_epoch < 240 // 8
    picks = [dataset.plan.batch(step) for step in range(dataset.steps_per_epoch * 3)]
    seen: Counter[str] = Counter()
    for pick in picks:
        for shard, sample in zip(pick.shard, pick.sample, strict=True):
            with dataset.library.lent(dataset.sources[0][shard]) as reader:
                seen[reader.read(int(sample), True)[2]["label"]] += 1
    assert seen["ring"] > 2 * seen["circle"]
    with pytest.raises(UserError, match="states 'absent'"):
        Dataset(DataConfig(train_data=data, batch_size=8, sample_by="absent"))


def test_parquet_gives_the_same_samples(tmp_path: Path, make_pairs, make_shards) -> None:
    pairs = sorted(make_pairs(30))
    make_shards(tmp_path / "tar", pairs, 30)
    table = pa.table(
        {
            "image": [{"bytes": data, "path": None} for _, data, _, _ in pairs],
            "text": [caption for _, _, caption, _ in pairs],
            "probability": [meta["probability"] for *_, meta in pairs],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    tars = batches(DataConfig(train_data=(str(tmp_path / "tar/*.tar"),), batch_size=10), 3)
    rows = batches(DataConfig(train_data=(str(tmp_path / "*.parquet"),), batch_size=10), 3)
    for a, b in zip(tars, rows, strict=True):
        assert a.captions == b.captions
        assert a.images.equal(b.images)
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(UserError, match="no column 'image'"):
        Dataset(DataConfig(train_data=(str(tmp_path / "b.parquet"),), batch_size=1))


def test_remote_shards_are_read_through_a_cache(shapes: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in sorted((shapes / "shards").glob("*")):
        memory.pipe(f"/bucket/{path.name}", path.read_bytes())
    config = DataConfig(train_data=("memory://bucket/{00000..00003}.tar",), batch_size=12, cache=str(tmp_path))
    local = batches(DataConfig(train_data=(str(shapes / "shards/*.tar"),), batch_size=12), 3)
    assert [batch.captions for batch in batches(config, 3)] == [batch.captions for batch in local]
    assert not list(tmp_path.glob("*.tmp"))
    globbed = Library().find(("memory://bucket/*.tar",))
    assert [shard.size for shard in globbed] == [60] * 4


def test_braces_count_and_list() -> None:
    assert list(expand("a/{08..11}-{x,y}.tar")) == [f"a/{n}-{c}.tar" for n in ("08", "09", "10", "11") for c in "xy"]


def test_mistakes_in_the_data_flags_are_explained(shapes: Path, tmp_path: Path) -> None:
    good = str(shapes / "shards/*.tar")
    cases = [
        (DataConfig(train_data=(str(tmp_path / "*.tar"),)), "no shard matches"),
        (DataConfig(train_data=(str(shapes / "shards/9.tar"),)), "no such shard"),
        (DataConfig(train_data=(str(shapes / "shards"),)), "is a folder"),
        (DataConfig(train_data=(good,), batch_size=1000), "the shards hold 240 pairs"),
        (DataConfig(train_data=(good,), batch_size=8, source_weights=(1.0, 2.0)), "2 numbers for 1 patterns"),
        (DataConfig(train_data=(good,), batch_size=8, source_weights=(0.0,)), "not all shares may be zero"),
    ]
    for config, words in cases:
        with pytest.raises(UserError, match=words):
            Dataset(config)


def test_draws_are_uniform_and_fixed() -> None:
    draws = uniform(np.arange(10_000), 5, 7)
    assert 0.49 < draws.mean() < 0.51
    assert uniform(np.array([1, 2]), 5).tolist() == uniform(np.array([1, 2]), 5).tolist()
    assert uniform(np.array([1, 2]), 5, np.array([0, 1])).tolist()[0] == uniform(np.array([1]), 5, 0)[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves tars open when it is left
def test_the_webdataset_path_gives_each_pair_and_can_be_taken_up(shapes: Path) -> None:
    from trainer.data.portable import PortableLoader

    config = DataConfig(train_data=(str(shapes / "shards/*.tar"),), batch_size=40, loader="webdataset")
    dataset = Dataset(config)
    tokenizer = train_tokenizer(["a"], 514)
    urls = [shard.url for shard in dataset.sources[0]]

    def stream(start: int, rank: int = 0, world: int = 1) -> list[Batch]:
        side = {"start": start, "stop": 6, "rank": rank, "world": world}
        return list(PortableLoader(config, urls, dataset.fault, tokenizer, lambda step: 32, **side))

    whole, late = stream(0), stream(4)
    assert [batch.step for batch in whole] == list(range(6))
    stored: Counter[str] = Counter()
    for shard in dataset.sources[0]:
        with dataset.library.lent(shard) as reader:
            stored.update(reader.read(number, False)[1] for number in range(60))
    assert Counter(caption for batch in whole for caption in batch.captions) == stored
    assert [batch.captions for batch in late] == [batch.captions for batch in whole[4:]]
    assert late[0].images.equal(whole[4].images)
    assert stream(5, rank=1, world=2)[0].captions == whole[5].captions[1::2]
    assert not dataset.faults


def test_captions_of_any_kind_in_foreign_parquet(tmp_path: Path) -> None:
    captions = [["two texts", "here"], [], None, [None, "one"]]
    structs = [{"text": "a dog"}, None, {"text": None}, {"text": "cats"}]
    for name, values, found in (
        ("a", captions, ["two texts", "", "", "one"]),
        ("b", structs, ["a dog", "", "", "cats"]),
    ):
        path = str(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table({"image": [b"x"] * 4, "caption": values}), path)
        reader = ParquetReader(path, "image", "caption")
        assert [reader.read(number, False)[1] for number in range(4)] == found
    pq.write_table(pa.table({"image": [b"x"], "caption": [5]}), tmp_path / "c.parquet")
    assert ParquetReader(str(tmp_path / "c.parquet"), "image", "caption").read(0, False)[1] == ""
