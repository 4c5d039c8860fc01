"""A broken step: found at once, never applied, never stored; and the advice that is printed then."""

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.guard import IN_A_ROW, LEAST, Guard
from trainer.run import main
from trainer.step import Stepper
from webimagetext.errors import UserError

NAN = math.nan


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


Break = Callable[..., None]


@pytest.fixture
def break_steps(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Multiplies the loss and the gradient of steps, counted from 1, by a factor; spoils the buffers too."""

    def set_up(steps: Container[int], factor: float = NAN, *, of_loss: bool = True) -> None:
        original = Stepper.gradient

        def gradient(self: Stepper, step: int, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            loss = original(self, step, images, ids)
            if step + 1 in steps:
                for parameter in self.model.parameters():
                    if parameter.grad is not None:
                        parameter.grad *= factor
                for buffer in self.model.visual.buffers():
                    if buffer.is_floating_point():
                        buffer *= factor
                return loss * factor if of_loss else loss
            return loss

        monkeypatch.setattr(Stepper, "gradient", gradient)

    return set_up


def steps_kept(output: Path) -> list[int]:
    return [checkpoint.step_of(url) for url in checkpoint.all_in(str(output))]


def events(output: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


def all_finite(output: Path) -> bool:
    return all(not checkpoint.not_finite(checkpoint.read(url)) for url in checkpoint.all_in(str(output)))


EVERY_FIVE = ("--steps", "30", "--log-steps", "100", "--checkpoint-steps", "5", "--checkpoint-minutes", "0")


@pytest.mark.parametrize(
    ("first", "keep", "kept", "of_loss"),
    [
        (13, 3, [5, 10], True),  # between two checkpoints
        (16, 3, [5, 10], False),  # what is stored at 15 leads to it
        (15, 3, [5, 10], True),  # noticed while that is to be written
        (16, 1, [10], True),
        (23, 2, [15, 20], False),
    ],
)
def test_a_broken_step_is_found_at_once_and_the_advice_works(
    shapes: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_steps: Break,
    capsys: pytest.CaptureFixture[str],
    first: int,
    keep: int,
    kept: list[int],
    of_loss: bool,
) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, *EVERY_FIVE, "--keep", str(keep))
    break_steps(range(first, 99), of_loss=of_loss)
    with pytest.raises(UserError) as told:
        main(arguments)
    assert told.value.problem.startswith(f"step {first}: the {'loss' if of_loss else 'gradient'}")
    assert steps_kept(tmp_path) == kept and all_finite(tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    # What the remedy says: a lower rate, and the same command.
    assert told.value.remedy.startswith("lower --learning-rate")
    step = int(re.search(r"goes on from step (\d+)", told.value.remedy)[1])
    assert step == kept[-1]
    capsys.readouterr()
    assert main([*arguments, "--learning-rate", "0.0005"]) == 0
    assert f"from step {step}" in capsys.readouterr().err
    assert all_finite(tmp_path) and steps_kept(tmp_path)[-1] == 30


def test_a_rate_that_is_far_too_high_and_the_advice(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, *EVERY_FIVE)
    with pytest.raises(UserError, match="it did not move the weights") as told:
        main([*arguments, "--learning-rate", "1e30"])
    assert "lower --learning-rate: the same command then goes on from the beginning" in told.value.remedy
    assert main(arguments) == 0
    assert all_finite(tmp_path)


def test_where_only_a_checkpoint_that_leads_nowhere_is_left_the_advice_is_another(
    shapes: Path, tiny_model: Path, tmp_path: Path, break_steps: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = flags(shapes, tiny_model, tmp_path / "a", *EVERY_FIVE)
    break_steps([6])
    with pytest.raises(UserError) as told:
        main(arguments)
    assert steps_kept(tmp_path / "a") == [5]
    assert "begin anew into another --output with a lower --learning-rate" in told.value.remedy
    # The other advice: the step is passed over.
    assert "--skip-spikes 10 passes over" in told.value.remedy
    assert main([*arguments, "--skip-spikes", "10"]) == 0
    assert events(tmp_path / "a", "skipped")[0]["step"] == 6
    assert steps_kept(tmp_path / "a") == [20, 25, 30] and all_finite(tmp_path / "a")


@pytest.mark.parametrize("kind", ["vit", pytest.param("resnet", marks=pytest.mark.slow)])
def test_spikes_are_passed_over_and_counted(
    shapes: Path, tiny_model: Path, tmp_path: Path, break_steps: Break, kind: str
) -> None:
    if kind == "resnet":
        words = tiny_model.read_text().replace("vision_layers = 2", "vision_layers = [1, 1, 1, 1]")
        words = words.replace("vision_width = 32", "vision_width = 8").replace("patch_size = 8", "patch_size = 0")
        tiny_model = tmp_path / "resnet.toml"
        tiny_model.write_text(words)
    break_steps([19])
    break_steps([22], 1e4)
    break_steps([5], 50.0)  # there is no median yet
    more = ("--steps", "24", "--skip-spikes", "20", "--ema", "0.9", "--checkpoint-steps", "1", "--keep", "99")
    assert main(flags(shapes, tiny_model, tmp_path / "a", *more)) == 0
    skipped = events(tmp_path / "a", "skipped")
    assert [event["step"] for event in skipped] == [19, 22]
    assert skipped[0]["loss"] == "nan" and skipped[1]["loss"] > 1e3 and skipped[1]["gradient_norm"] > 1e3
    assert [event["skipped"] for event in events(tmp_path / "a", "step")][-1] == 2
    read = {checkpoint.step_of(url): checkpoint.read(url) for url in checkpoint.all_in(str(tmp_path / "a"))}
    for before, after, same in ((18, 19, True), (21, 22, True), (20, 21, False), (4, 5, False)):
        pairs = [(read[before].model[name], read[after].model[name]) for name in read[before].model]
        pairs += [
            (value, read[after].optimizer["state"][name][key])
            for name, state in read[before].optimizer["state"].items()
            for key, value in state.items()
        ]
        assert all(torch.equal(*pair) for pair in pairs) == same, (before, after)
    assert all_finite(tmp_path / "a")


def test_a_run_that_passes_over_steps_is_resumed_exactly(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    # A factor near 1 refuses ordinary steps, so that each decision hangs on the steps before.
    more = ("--steps", "32", "--skip-spikes", "1.1", "--checkpoint-steps", "1", "--keep", "99")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(flags(shapes, tiny_model, whole, *more)) == 0
    shutil.copytree(whole, broken)
    for last in (25, 19):
        for path in (broken / "checkpoints").glob("*.pt"):
            if int(path.stem[5:]) > last:
                path.unlink()
        (broken / "summary.json").unlink()
        assert main(flags(shapes, tiny_model, broken, *more)) == 0
        ours, theirs = weights(broken), weights(whole)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert 1 < len({event["step"] for event in events(whole, "skipped")}) < 15
    assert losses(broken) == losses(whole)


def test_in_half_precision_the_scaler_passes_over_gradients_and_the_guard_over_losses(
    shapes: Path, tiny_model: Path, tmp_path: Path, break_steps: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda kind, enabled: scaler(kind, enabled=True))
    break_steps([4], math.inf, of_loss=False)
    more = ("--steps", "8", "--checkpoint-steps", "1", "--keep", "99")
    assert main(flags(shapes, tiny_model, tmp_path, *more)) == 0  # as is usual while the scale is being found
    read = [dict(checkpoint.read(url).model) for url in checkpoint.all_in(str(tmp_path))]
    unmoved = [all(torch.equal(a[name], b[name]) for name in a) for a, b in itertools.pairwise(read)]
    assert unmoved == [step == 4 for step in range(2, 9)]
    break_steps([10])
    with pytest.raises(UserError, match="step 10: the loss is nan"):
        main(flags(shapes, tiny_model, tmp_path, *more, "--steps", "12"))
    assert main(flags(shapes, tiny_model, tmp_path, *more, "--steps", "12", "--skip-spikes", "10")) == 0
    assert events(tmp_path, "skipped")[0]["step"] == 10 and all_finite(tmp_path)


def test_steps_that_are_all_broken_end_the_run(
    shapes: Path, tiny_model: Path, tmp_path: Path, break_steps: Break
) -> None:
    break_steps(range(12, 999))
    with pytest.raises(UserError, match=f"step {11 + IN_A_ROW}: the loss is nan") as told:
        main(flags(shapes, tiny_model, tmp_path, *EVERY_FIVE, "--skip-spikes", "4"))
    assert "from step 10" in told.value.remedy and "--skip-spikes" not in told.value.remedy
    assert steps_kept(tmp_path) == [10] and all_finite(tmp_path)


def decide(guard: Guard, values: list[tuple[float, float]], first: int = 1) -> list[bool]:
    """Which steps are applied."""
    applied = []
    for step, (loss, norm) in enumerate(values, first):
        applied.append(not bool(guard.refuse(step, torch.tensor(loss), torch.tensor(norm))))
        guard.look()
    return applied


def test_what_the_guard_refuses() -> None:
    assert decide(Guard(0, {}), [(1, 1), (NAN, 1), (1, math.inf), (1e9, 1e9)]) == [True, False, False, True]
    calm = [(2.0, 1.0)] * (LEAST + 1)
    for last, applied in (((6.0, 3.0), True), ((6.01, 1.0), False), ((2.0, 3.01), False), ((0.0, 0.0), True)):
        assert decide(Guard(3, {}), [*calm, last])[-1] == applied
    # Before there is a median only what is not finite is refused.
    assert decide(Guard(3, {}), [(2.0, 1.0)] * 3 + [(99.0, 99.0), (NAN, 1.0)]) == [True] * 4 + [False]
    # Where all of them grow, the median follows.
    assert decide(Guard(3, {}), [*calm, *[(2.0, 9.0)] * 60])[-1]


@pytest.mark.parametrize("cut", [1, 15, 17, 18, 30])
def test_the_guard_goes_on_from_its_state(cut: int) -> None:
    generator = torch.Generator().manual_seed(3)
    values = [tuple(pair) for pair in (torch.rand(80, 2, generator=generator) + 0.5).tolist()]
    values[40] = (NAN, 1.0)
    whole = Guard(1.2, {})
    expected = decide(whole, values)
    first = Guard(1.2, {})
    found = decide(first, values[:cut])
    second = Guard(1.2, json.loads(json.dumps(first.state())))
    assert [*found, *decide(second, values[cut:], cut + 1)] == expected
    assert 10 < sum(expected) < 79
    assert second.skipped == whole.skipped


def state(step: int, value: float = 1.0, moment: float = 0.0) -> checkpoint.Checkpoint:
    optimizer = {"state": {"a": {"exp_avg": torch.tensor([moment])}}, "param_groups": []}
    return checkpoint.Checkpoint(step, 1.0, {"a": torch.tensor([0.0, value])}, optimizer, {}, {}, {}, "{}", {})


def test_no_checkpoint_is_written_that_is_not_finite(tmp_path: Path) -> None:
    checkpoint.write(str(tmp_path), state(1), 1)
    for bad, name in ((state(2, NAN), "a is"), (state(2, 1.0, math.inf), "exp_avg of a is")):
        with pytest.raises(UserError, match=f"step 2: {name} not finite any more"):
            checkpoint.write(str(tmp_path), bad, 1)
    assert steps_kept(tmp_path) == [1]


def test_the_newest_that_is_known_to_be_good_is_never_removed(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.write(str(tmp_path), state(step), 1, good=step)
    assert steps_kept(tmp_path) == [2, 3]
    checkpoint.write(str(tmp_path), state(4), 1, good=3)
    assert steps_kept(tmp_path) == [2, 4]
    for step in (5, 6, 7):
        checkpoint.write(str(tmp_path), state(step), 2, good=step)
    assert steps_kept(tmp_path) == [6, 7]
    # What lies behind is of a time that was given up.
    checkpoint.write(str(tmp_path), state(5), 2, good=5)
    assert steps_kept(tmp_path) == [5]


def test_a_checkpoint_with_broken_numbers_is_not_gone_on_from(
    shapes: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--checkpoint-steps", "5")
    assert main([*arguments, "--steps", "10"]) == 0
    newest = checkpoint.newest(str(tmp_path))
    content = torch.load(newest, weights_only=True)
    content["model"]["logit_scale"].fill_(NAN)
    torch.save(content, newest)
    capsys.readouterr()
    assert main([*arguments, "--steps", "12"]) == 0
    said = capsys.readouterr().err
    assert f"{newest}: logit_scale is not finite; the one before is looked for" in said and "from step 5" in said
    assert all_finite(tmp_path)


def test_the_factor_is_checked(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    for factor in ("1", "-3", "nan"):
        with pytest.raises(UserError, match="--skip-spikes"):
            main(flags(shapes, tiny_model, tmp_path, "--skip-spikes", factor))
