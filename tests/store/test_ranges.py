"""Range checks name the field, the value and the range; nothing outside passes."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.store.ranges import check_number, check_whole


@dataclass(frozen=True)
class Settings:
    size: Any


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=3)))
def test_a_whole_number_passes_exactly_inside_its_range(value):
    inside = type(value) is int and 1 <= value <= 100
    if inside:
        check_whole(Settings(value), 1, 100, "size")
    else:
        with pytest.raises(ValueError, match="^size must be a whole number from 1 to 100, got"):
            check_whole(Settings(value), 1, 100, "size")


@given(
    st.one_of(st.integers(-3, 3), st.floats(), st.floats(0, 1), st.none()),
    st.booleans(),
    st.booleans(),
)
def test_a_number_passes_exactly_inside_its_range(value, above, below):
    inside = value is not None and math.isfinite(value) and 0 <= value <= 1
    inside = inside and not (above and value == 0) and not (below and value == 1)
    if inside:
        check_number(Settings(value), 0, 1, "size", above=above, below=below)
    else:
        with pytest.raises(ValueError, match="^size must be a number, (above|at least) 0 and"):
            check_number(Settings(value), 0, 1, "size", above=above, below=below)


def test_every_entry_of_a_tuple_is_checked():
    check_whole(Settings((1, 2)), 1, 3, "size")
    with pytest.raises(ValueError, match="from 1 to 3, got 4"):
        check_whole(Settings((1, 4)), 1, 3, "size")
    with pytest.raises(ValueError, match="at most 3, got nan"):
        check_number(Settings((1.0, math.nan)), 1, 3, "size")


def test_a_huge_value_does_not_fill_the_message():
    with pytest.raises(ValueError) as error:
        check_whole(Settings("x" * 10_000), 1, 3, "size")
    assert len(str(error.value)) < 200
