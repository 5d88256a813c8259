"""The loss over several processes is that of one process with all pairs."""

import pytest
import tiny_distillation
import torch
from tiny_distillation import program

from kit import store


def test_loss_and_gradients_of_two_processes_are_those_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tiny_distillation.gradients(tmp_path / "one.safetensors")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    child = program("gradients", tmp_path / "two.safetensors", *torchrun)
    assert child.wait(timeout=180) == 0
    one, two = (store.load_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("one", "two"))
    of_first, of_both = two.pop("pairs"), one.pop("pairs")
    assert 0.55 < of_first / of_both < 0.95  # else a plain mean would do
    assert one.keys() == two.keys() and len(one) > 20
    assert float(two["loss"]) == pytest.approx(float(one["loss"]), rel=1e-5)
    scale = max(value.abs().max() for value in one.values())
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-3, atol=1e-6 * scale)
    assert any(torch.count_nonzero(value) for value in one.values())
