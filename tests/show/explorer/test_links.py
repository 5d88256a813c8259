"""Links: the state comes back as a whole, or the explorer stays as it was."""

import pytest
import traitlets
from explorer_scene import explorer, keyframe

from kit.show.explorer.links import link_of


def sequence():
    """Two keyframes of 900 and 1,200 points."""
    from kit.show import Explorer

    return Explorer([keyframe(0, 900), keyframe(1, 1_200)])


def test_a_link_to_a_pick_in_a_longer_keyframe_is_restored():
    first = sequence()
    first.picked_in, first.keyframe = 1, 1
    first.picked = [1_100]
    second = sequence()
    second.restore(first.link)
    assert (second.picked, second.picked_in, second.keyframe) == ([1_100], 1, 1)


@pytest.mark.parametrize(
    "wrong", [{"picked": [5_000]}, {"mode": "depth"}, {"point_size": "large"}, {"keyframe": 9}]
)
def test_a_link_that_does_not_fit_changes_nothing(wrong):
    shown = explorer(mode="labels")
    before = {name: getattr(shown, name) for name in shown.state_names()}
    good = {"background": "light", "swipe": 0.2, "picked": [7], "view": shown.view | {"fov": 30.0}}
    with pytest.raises(traitlets.TraitError):
        shown.restore(link_of(good | wrong))
    assert {name: getattr(shown, name) for name in shown.state_names()} == before


def test_what_is_observed_sees_the_whole_state():
    shown, seen = sequence(), []
    shown.observe(lambda change: seen.append((shown.picked, shown.picked_in)), ["picked"])
    shown.restore(link_of({"picked": [1_100], "picked_in": 1}))
    assert seen == [([1_100], 1)]
