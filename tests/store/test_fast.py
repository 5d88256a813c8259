"""`kit.fast`: small settings if KIT_FAST is set, otherwise those for a reader."""

import pytest

import kit


@pytest.mark.parametrize("value", ["1", "yes", "true"])
def test_kit_fast_chooses_the_small_setting(monkeypatch, value):
    monkeypatch.setenv("KIT_FAST", value)
    assert kit.fast(300, 20) == 20


@pytest.mark.parametrize("value", ["", "0"])
def test_empty_and_zero_mean_not_set(monkeypatch, value):
    monkeypatch.setenv("KIT_FAST", value)
    assert kit.fast(300, 20) == 300


def test_without_the_variable_a_reader_gets_the_normal_setting(monkeypatch):
    monkeypatch.delenv("KIT_FAST", raising=False)
    assert kit.fast(None, 3) is None


def test_the_variable_is_read_at_every_call(monkeypatch):
    monkeypatch.setenv("KIT_FAST", "1")
    assert kit.fast("long", "short") == "short"
    monkeypatch.delenv("KIT_FAST")
    assert kit.fast("long", "short") == "long"
