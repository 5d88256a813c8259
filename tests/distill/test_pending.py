"""Losses that are read later: the same rows, and a loss that is not finite keeps its step."""

import pytest
import torch
from tiny_distillation import CONFIG, run, same_weights

from kit import store
from kit.distill import pending
from kit.distill.pending import PendingRows
from kit.distill.settings import DistillConfig
from kit.distill.step import DistillStep

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def rows_of(device, losses):
    """Rows added one after the other; returns what was recorded after each."""
    history, recorded, after = [], [], []
    rows = PendingRows(history, recorded.append, DistillConfig(lr=0.1), device)
    for step, loss in enumerate(losses):
        rows.add({"step": step, "loss": torch.tensor(loss), "pairs": 7})
        after.append(len(recorded))
    rows.read()
    assert history == recorded
    return history, after


def test_losses_are_read_at_every_step_on_a_cpu_and_after_some_on_a_gpu():
    losses = [1 / (step + 1) for step in range(25)]
    on_cpu, after = rows_of(CPU, losses)
    assert after == list(range(1, 26))
    on_gpu, after = rows_of(GPU, losses)
    assert after == [0] * 9 + [10] * 10 + [20] * 6
    assert on_gpu == on_cpu
    assert [row["loss"] for row in on_cpu] == [torch.tensor(loss).item() for loss in losses]


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize("wrong", [float("nan"), float("-inf")])
def test_a_loss_that_is_not_finite_is_named_with_its_step(device, wrong):
    with pytest.raises(FloatingPointError, match=r"became (nan|-inf) at step 3: .* than 0.1"):
        rows_of(device, [1.0, 1.0, 1.0, wrong, wrong, 1.0])


def test_a_run_whose_losses_are_read_later_is_the_same(monkeypatch, tmp_path):
    one = run(tmp_path / "one")
    monkeypatch.setitem(pending.STEPS, "cpu", 3)
    other = run(tmp_path / "other")
    assert same_weights(one.student, other.student)
    for history in (other.history, store.read_jsonl(tmp_path / "other" / "history.jsonl")):
        assert [r["loss"] for r in history] == [r["loss"] for r in one.history]
        assert [r["step"] for r in history] == list(range(CONFIG.steps))


def test_a_run_with_a_loss_that_is_not_finite_ends_before_the_next_checkpoint(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(pending.STEPS, "cpu", 10)
    step, calls = DistillStep.__call__, []

    def wrong(self, batch, lr):
        calls.append(1)
        return step(self, batch, lr) * (float("nan") if len(calls) == 4 else 1)

    monkeypatch.setattr(DistillStep, "__call__", wrong)
    with pytest.raises(FloatingPointError, match="nan at step 3"):
        run(tmp_path)
    assert store.load_checkpoint(tmp_path).step == 2
    assert len(store.read_jsonl(tmp_path / "history.jsonl")) == 3
