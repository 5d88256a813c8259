"""Settings of a distillation: what is refused, and the learning rate of each step."""

import dataclasses
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.distill.settings import DistillConfig


def test_every_setting_is_documented_by_itself():
    documented = re.findall(r"^        (\w+): ", DistillConfig.__doc__, re.MULTILINE)
    assert documented == [field.name for field in dataclasses.fields(DistillConfig)]


@pytest.mark.parametrize("name", ["loss", "schedule", "precision"])
def test_unknown_choices_are_refused_with_those_there_are(name):
    default = getattr(DistillConfig(), name)
    with pytest.raises(ValueError, match=rf"{name} must be one of \['{default}', .* got 'l1'"):
        DistillConfig(**{name: "l1"})


OUT_OF_RANGE = {
    "steps": [0, -1, 1.5, True],
    "batch_size": [0],
    "checkpoint_every": [0],
    "lr": [0, -1, 1e6, math.nan, math.inf],
    "min_lr": [-1e-9, 1, math.nan],
    "weight_decay": [-1, 1e9, math.nan],
    "warmup": [-0.1, 1.1, math.nan],
    "seed": [-1, 2**32, 0.5],
    "num_workers": [-1, 10**6],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in OUT_OF_RANGE for v in OUT_OF_RANGE[n]])
def test_a_value_out_of_range_is_named_with_its_range(name, value):
    # Not in the types of the dataclass, which tests check: values of a notebook are not checked.
    with pytest.raises(ValueError, match=rf"{name} must be a .*, got {re.escape(repr(value))}"):
        unchecked(**{name: value})


def unchecked(**values):
    """Settings without the type checks of the tests."""
    config = object.__new__(DistillConfig)
    for field in dataclasses.fields(DistillConfig):
        object.__setattr__(config, field.name, values.get(field.name, field.default))
    config.__post_init__()
    return config


numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 8, 0.5, 1e-3]))


@given(st.dictionaries(st.sampled_from(sorted(OUT_OF_RANGE)), numbers), st.booleans())
def test_accepted_settings_give_a_finite_learning_rate_at_every_step(values, rsqrt):
    try:
        config = unchecked(**values, schedule="rsqrt" if rsqrt else "cosine")
    except ValueError as error:
        assert any(str(error).startswith(f"{name} must be") for name in OUT_OF_RANGE)
        return
    steps = {0, 1, config.steps // 2, config.steps - 1}
    rates = [config.lr_at(step) for step in steps if step < config.steps]
    assert all(0 < rate <= config.lr * (1 + 1e-9) for rate in rates)


def test_the_cosine_schedule_ends_near_the_lowest_rate():
    config = DistillConfig(steps=1000, lr=1.0, min_lr=0.1, warmup=0.1)
    rates = [config.lr_at(step) for step in range(1000)]
    assert rates.index(max(rates)) == 100 and max(rates) == 1
    assert 0.1 < rates[-1] < 0.1001


def test_the_rsqrt_schedule_ends_near_zero():
    config = replace(DistillConfig(), schedule="rsqrt", steps=650, lr=1.0)
    rates = [config.lr_at(step) for step in range(650)]
    assert max(rates) == pytest.approx(1.0, rel=0.01) and 0 < rates[-1] < 0.01
