"""Training from beginning to end: exact resume, signals, limits, accumulation, processes, mistakes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from trainer import checkpoint
from trainer.config import ObjectiveConfig, RunConfig
from trainer.distributed import World
from trainer.evaluate.__main__ import main as evaluate
from trainer.log import Log, Watch
from trainer.models.clip import build
from trainer.models.resnet import Bottleneck
from trainer.models.spec import ModelSpec
from trainer.objectives.kinds import KINDS, initial
from trainer.optim import set_rates
from trainer.rerank import main as rerank
from trainer.run import main, resolve
from trainer.step import Stepper
from trainer.train import Run
from webimagetext.errors import UserError

KEYS = torch.tensor([7 * 600 + 8])  # a dictionary of one n-gram, (7 8)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


def flags(run: Path, model: Path, output: Path, *more: str) -> list[str]:
    return [
        *(
            "--preset",
            "tiny",
            "--model",
            str(model),
            "--train-data",
            str(run / "shards/*.tar"),
            "--output",
            str(output),
        ),
        *("--vocab-size", "700", "--batch-size", "24", "--warmup-steps", "5", "--log-steps", "1", *more),
    ]


def losses(output: Path) -> dict[int, float]:
    """The loss of each step in the log; of a step that was taken twice, the later one."""
    events = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if event["event"] == "step"}


def weights(output: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoint.read(checkpoint.newest(str(output)) or "").model)


def test_a_tiny_run_learns_and_is_scored(
    shapes: Path, trained: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, made = trained
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    found = losses(tmp_path)
    assert found[120] < found[1] - 0.8
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["steps"], summary["samples"], summary["ended_by"]) == (120, 2880, "finished")
    assert {"config.toml", "tokenizer.json", "log.jsonl", "checkpoints"} <= set(os.listdir(tmp_path))
    holdout = str(shapes / "holdout/*.tar")
    arguments = ["--checkpoint", str(tmp_path), "--data", holdout]
    assert evaluate(["retrieval", *arguments, "--output", str(tmp_path / "r.json")]) == 0
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures["images"] == 60
    for way in ("image_to_text", "text_to_image"):
        assert figures[way]["10"] > figures[f"{way}_chance"]["10"] + 0.1
    assert evaluate(["zeroshot", *arguments, "--prompts", "a {}", "--output", str(tmp_path / "z.json")]) == 0
    figures = json.loads((tmp_path / "z.json").read_text())
    assert (figures["classes"], figures["prompts"]) == (6, 1)
    assert figures["chance"] == pytest.approx(1 / 6)
    assert figures["top5"] >= figures["top1"]
    capsys.readouterr()
    assert rerank(["--checkpoint", str(tmp_path), "--prompt", "a red circle", "--images", holdout, "--top", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    # A second call of the same command has nothing to do.
    before = os.stat(tmp_path / "log.jsonl").st_mtime_ns
    assert main([*words, "--output", str(tmp_path)]) == 0
    assert os.stat(tmp_path / "log.jsonl").st_mtime_ns == before


@pytest.mark.slow
def test_a_run_killed_twice_equals_an_unbroken_one(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    # 240 pairs make 10 steps an epoch: every stop falls into the middle of one.
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = ("--steps", "33", "--patch-dropout", "0.25", "--ema", "0.9", "--checkpoint-steps", "1")
    assert main(flags(shapes, tiny_model, whole, *more, "--workers", "1", "--keep", "99")) == 0
    for last, workers in ((7, "3"), (24, "1"), (33, "2")):
        if (broken / "checkpoints").exists():
            # What a kill leaves: the newest whole checkpoint, and a temporary file.
            (broken / "checkpoints/step-00000099.pt.1a2b.tmp").write_bytes(b"half")
        assert (
            main(flags(shapes, tiny_model, broken, *more, "--workers", workers, "--max-seconds", "0", "--keep", "99"))
            == 0
        )
        if last < 33:
            for path in (broken / "checkpoints").glob("*.pt"):
                if int(path.stem[5:]) > last:
                    path.unlink()
            (broken / "summary.json").unlink()
    assert losses(broken) == losses(whole)
    ours, theirs = weights(broken), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_sigterm_saves_and_the_same_command_goes_on(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(flags(shapes, tiny_model, whole, "--steps", "60")) == 0
    arguments = flags(shapes, tiny_model, stopped, "--steps", "60", "--checkpoint-minutes", "0")
    process = subprocess.Popen([sys.executable, "-m", "trainer.run", *arguments], stderr=subprocess.PIPE, text=True)
    log = stopped / "log.jsonl"
    while not (log.exists() and '"step": 3,' in log.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert "stopped and saved" in told
    assert checkpoint.newest(str(stopped))
    assert main(arguments) == 0
    assert losses(stopped) == losses(whole)


def test_the_time_limit_ends_a_run_in_good_order(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert main(flags(shapes, tiny_model, tmp_path, "--steps", "1000000", "--max-seconds", "4")) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ended_by"] == "time"
    assert summary["checkpoint"].endswith(f"step-{summary['steps']:08d}.pt")


def test_the_last_checkpoints_are_kept(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert main(flags(shapes, tiny_model, tmp_path, "--steps", "9", "--checkpoint-steps", "2", "--keep", "2")) == 0
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["step-00000008.pt", "step-00000009.pt"]


def test_checkpoints_by_minutes_count_from_the_last_one(
    shapes: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("trainer.train.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def twenty_seconds(optimizer: torch.optim.Optimizer, rate: float) -> None:
        clock[0] += 20
        set_rates(optimizer, rate)

    monkeypatch.setattr("trainer.train.set_rates", twenty_seconds)
    more = ("--steps", "14", "--checkpoint-minutes", "1", "--checkpoint-steps", "9", "--keep", "9")
    assert main(flags(shapes, tiny_model, tmp_path, *more)) == 0
    kept = [int(path.stem[5:]) for path in sorted((tmp_path / "checkpoints").iterdir())]
    assert kept == [4, 8, 9, 13, 14]


def test_the_time_left_is_the_shorter_of_limit_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.__new__(Run)
    run.started, run.seconds_before, run.step, run.total = 0.0, 0.0, 30, 90
    monkeypatch.setattr("trainer.train.time", SimpleNamespace(monotonic=lambda: 100.0))
    for limit, left in ((1000.0, 200.0), (250.0, 150.0), (90.0, 0.0)):
        run.config = RunConfig(max_seconds=limit)
        assert run.seconds_left() == pytest.approx(left)


def test_the_share_of_a_phase_is_of_the_time_in_all(tmp_path: Path) -> None:
    watch = Watch(Log(RunConfig(output=str(tmp_path)), False), 60.0, str)
    assert watch.share("data") == 0
    watch.seconds |= {"data": 1.0, "step": 3.0}
    assert watch.share("data") == 0.25
    watch.close()


@pytest.mark.parametrize("objective", KINDS)
@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_accumulation_gives_the_gradient_of_the_whole_batch(objective: str, kind: str) -> None:
    spec = ModelSpec(16, 32, 2, 32, 2, 8, text_width=32, text_heads=2, text_layers=1, vocab_size=600)
    if kind == "resnet":
        spec = ModelSpec(16, 32, (1, 1, 1, 1), 8, 4, 0, text_width=32, text_heads=2, text_layers=1, vocab_size=600)
    images = torch.randint(0, 256, (12, 32, 32, 3), dtype=torch.uint8)
    ids = torch.randint(1, 500, (12, 9))
    ids[:, 3:5] = torch.tensor([7, 8])  # an entry of the dictionary
    ids[:, 8] = 599
    found = []
    for parts in (1, 3):
        model = initial(objective, spec, keys=KEYS)
        if kind == "resnet":  # whose blocks add nothing at first
            model.eval()  # batch statistics are those of a part by nature
            torch.manual_seed(1)
            for block in model.visual.modules():
                if isinstance(block, Bottleneck):
                    torch.nn.init.normal_(block.bn3.weight)
        elif objective == "convirt":
            model.eval()  # other pictures are drawn for each part
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        config = ObjectiveConfig(accumulate=parts)
        value = Stepper(model, model, config, World("cpu"), None, scaler, 0).gradient(0, images, ids)
        found.append((value, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-6, atol=1e-6)
    assert ("logit_scale" in found[0][1]) == (objective in ("contrastive", "sigmoid", "contrastive-bow"))
    assert found[0][1].keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, gradient in found[0][1].items():
        assert float(gradient.abs().max()) > 0, name
        assert torch.allclose(gradient, found[1][1][name], rtol=1e-3, atol=1e-5), name


def test_accumulation_replays_random_numbers_and_leaves_statistics_once() -> None:
    spec = ModelSpec(16, 32, 1, 32, 2, 8, text_width=32, text_heads=2, text_layers=1, vocab_size=600)
    model = build(spec)
    model.visual.patch_dropout = 0.5
    images = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8)
    ids = torch.full((6, 3), 599)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    stepper = Stepper(model, model, ObjectiveConfig(accumulate=2), World("cpu"), None, scaler, 0)
    seen = []
    original = stepper._features
    stepper._features = lambda i, t: seen.append(original(i, t)) or seen[-1]  # type: ignore[method-assign]
    stepper.gradient(5, images, ids)
    assert len(seen) == 4
    assert torch.equal(seen[0][0], seen[2][0].detach())
    assert torch.equal(seen[1][0], seen[3][0].detach())
    resnet = build(ModelSpec(16, 32, (1, 1, 1, 1), 8, 4, 0, text_width=32, text_heads=2, text_layers=1, vocab_size=600))
    Stepper(resnet, resnet, ObjectiveConfig(accumulate=2), World("cpu"), None, scaler, 0).gradient(0, images, ids)
    assert int(resnet.visual.bn1.num_batches_tracked) == 2


def test_locked_towers_stay_and_phases_change(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert main(flags(shapes, tiny_model, tmp_path / "a", "--steps", "3")) == 0
    start = str(tmp_path / "a")
    more = (
        "--steps",
        "4",
        "--start-from",
        checkpoint.newest(start) or "",
        "--tokenizer",
        str(tmp_path / "a/tokenizer.json"),
    )
    resolution = ("--low-resolution", "16", "--final-steps", "2", "--layer-decay", "0.7", "--clip-gradient", "1")
    assert main(flags(shapes, tiny_model, tmp_path / "b", *more, *resolution, "--lock-image")) == 0
    before, after = weights(tmp_path / "a"), weights(tmp_path / "b")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith("visual.") for name in changed)


GRADIENTS = """
import sys
import torch
from trainer.config import ObjectiveConfig
from trainer.distributed import World
from trainer.models import clip
from trainer.models.spec import ModelSpec
from trainer.objectives.kinds import KINDS, initial
from trainer.step import Stepper
clip.normalise_images.__defaults__ = (*clip.normalise_images.__defaults__[:2], torch.float64)
torch.Tensor.float = lambda self: self  # features stay in float64 as well
world = World("cpu")
for objective in KINDS:
    for accumulate in (1, 2):
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8, generator=generator)
        ids = torch.randint(1, 500, (8, 9), generator=generator)
        ids[:, 3:5] = torch.tensor([7, 8])
        ids[:, 8] = 599
        spec = ModelSpec(16, 32, 2, 32, 2, 8, text_width=32, text_heads=2, text_layers=1, vocab_size=600)
        model = initial(objective, spec, keys=torch.tensor([7 * 600 + 8])).double().eval()
        module = world.wrap(model, "ddp")
        own = slice(world.rank, None, world.size)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        config = ObjectiveConfig(accumulate=accumulate, loss_tile=3)
        Stepper(model, module, config, world, None, scaler, 0).gradient(0, images[own], ids[own])
        if world.is_first:
            gradients = {name: p.grad for name, p in model.named_parameters()}
            torch.save(gradients, f"{sys.argv[1]}/{objective}-{accumulate}-{world.size}.pt")
world.close()
"""


@pytest.mark.slow
def test_gradients_of_two_processes_equal_those_of_one_in_float64(tmp_path: Path) -> None:
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--standalone",
        "--log-dir",
        str(tmp_path),
    ]
    for program in ([sys.executable], launch):
        done = subprocess.run([*program, str(script), str(tmp_path)], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
    for objective in KINDS:
        whole = torch.load(tmp_path / f"{objective}-1-1.pt")
        assert "visual.conv1.weight" in whole
        for other in ("1-2", "2-1", "2-2"):
            found = torch.load(tmp_path / f"{objective}-{other}.pt")
            for name, gradient in whole.items():
                same = gradient is None or torch.allclose(found[name], gradient, rtol=1e-9, atol=1e-12)
                assert same, (objective, other, name)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_train_as_one(shapes: Path, tiny_model: Path, tmp_path: Path, parallel: str) -> None:
    alone, two = tmp_path / "alone", tmp_path / "two"
    guarded = ("--steps", "12", "--clip-gradient", "0.5", "--skip-spikes", "50")
    assert main(flags(shapes, tiny_model, alone, *guarded)) == 0
    launch = ["--nproc-per-node=2", "--standalone", "--log-dir", str(tmp_path / "logs")]
    program = [sys.executable, "-m", "torch.distributed.run", *launch, "-m", "trainer.run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for steps, accumulate in (("6", "1"), ("12", "2")):
        arguments = flags(shapes, tiny_model, two, "--parallel", parallel, "--accumulate", accumulate, *guarded)
        if steps == "6":
            arguments += ["--checkpoint-steps", "6"]
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        if steps == "6":  # go on from the middle with another number of parts
            os.unlink(two / "checkpoints/step-00000012.pt")
    expected, found = losses(alone), losses(two)
    assert found.keys() == expected.keys()
    assert found[1] == pytest.approx(expected[1], abs=1e-5)
    for step, loss in expected.items():  # Adam's first steps magnify the last bits of the gradients
        assert found[step] == pytest.approx(loss, abs=3e-2)
    if parallel == "ddp":  # a refusal of the first process ends the other as well
        (data := tmp_path / "other").mkdir()
        shutil.copytree(shapes / "holdout", data / "shards")
        words = flags(data, tiny_model, two, "--accumulate", "2", "--steps", "12")
        done = subprocess.run([*program, *words], capture_output=True, text=True, env=environment)
        assert done.returncode != 0
        assert done.stderr.count("of the 4 shards it was trained on, 4 are not in --train-data") == 2, done.stderr
    # And one process can go on from what two have left.
    shutil.copytree(two / "checkpoints", tmp_path / "one/checkpoints")
    assert main(flags(shapes, tiny_model, tmp_path / "one", "--steps", "13")) == 0


def test_mistakes_are_explained_before_training(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    good = flags(shapes, tiny_model, tmp_path / "x")
    cases = [
        (["--train-data", "x/*.tar"], "--output DIR"),
        (["--output", str(tmp_path / "x")], "--train-data and --output are needed"),
        ([*good, "--model", "ViT-Z/9"], "no model 'ViT-Z/9'"),
        ([*good, "--batch-size", "25", "--accumulate", "2"], "does not split"),
        ([*good, "--batch-size", "5000"], "the shards hold 240 pairs"),
        ([*good, "--precision", "fp16"], "is for GPUs"),
        ([*good, "--device", "warp"], "no such device"),
        ([*good, "--lock-image", "--lock-text"], "nothing to train"),
        ([*good, "--low-resolution", "17"], "a multiple of 8"),
        ([*good, "--start-from", str(tmp_path / "none.pt")], "no such file"),
        (["--config", str(tmp_path / "none.toml")], "no such configuration"),
        (["--preset", "huge"], "no preset 'huge'"),
    ]
    for arguments, words in cases:
        with pytest.raises(UserError, match=words):
            main(arguments)
    assert not (tmp_path / "x/log.jsonl").exists()


def test_a_checkpoint_of_another_run_is_refused(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert main(flags(shapes, tiny_model, tmp_path, "--steps", "2")) == 0
    for more, words in (
        (("--batch-size", "12"), "--batch-size 24, not 12"),
        (("--seed", "5"), "--seed 0, not 5"),
        (("--model", "ViT-tiny"), "is of a model with"),
        (("--no-resume",), "holds checkpoints already"),
    ):
        with pytest.raises(UserError, match=words):
            main([*flags(shapes, tiny_model, tmp_path, "--steps", "4"), *more])
    damaged = Path(checkpoint.newest(str(tmp_path)) or "")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        main(flags(shapes, tiny_model, tmp_path, "--steps", "4"))


def test_presets_files_and_flags_override_in_this_order(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('model = "RN50"\nbatch-size = 64\nlog_steps = 7\n')
    config = resolve(["--config", str(path), "--log-steps", "9"])
    assert (config.model, config.batch_size, config.log_steps) == ("RN50", 64, 9)
    assert (config.preset, config.beta2, config.epsilon) == ("clip-resnet", 0.999, 1e-8)
    vit = resolve(["--model", "ViT-L/14"])
    assert (vit.preset, vit.beta2, vit.epsilon, vit.batch_size, vit.epochs) == ("clip-vit", 0.98, 1e-6, 32768, 32)
    assert (vit.warmup_steps, vit.weight_decay, vit.beta1) == (2000, 0.2, 0.9)
    path.write_text("batchsize = 3\n")
    with pytest.raises(UserError, match="did you mean 'batch_size'"):
        resolve(["--config", str(path)])
    assert RunConfig().preset == "auto"


def test_help_does_not_import_torch() -> None:
    program = (
        "import sys\nsys.argv = ['x', '--help']\nimport runpy\n"
        "try:\n    runpy.run_module(sys.modules['builtins'].MODULE, run_name='__main__')\n"
        "except SystemExit: pass\nassert not {'torch', 'numpy', 'pyarrow'} & set(sys.modules), 'heavy import'\n"
    )
    for module in ("trainer.run", "trainer.evaluate", "trainer.export", "trainer.rerank", "trainer.models"):
        code = f"import builtins\nbuiltins.MODULE = {module!r}\n" + program
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, (module, done.stderr[-500:])
