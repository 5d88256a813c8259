"""Linked explorers: one view and the same picks, until the link is ended."""

import gc

import pytest
from explorer_scene import explorer

from kit.show import link
from kit.show.explorer.linking import LINKED


def state(shown) -> dict:
    return {name: getattr(shown, name) for name in LINKED}


def test_they_begin_with_the_state_of_the_first_and_stay_equal():
    first, second, third = (explorer(2) for _ in range(3))
    first.picked_in, first.picked = 1, [4]
    end = link(first, second, third)
    assert state(second) == state(third) == state(first) and second.picked == [4]
    second.view = second.view | {"azimuth": 12.0}
    third.keyframe, third.picked = 1, [5, 6]
    assert state(first) == state(second) == state(third)
    assert first.view["azimuth"] == 12 and first.picked == [5, 6] and first.keyframe == 1
    first.mode = "labels"
    assert second.mode != "labels"  # colours stay those of each
    assert first.linked == third.linked != ""
    end()
    first.picked = [1]
    assert second.picked == [5, 6] and second.linked == ""


def test_a_click_of_the_browser_arrives_with_its_keyframe():
    """The browser's message sets several traits at once; no order of them is refused."""
    first, second = explorer(2), explorer(2)
    link(first, second)
    first.set_state({"picked": [7], "picked_in": 1, "negatives": [3], "keyframe": 1})
    assert state(second) == state(first) and second.negatives == [3]


def test_a_closed_explorer_is_left_out():
    first, second, third = (explorer() for _ in range(3))
    link(first, second, third)
    second.close()
    gc.collect()
    first.picked = [8]
    assert third.picked == [8]


def test_explorers_of_other_points_are_refused():
    with pytest.raises(
        ValueError, match=r"same keyframes; got explorers with \[\[900\], \[700\]\]"
    ):
        link(explorer(), explorer(count=700))
    with pytest.raises(ValueError, match="two or more"):
        link(explorer())
