"""Linked explorers on one page: a drag in one moves the others in the same frame."""

import explorer_scene as scene
import pytest

SECOND = """document.body.style.overflow = 'auto';
x.root.style.cssText = 'height: 400px !important';
const root = document.createElement('div');
document.body.append(root);
const own = {linked: 'a'}, first = x.model, get = first.get;
first.get = (name) => name === 'linked' ? 'a' : get(name);
const model = {...first, get: (name) => name in own ? own[name] : structuredClone(get(name)),
  decoded: {...first.decoded, bitmaps: new Map()}, set: (name, value) => { own[name] = value; }};
root.explorer = window.y = new x.constructor(model, root);
window.own = own;
"""


@pytest.fixture
def two(open_page):
    shown = open_page(scene.explorer(mode="height"))
    shown.run(SECOND)
    shown.page.wait_for_function("() => window.y.frames > 0")
    shown.wait()
    return shown


def test_the_other_turns_while_the_first_is_dragged(two):
    box = two.page.locator(".kx-cloud").first.bounding_box()
    two.page.mouse.move(box["x"] + 500, box["y"] + 60)
    two.page.mouse.down()
    for step in range(1, 4):
        two.page.mouse.move(box["x"] + 500 + 30 * step, box["y"] + 60 + 5 * step)
        first, second = two.run("return [x.state.view, y.state.view]")
        assert first == second and second["azimuth"] != two.explorer.view["azimuth"]
        assert two.run("return y.stale || y.frames > 0 && y.moving > 0")
    two.page.mouse.up()
    assert two.errors == []


def test_picks_and_views_that_are_chosen_are_those_of_both(two):
    two.run("x.click(20, {}, 'cloud')")
    assert two.run("return [y.state.picked, own.picked, x.state.picked]") == [[20]] * 3
    two.run("y.change({picked: [3], negatives: [4]})")
    assert two.run("return [x.state.picked, x.state.negatives]") == [[3], [4]]
    two.run("y.change({mode: 'labels'})")
    assert two.state("mode") == "height"
    two.run("x.viewFrom('CAM_FRONT')")
    assert two.run("return [y.state.view.camera, y.follow.value]") == ["CAM_FRONT"] * 2
    two.run("x.turn(9, 0)")
    assert two.run("return ['camera' in y.state.view, y.follow.value]") == [False, ""]


def test_explorers_of_no_group_or_of_another_stay_as_they_are(two):
    two.run("own.linked = 'b'; x.turn(30, 0); x.change({picked: [5]})")
    assert two.run("return [y.state.view.azimuth, y.state.picked]") == [0, []]
    two.run("own.linked = 'a'; y.close(); x.turn(30, 0); x.change({picked: [6]})")
    assert two.run("return y.state.picked") == [] and two.errors == []
