"""State dicts: found in any file, freed from prefixes where only one fits, and checked."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kit.store.state_dict import (
    check_values,
    misfits,
    prefix_of,
    some,
    state_dicts_in,
    without_wrappers,
)

STATE = {"embed.weight": torch.ones(2, 3), "norm.bias": torch.zeros(2)}
NAMES = ("embed.weight", "norm.bias")
words = st.text("abcdefgh_", min_size=1, max_size=6)


def under(prefix, state=STATE):
    return {prefix + name: value for name, value in state.items()}


@given(st.lists(words, max_size=3), st.lists(words, max_size=2))
def test_one_network_is_found_under_any_keys_and_any_prefix(keys, parts):
    prefix = "".join(f"{part}." for part in parts)
    content = under(prefix)
    for key in reversed(keys):
        content = {key: content, "epoch": 3}
    found = state_dicts_in(content)
    assert list(found) == [".".join(keys)]
    assert prefix_of(found[".".join(keys)], NAMES, "file") == prefix


@given(st.lists(st.sampled_from(["module.", "_orig_mod."]), max_size=4))
def test_wrappers_are_removed_however_many_there_are(wrappers):
    assert list(without_wrappers(under("".join(wrappers)))) == list(NAMES)


def test_names_that_only_contain_a_wrapper_stay():
    assert list(without_wrappers({"my_module.weight": torch.ones(1)})) == ["my_module.weight"]


def test_two_networks_of_one_kind_are_listed():
    with pytest.raises(ValueError, match=r"a\.pth: holds 2 networks .* 'ema\.', 'student\.'"):
        prefix_of(under("student.") | under("ema."), NAMES, "a.pth")
    assert prefix_of(STATE | under("ema."), NAMES, "a.pth") == ""  # its own names come first


def test_a_prefix_must_hold_all_names():
    assert (
        prefix_of({"a.embed.weight": torch.ones(1), "b.norm.bias": torch.ones(1)}, NAMES, "")
        is None
    )


def test_deep_and_strange_content_is_searched_without_an_error():
    content = {"a": 1, 3: {"x": torch.ones(1)}, "b": [STATE], "c": {"d": {"e": {"f": STATE}}}}
    assert state_dicts_in(content) == {}
    assert state_dicts_in([STATE]) == state_dicts_in(None) == {}


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_first_tensor_that_is_not_finite_is_named(dtype, value):
    bad = torch.tensor([1.0, value, 2.0]).to(dtype)
    with pytest.raises(ValueError, match=r"a\.pth: second holds 1 values of 3 that are NaN or inf"):
        check_values({"first": torch.ones(2), "second": bad, "third": bad}, "a.pth")


def test_finite_tensors_and_counters_pass():
    check_values({**STATE, "count": torch.tensor(3), "mask": torch.tensor([True])}, "a.pth")
    with pytest.raises(ValueError, match="w holds complex numbers"):
        check_values({"w": torch.ones(2, dtype=torch.complex64)}, "a.pth")


def test_shapes_and_kinds_that_differ_are_described():
    state = {"embed.weight": torch.ones(3, 2), "norm.bias": torch.zeros(2, dtype=torch.int8)}
    assert list(misfits(state, STATE)) == [
        "embed.weight: (3, 2) in the file, (2, 3) expected",
        "norm.bias: torch.int8 in the file, torch.float32 expected",
    ]
    assert list(misfits({"other": torch.ones(1)}, STATE)) == []


def test_many_names_are_shortened():
    assert some(["a", "b"]) == "a, b"
    assert some([str(n) for n in range(9)], 3) == "0, 1, 2, ..."
