"""Overlap: the evaluation pictures that lie among those trained on, and what they make of the accuracy.

In: a trained model, labelled pictures, and the shards it was trained on. Out: how many of the pictures have an equal, a
near one or an altered copy among those trained on, by the rules with which packaging keeps evaluation pictures out of
the shards (pipeline/dedup/evaluation.py); zero-shot accuracy on all, on those with and on those without; the exact
interval of 99.5 % (Clopper and Pearson) of the accuracy on those with, and the chance of so many right answers or more
if they were as hard as the others (binomial test, one-sided), as section 5 of the paper has it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipeline.dedup.evaluation import EVALUATION, EvaluationSet, fingerprint
from pipeline.hashing import hash_numbers
from trainer.data.sources import Library, Shard
from trainer.distributed import World
from trainer.evaluate.about import about
from trainer.evaluate.config import OverlapConfig
from trainer.evaluate.features import encode_pictures
from trainer.evaluate.intervals import at_least, clopper_pearson
from trainer.evaluate.labelled import bytes_of, labelled
from trainer.evaluate.zeroshot import classifier, prompts_for
from trainer.weights import load_chosen
from webimagetext.errors import UserError
from webimagetext.files import exists, open_input
from webimagetext.parquet import UNREADABLE, open_parquet, read_parquet
from webimagetext.progress import Progress

__all__ = ["Overlap", "evaluate", "found_in", "render"]

TOGETHER = 1 << 15  # pictures trained on, compared at once
COLUMNS = ["sha256", "phash", "sketch"]
TOLD = 20  # pairs named in the figures


@dataclass(frozen=True)
class Overlap:
    """Which pictures are among others: for each the name of its partner or an empty text; and how many those were."""

    partners: list[str]
    trained_on: int
    unreadable: int  # of both sides: they cannot be compared


def _of_table(url: str) -> list[tuple[str, tuple[str, int, str | None] | None]] | None:
    """The names and fingerprints that a table has in its columns; None where it has no such columns."""
    with open_input(url) as stream:
        try:
            names = open_parquet(stream).schema_arrow.names
            if not {"sha256", "phash"} <= set(names):
                return None
            stream.seek(0)
            table = read_parquet(stream, [name for name in COLUMNS if name in names])
        except UNREADABLE as error:
            raise UserError(f"{url}: is damaged: {' '.join(str(error).split())[:200]}", "get it again") from None
    sketches = table.column("sketch").to_pylist() if "sketch" in names else [None] * len(table)
    hashes = hash_numbers(table.column("phash")).to_pylist()
    contents = table.column("sha256").to_pylist()
    return [
        (f"{url}#{row}", None if content is None or phash is None else (content, phash, drawn))
        for row, (content, phash, drawn) in enumerate(zip(contents, hashes, sketches, strict=True))
    ]


def _of_shard(library: Library, shard: Shard) -> Iterator[tuple[str, tuple[str, int, str | None] | None]]:
    """The fingerprints of a shard's pictures: by its table, where that has them, else by decoding each."""
    table = shard.url if shard.is_parquet else f"{shard.url.removesuffix('.tar')}.parquet"
    if exists(table) and (rows := _of_table(table)) is not None:
        yield from rows
        return
    with library.lent(shard) as reader:
        for number in range(len(reader)):
            try:
                yield f"{shard.url}#{number}", fingerprint(reader.read(number, False)[0])
            except (ValueError, OSError):
                yield f"{shard.url}#{number}", None


def _sets(rows: Iterable[tuple[str, tuple[str, int, str | None] | None]]) -> Iterator[EvaluationSet]:
    """Rows with fingerprints in sets of at most TOGETHER, with the names of those without."""
    names: list[str] = []
    found: list[tuple[str, int, str | None]] = []
    broken: list[str] = []

    def made() -> EvaluationSet:
        contents, hashes, sketches = zip(*found, strict=True) if found else ((), (), ())
        phashes = np.array(hashes, dtype=np.uint64)
        return EvaluationSet(tuple(names), tuple(contents), phashes, tuple(sketches), tuple(broken))

    for name, marks in rows:
        if marks is None:
            broken.append(name)
            continue
        names.append(name)
        found.append(marks)
        if len(found) == TOGETHER:
            yield made()
            names, found, broken = [], [], []
    yield made()


def found_in(pictures: Sequence[bytes], patterns: Sequence[str], *, distance: int = 4, altered: bool = True) -> Overlap:
    """Which of the ``pictures`` are equal to one in the shards that the patterns name, within ``distance`` bits of one,
    or an ``altered`` copy."""
    marks = [fingerprint(data) for data in pictures]
    rows = [index for index, mark in enumerate(marks) if mark is not None]
    values = zip(*(mark for mark in marks if mark is not None), strict=True) if rows else ((), (), ())
    sha256, phash, sketch = (
        pa.array(list(column), EVALUATION.field(name).type) for name, column in zip(COLUMNS, values, strict=True)
    )
    partners: pa.Array = pa.nulls(len(rows), pa.string())
    library, total, broken = Library(), 0, len(marks) - len(rows)
    try:
        shards = library.find(tuple(patterns))
        with Progress("overlap", "pictures trained on", sum(shard.size for shard in shards)) as bar:
            for known in _sets(row for shard in shards for row in _of_shard(library, shard)):
                partners = pc.coalesce(partners, known.matches(sha256, phash, distance))
                if altered and distance >= 0:
                    left = pc.if_else(pc.is_null(partners), sketch, pa.scalar(None, pa.string()))
                    partners = pc.coalesce(partners, known.copies(left))
                total, broken = total + len(known.names), broken + len(known.unreadable)
                bar.advance(len(known.names))
    finally:
        library.close()
    found = [""] * len(pictures)
    for index, name in zip(rows, partners.to_pylist(), strict=True):
        found[index] = name or ""
    return Overlap(found, total, broken)


def evaluate(config: OverlapConfig) -> dict[str, Any]:
    """Compares the pictures, classifies them, and counts on both sides."""
    trained = load_chosen(config)
    shards = config.train_data or tuple(url for url in trained.trained_on if exists(url))
    if not shards:
        raise UserError("--train-data: is needed", "name the shards that the model was trained on")
    prompts = prompts_for(config, trained)
    items, names = labelled(config, config.data)
    device = World(config.device).device
    score = classifier(trained, names, prompts, device, config.text_cache)
    kept, scores = encode_pictures(
        trained, items, bytes_of, device=device, crop=config.crop, batch_size=config.batch_size, label="overlap",
        encode=score,
    )  # fmt: skip
    number = {name: index for index, name in enumerate(names)}
    right = scores.argmax(dim=1) == torch.tensor([number[name] for _, name in kept])
    both = found_in([bytes_of(item) for item in kept], shards, distance=config.distance, altered=config.altered)
    told = [
        {"picture": item[0] if isinstance(item[0], str) else f"number {index}", "trained_on": partner}
        for index, (item, partner) in enumerate(zip(kept, both.partners, strict=True))
        if partner
    ]
    figures: dict[str, Any] = {
        **about(trained),
        "images": len(kept),
        "classes": len(names),
        "trained_on": both.trained_on,
        "not_compared": both.unreadable,
        "distance": config.distance,
        "altered": config.altered,
        **beside(right.tolist(), [bool(partner) for partner in both.partners]),
        "pairs": told[:TOLD],
    }
    return figures


def beside(right: Sequence[bool], overlap: Sequence[bool]) -> dict[str, Any]:
    """The figures of answers that are ``right`` on pictures of which some ``overlap``."""
    total, inside = len(right), sum(overlap)
    known = sum(answer and among for answer, among in zip(right, overlap, strict=True))
    figures: dict[str, Any] = {"overlap": inside, "share": inside / total, "top1": sum(right) / total}
    if inside:
        low, high = clopper_pearson(known, inside)
        figures |= {"top1_overlap": known / inside, "lowest": low, "highest": high}
    if inside < total:
        clean = (sum(right) - known) / (total - inside)
        figures |= {"top1_clean": clean, "gained": figures["top1"] - clean}
        if inside:
            figures["p_value"] = at_least(known, inside, clean)
    return figures


def render(figures: dict[str, Any]) -> str:
    """The figures as lines for people."""
    lines = [
        f"{figures['overlap']:,} of {figures['images']:,} images ({100 * figures['share']:.1f} %) are among "
        f"{figures['trained_on']:,} trained on"
        + (f"; {figures['not_compared']:,} of both cannot be compared" if figures["not_compared"] else ""),
        f"top-1 in percent: all {100 * figures['top1']:.1f}",
    ]
    if "top1_clean" in figures:
        lines[-1] += f", without them {100 * figures['top1_clean']:.1f}, gained {100 * figures['gained']:+.2f}"
    if "top1_overlap" in figures:
        lines.append(
            f"on them alone {100 * figures['top1_overlap']:.1f} ({100 * figures['lowest']:.1f} to "
            f"{100 * figures['highest']:.1f}, 99.5 %)"
            + (f"; p = {figures['p_value']:.3g} that they are as hard as the others" if "p_value" in figures else "")
        )
    lines += [f"  {pair['picture']} is {pair['trained_on']}" for pair in figures["pairs"][:5]]
    return "\n".join(lines)
