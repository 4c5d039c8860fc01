"""What curation is worth: the same small model trained on a pool as it is, on its English part, on what matches the
query list, and on that balanced.

In: the pool of curation_pool.py, drawn anew for each of SEEDS, which begin the models too. Each step is this project's
own: the language rule, then all text rules and the query list of real words, then the published balance, at the t that
as many of the queries with a match exceed as exceeded the published one (HEAD). Out: for each of the four zero-shot
accuracy (the mean over classes) on photographs held out of both sets, with an interval of 95 % over seeds, after the
same number of samples. ``ours`` is what the balanced pairs give, ``peer`` what the raw ones do. ``equal`` says that all
saw as many samples, on the same model, tokenizer and held-out photographs.
"""

import contextlib
import math
import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.curation_pool import SETS, Photograph, photographs, texts_for, write_shards
from benchmarks.language import lexicon
from benchmarks.match import real_queries, write_queries
from benchmarks.table import Row, times
from pipeline.balance.matches import count_matches
from pipeline.balance.select import Plan, select
from pipeline.hashing import hash_strings
from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher
from pipeline.tables.ledger import apply_rules
from pipeline.tables.schema import CANDIDATES, MATCHED
from pipeline.text.config import TextConfig
from pipeline.text.english import Lexicon
from pipeline.text.language import LanguageRule
from pipeline.text.rules import text_rules

__all__ = ["curated", "interval", "rows", "run"]

SEEDS = 3
STEPS, BATCH = int(os.environ.get("CURATION_STEPS", "400")), 64
HEAD = 16_000 / 386_000  # of the queries with a match, those above t (Xu et al., ICLR 2024)
PROBE_STEPS = 100
PROMPTS = ("a photo of {}.", "a photo of a {}.", "{}")
T_OF_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # Student's, by the degrees of freedom
MODEL = """embed_dim = 64
image_size = 32
vision_layers = [1, 1, 1, 1]
vision_width = 16
vision_heads = 8
text_width = 64
text_heads = 1
text_layers = 1
context_length = 24
vocab_size = 2000
learning_rate = 2e-3
"""


def _candidates(texts: list[str]) -> pa.RecordBatch:
    urls = pa.array([f"https://pool.example/{row}.jpg" for row in range(len(texts))])
    given = {"pair_id": pa.array(hash_strings(urls)), "url": urls, "caption": pa.array(texts)}
    columns = [given.get(field.name, pa.nulls(len(texts), field.type)) for field in CANDIDATES]
    return pa.RecordBatch.from_arrays(columns, schema=CANDIDATES)


def curated(texts: list[str], matcher: Matcher, known: Lexicon, seed: int) -> tuple[dict[str, list[int]], float]:
    """The rows of each of the four sets, and the t of the balance."""
    batch = _candidates(texts)
    place = {pair: row for row, pair in enumerate(batch.column("pair_id").to_pylist())}
    threshold = TextConfig().language_threshold
    english, _ = apply_rules(batch, [LanguageRule("fasttext", "en", threshold, known, None)], "text")
    passed, _ = apply_rules(batch, text_rules(TextConfig(), known), "text")
    ids = matcher.match(passed.column("caption"))
    counts = count_matches(ids, len(matcher))
    given = {name: passed.column(name) for name in passed.schema.names} | {"query_ids": ids}
    columns = [given.get(field.name, pa.nulls(len(ids), field.type)) for field in MATCHED]
    matched = pa.RecordBatch.from_arrays(columns, schema=MATCHED).filter(pa.array(np.diff(np.asarray(ids.offsets)) > 0))
    t = max(1.0, float(np.quantile(counts[counts > 0], 1 - HEAD)))
    balanced, _ = select(matched, Plan("independent", counts, t, t, seed))
    sets = {"raw": batch, "english": english, "matched": matched, "balanced": balanced}
    return {name: sorted(place[pair] for pair in rows.column("pair_id").to_pylist()) for name, rows in sets.items()}, t


def interval(values: list[float]) -> float:
    """Half of the interval of 95 % of a mean, by Student's t."""
    return T_OF_95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        yield


def _accuracies(folder: Path, shards: str, words: Path, held_out: dict[str, str], seed: int) -> list[float]:
    """Trains on shards, and classifies the photographs of each set: the mean over classes."""
    from trainer.evaluate.config import ZeroshotConfig
    from trainer.evaluate.zeroshot import evaluate
    from trainer.run import main

    output = folder / "model"
    arguments = ["--preset", "tiny", "--model", str(folder.parent / "small.toml"), "--train-data", shards]
    arguments += ["--tokenizer", str(words), "--batch-size", str(BATCH), "--steps", str(STEPS), "--seed", str(seed)]
    with _in_silence():
        if main([*arguments, "--output", str(output), "--workers", "1", "--precision", "fp32", "--device", "cpu"]):
            raise RuntimeError("a training ended without an answer")
        found = []
        for name in SETS:
            config = ZeroshotConfig(
                checkpoint=str(output), data=(held_out[name],), classes=str(folder.parent / f"{name}.txt"),
                prompts=PROMPTS, device="cpu",
            )  # fmt: skip
            found.append(float(evaluate(config)["mean_per_class"]))
    return found


def _probes(folder: Path, labelled: str, held_out: dict[str, str]) -> dict[str, float]:
    """Percent of the photographs of each set that logistic regression on a model's features classifies rightly, fitted
    to the photographs trained on with their classes: the mean over classes."""
    from trainer.evaluate.config import ProbeConfig
    from trainer.evaluate.probe import evaluate

    found = {}
    for name in SETS:
        config = ProbeConfig(
            checkpoint=str(folder / "model"), data=(held_out[name],), train_data=(labelled,), strength=1.0,
            classes=str(folder.parent / f"{name}.txt"), iterations=PROBE_STEPS, device="cpu",
        )  # fmt: skip
        with _in_silence():
            found[name] = round(100 * float(evaluate(config)["mean_per_class"]), 2)
    return found


def _show(figures: dict[str, list[list[float]]], sizes: dict[str, list[int]], right: dict[str, list[float]]) -> None:
    print(f"{'':<10}{'pairs':>8}{'right':>8}" + "".join(f"{name:>18}" for name in (*SETS, "mean of both")))
    for name, found in figures.items():
        columns = [[row[place] for row in found] for place in range(len(SETS))]
        columns.append([statistics.mean(row) for row in found])
        cells = "".join(f"{100 * statistics.mean(c):11.1f} ± {100 * interval(c):4.1f}" for c in columns)
        print(f"{name:<10}{statistics.mean(sizes[name]):8.0f}{100 * statistics.mean(right[name]):7.0f} %{cells}")


def _words(texts: list[str], path: Path) -> None:
    from trainer.tokenizer import train_tokenizer

    path.write_text(train_tokenizer(texts, 2000, 24).to_json())


def run() -> dict[str, Any]:
    """The comparison. Raises UserError where the data is not there."""
    import torch

    from trainer.threads import wait_asleep

    wait_asleep()
    torch.set_num_threads(1)
    pools = photographs()
    figures: dict[str, list[list[float]]] = {}
    sizes: dict[str, list[int]] = {}
    right: dict[str, list[float]] = {}
    probes: dict[str, dict[str, float]] = {}
    ts = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "small.toml").write_text(MODEL)
        write_queries(real_queries(), root / "queries.parquet")
        matcher = Matcher(build_automaton(str(root / "queries.parquet"), name))
        known, held_out = lexicon(), {}
        for part in SETS:
            (root / f"{part}.txt").write_text("\n".join(pools.names[part]))
            chosen = [photo for photo in pools.held_out if photo.set == part]
            held_out[part] = write_shards(root / part, [(photo.data, photo.name, photo.name) for photo in chosen])
        for seed in range(SEEDS):
            kinds, texts = zip(*texts_for(pools.training, seed), strict=True)
            words = root / f"tokenizer-{seed}.json"
            _words(list(texts), words)
            sets, t = curated(list(texts), matcher, known, seed)
            ts.append(t)
            for part, chosen_rows in sets.items():
                folder = root / f"{part}-{seed}"
                pairs = [_pair(pools.training[row], texts[row]) for row in chosen_rows]
                shards = write_shards(folder / "shards", pairs)
                found = _accuracies(folder, shards, words, held_out, seed)
                figures.setdefault(part, []).append(found)
                if seed == 0:
                    probes[part] = _probes(folder, str(root / "raw-0" / "shards" / "00000.tar"), held_out)
                sizes.setdefault(part, []).append(len(pairs))
                share = Counter(kinds[row] for row in chosen_rows)["english"] / len(pairs)
                right.setdefault(part, []).append(share)
                print(
                    f"seed {seed}, {part}: {len(pairs):,} pairs, " + ", ".join(f"{100 * value:.1f}" for value in found)
                )
    _show(figures, sizes, right)
    means = {part: [statistics.mean(row) for row in found] for part, found in figures.items()}
    accuracy = {part: round(100 * statistics.mean(found), 2) for part, found in means.items()}
    gains = {
        part: [100 * (after - before) for before, after in zip(means["raw"], means[part], strict=True)]
        for part in means
        if part != "raw"
    }
    return {
        "ours": accuracy["balanced"],
        "peer": accuracy["raw"],
        "ratio": round(accuracy["balanced"] / accuracy["raw"], 2),
        "unit": f"percent zero-shot accuracy, mean over classes, after {STEPS * BATCH:,} samples",
        "equal": len({len(found) for found in figures.values()}) == 1,
        "accuracy": accuracy,
        "intervals": {part: round(100 * interval(found), 2) for part, found in means.items()},
        "gain_over_raw": {part: [round(statistics.mean(g), 2), round(interval(g), 2)] for part, g in gains.items()},
        "by_set": {
            part: {
                which: round(100 * statistics.mean(row[place] for row in found), 2) for place, which in enumerate(SETS)
            }
            for part, found in figures.items()
        },
        "probe_of_first_seed": probes,
        "chance": {which: round(100 / len(pools.names[which]), 2) for which in SETS},
        "pairs": {part: round(statistics.mean(found)) for part, found in sizes.items()},
        "right_and_english": {part: round(100 * statistics.mean(found), 1) for part, found in right.items()},
        "t": ts,
        "samples": STEPS * BATCH,
        "seeds": SEEDS,
    }


def _pair(photograph: Photograph, text: str) -> tuple[bytes, str, str]:
    return photograph.data, text, photograph.name


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    told = {part: f"{result['accuracy'][part]:.1f} ± {result['intervals'][part]:.1f} %" for part in result["accuracy"]}
    return [
        Row(
            f"zero-shot accuracy of a small model after {result['samples']:,} samples of a small pool, balanced: "
            f"{told['balanced']}; only matched: {told['matched']}",
            f"the pool as it is: {told['raw']}; only its English part: {told['english']}",
            times(result["ratio"]),
        )
    ]
