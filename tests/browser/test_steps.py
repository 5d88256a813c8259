"""The slider of a feature set with steps: it swaps the features, and a click keeps its answer."""

import explorer_scene as scene
import numpy as np
import pytest

from kit.show import Explorer, Steps

LAYERS = {"1": (1, 24), "2": (2, 16), "head": (3, 48)}


@pytest.fixture(scope="module")
def stepped(save_and_open, tmp_path_factory):
    """A teacher, and a student with three steps."""
    frame = scene.keyframe()
    layers = {label: scene.features(frame, *args) for label, args in LAYERS.items()}
    sets = {"teacher": scene.features(frame, 0), "student": Steps(layers, "layer")}
    made = Explorer(frame, sets, mode="similarity", feature_set="student", picked=[7])
    shown = save_and_open(made, tmp_path_factory.mktemp("steps") / "page.html")
    yield shown
    shown.page.close()


def test_the_slider_swaps_the_features_and_the_click_is_answered_again(stepped):
    slider, value = (stepped.page.locator(f".kx-steps .kx-{name}") for name in ("slider", "value"))
    assert stepped.page.locator(".kx-sets button").all_inner_texts() == ["teacher", "student"]
    assert value.inner_text() == "layer head"
    for at, label in enumerate(LAYERS):
        stepped.drag_slider(".kx-steps .kx-slider", at)
        assert value.inner_text() == f"layer {label}"
        name = f"student: layer {label}"
        assert stepped.state("feature_set") == name and stepped.state("picked") == [7]
        expected, _ = stepped.explorer.similarity(name)
        error = np.abs(stepped.scores() - expected)
        assert np.median(error) < stepped.explorer.content.quantisers[name].error_99
    assert slider.evaluate("node => node.isConnected")


def test_keys_step_and_stop_at_the_ends(stepped):
    stepped.change(feature_set="student: layer 2")
    stepped.page.locator(".kx-cloud").focus()
    for key, label in (("]", "head"), ("]", "head"), ("[", "2"), ("[", "1"), ("[", "1")):
        stepped.page.keyboard.press(key)
        assert stepped.state("feature_set") == f"student: layer {label}"


def names(stepped) -> list[str]:
    """The names over the panels, without the ranges below them."""
    texts = stepped.page.locator(".kx-heading span").all_inner_texts()
    return [text.split("\n")[0] for text in texts]


def test_side_by_side_shows_one_step_beside_the_others(stepped):
    stepped.change(feature_set="student: layer 1", side_by_side=True)
    assert names(stepped) == ["teacher", "student: layer 1"]
    stepped.drag_slider(".kx-steps .kx-slider", 1)
    assert names(stepped) == ["teacher", "student: layer 2"]
    stepped.change(side_by_side=False)
    stepped.page.locator(".kx-sets button").first.click()
    assert stepped.state("feature_set") == "teacher"
    assert not stepped.page.locator(".kx-steps").is_visible()
    stepped.page.locator(".kx-sets button").last.click()
    assert stepped.state("feature_set") == "student: layer 2"  # as it was left


def test_names_stand_over_their_panels(stepped):
    """Also beside the tools of the last panel, and right of the line of a swipe."""
    stepped.change(feature_set="student: layer 1", side_by_side=True)
    stage = stepped.page.locator(".kx-stage").bounding_box()
    lefts = [each.bounding_box()["x"] for each in stepped.page.locator(".kx-heading span").all()]
    middle = stage["x"] + stage["width"] / 2
    assert lefts == pytest.approx([stage["x"] + 10, middle + 10], abs=2)
    stepped.change(side_by_side=False, swipe_with="teacher", swipe=0.3, mode="features")
    right = stepped.page.locator(".kx-heading span").last.bounding_box()["x"]
    assert right == pytest.approx(stage["x"] + 0.3 * stage["width"] + 10, abs=2)
    stepped.change(swipe_with="", mode="similarity")


def test_a_film_can_go_through_the_steps(stepped):
    stepped.change(feature_set="student: layer 1")
    stepped.page.locator("button[title='Save and share']").click()
    assert stepped.page.get_by_text("Steps (WebM)").is_visible()
    stepped.page.keyboard.press("Escape")
    assert stepped.errors == []
