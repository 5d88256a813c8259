"""The bench of losses: every loss has its inputs, and its gradient is finite."""

import pytest
import torch

from kit.bench.losses import inputs_of, loss_run
from kit.distill.losses import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_measured(name):
    gradient = loss_run(name, inputs_of(64))()
    assert gradient.shape == (64, 432)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    assert torch.equal(inputs_of(64).classes, inputs_of(64).classes)
