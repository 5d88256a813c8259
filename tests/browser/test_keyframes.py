"""Keyframes that are not here yet: what is shown, clicked and asked for in the meantime."""

import explorer_scene as scene
import pytest

# The page keeps what is sent, and answers nothing.
SILENT = """x.sent = []; x.answers = x.model.send;
  x.model.send = async (message) => { x.sent.push(message); };"""


@pytest.fixture
def waiting(open_page):
    """The first of two keyframes is shown while the second one is waited for."""
    shown = open_page(scene.explorer(num_keyframes=2, mode="similarity"), keyframes=[0, 1])
    shown.run(SILENT)
    row = int(shown.alone()[0])
    place = shown.places()[0][row]
    shown.change(keyframe=1)
    return shown, row, place


def test_a_click_while_a_keyframe_loads_is_of_the_one_that_is_shown(waiting):
    shown, row, place = waiting
    shown.page.mouse.click(*place)
    shown.wait()
    assert (shown.state("picked"), shown.state("picked_in")) == ([row], 0)
    click = shown.run("return x.sent.find(({type}) => type === 'click')")
    assert (click["point"], click["keyframe"]) == (row, 0)
    assert shown.page.locator(".kx-status").inner_text().startswith(f"point {row} ")
    shown.run("x.select(Int32Array.of(4, 2), 'cloud')")
    assert shown.run("return x.sent.at(-1)") == {"type": "select", "place": "cloud", "keyframe": 0}
    assert "Keyframe 1 is shown until keyframe 2 is here" in hint(shown)


def hint(shown) -> str:
    return shown.page.locator(".kx-hint").inner_text()


def test_what_is_said_of_a_keyframe_is_of_the_one_that_is_shown(waiting):
    shown, *_ = waiting
    shown.run("x.setup.keyframes[1].scene = 'another'; x.showStatus()")
    assert shown.page.locator(".kx-status").inner_text().startswith("a scene")
    shown.change(picked=[1])  # a point of keyframe 1 without a feature of the teacher
    shown.change(feature_set="teacher")
    assert "The picked point has no feature in teacher" in hint(shown)


def test_a_keyframe_that_was_missed_is_asked_for_again(waiting):
    shown, *_ = waiting
    shown.run("x.playing.toggle(); x.link.missed('keyframe 1')")
    assert "Python does not answer" in hint(shown)
    assert shown.run("return x.playing.timer") == 0
    shown.run("x.model.send = x.answers")
    shown.change(keyframe=0)
    shown.change(keyframe=1)
    shown.page.wait_for_function("() => document.querySelector('.kx').explorer.data.keyframe === 1")
    assert hint(shown) == "Click a point to see which points have similar features"


def test_other_changes_beside_the_keyframe_are_done_at_once(waiting):
    shown, *_ = waiting
    assert shown.run("return x.stage.dataset.theme") == "dark"
    shown.change(keyframe=0, background="light", mode="labels")
    assert shown.run("return x.stage.dataset.theme") == "light"
    shown.change(keyframe=1, background="dark", mode="height")
    assert shown.run("return x.stage.dataset.theme") == "dark"
    assert shown.page.locator(".kx-legend-title").inner_text() == "Height"
