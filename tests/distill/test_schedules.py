"""Learning-rate factors against the published schedules."""

import json
import re

import pytest

from kit.distill.schedules import warmup_cosine, warmup_rsqrt_cooldown


def read(path):
    oracle = json.loads(path.read_text())
    numbers = dict(re.findall(r"(\w+)=([\d.]+)", oracle["schedule"]))
    return oracle, {name: float(value) for name, value in numbers.items()}


def test_warmup_cosine_equals_the_published_schedule(oracles):
    oracle, numbers = read(oracles / "schedule_warmup_cosine.json")
    for step, factor in zip(oracle["it"], oracle["factor"], strict=True):
        got = warmup_cosine(
            step,
            warmup=int(numbers["warmup"]),
            total=int(numbers["total"]),
            minimum=numbers["factor_min"],
        )
        assert got == pytest.approx(factor, abs=1e-9), step


def test_rsqrt_equals_the_published_schedule(oracles):
    oracle, numbers = read(oracles / "schedule_rsqrt.json")
    for step, factor in zip(oracle["it"], oracle["factor"], strict=True):
        got = warmup_rsqrt_cooldown(
            step,
            warmup=int(numbers["warmup_end"]),
            total=int(numbers["max_it"]),
            cooldown=int(numbers["cooldown_start"]),
            timescale=numbers["timescale"],
        )
        assert got == pytest.approx(factor, abs=1e-9), step


def test_by_hand_without_warmup():
    assert warmup_cosine(0, warmup=0, total=10) == 1
    assert warmup_cosine(5, warmup=0, total=10) == pytest.approx(0.5)
    assert warmup_cosine(10, warmup=0, total=10) == pytest.approx(0)
    assert warmup_cosine(99, warmup=0, total=10, minimum=0.1) == pytest.approx(0.1)


def test_a_run_of_warmup_only_does_not_divide_by_zero():
    assert warmup_cosine(3, warmup=3, total=3) == 1
    assert warmup_rsqrt_cooldown(3, warmup=3, total=3, cooldown=2, timescale=1.0) == 0
