"""Settings of a distillation: what is refused, and the learning rate of each step."""

import dataclasses
import re
from dataclasses import replace

import pytest

from kit.distill.settings import DistillConfig


def test_every_setting_is_documented_by_itself():
    documented = re.findall(r"^        (\w+): ", DistillConfig.__doc__, re.MULTILINE)
    assert documented == [field.name for field in dataclasses.fields(DistillConfig)]


def test_unknown_losses_and_schedules_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"loss must be one of \['l2', .* got 'l1'"):
        DistillConfig(loss="l1")
    with pytest.raises(ValueError, match=r"schedule one of \['cosine', 'rsqrt'\]"):
        DistillConfig(schedule="linear")


@pytest.mark.parametrize("name", ["steps", "batch_size", "checkpoint_every"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match="must be at least 1"):
        DistillConfig(**{name: 0})


def test_the_cosine_schedule_ends_near_the_lowest_rate():
    config = DistillConfig(steps=1000, lr=1.0, min_lr=0.1, warmup=0.1)
    rates = [config.lr_at(step) for step in range(1000)]
    assert rates.index(max(rates)) == 100 and max(rates) == 1
    assert 0.1 < rates[-1] < 0.1001


def test_the_rsqrt_schedule_ends_near_zero():
    config = replace(DistillConfig(), schedule="rsqrt", steps=650, lr=1.0)
    rates = [config.lr_at(step) for step in range(650)]
    assert max(rates) == pytest.approx(1.0, rel=0.01) and 0 < rates[-1] < 0.01
