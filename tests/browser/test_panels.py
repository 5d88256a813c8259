"""Several panels: clicks in each are of its own set, also where screens have more pixels."""

import explorer_scene as scene
import numpy as np
import pytest
import torch


def two_predictions() -> dict:
    """Of two sets: the left half of all points is class 3 in one and class 10 in the other."""
    left = scene.keyframe().points[:, 0] < 0
    return {
        "teacher": torch.where(left, 3, 10),
        "distilled": torch.where(left, 10, 3),
    }


@pytest.mark.parametrize("compare", ["side_by_side", "swipe_with"])
def test_points_that_a_panel_hides_are_not_picked_in_it_and_those_it_shows_are(open_page, compare):
    explorer = scene.explorer(mode="predictions", predictions=two_predictions())
    shown = open_page(explorer)
    value = True if compare == "side_by_side" else "teacher"
    shown.change(feature_set="distilled", hidden_classes=[3], **{compare: value})
    code = """const found = [];
      for (const panel of x.panels) {
        const place = x.placing(x.state.view, panel);
        for (let point = 0; point < x.data.count; point += 7)
          place(x.data.arrays.position.subarray(3 * point, 3 * point + 3), (left, y) => {
            const {left: start, top} = x.canvas.getBoundingClientRect();
            const event = {clientX: start + left / x.pixels, clientY: top + y / x.pixels};
            found.push([panel.number, x.pointAt(event)]);
          });
      }
      return found.filter(([, point]) => point >= 0)"""
    found = shown.run(code)
    names = explorer.content.sets
    for number in {number for number, _ in found}:
        predicted = explorer.content.predictions.get(names[number])
        hits = np.array([point for each, point in found if each == number])
        assert len(hits) > 10
        if predicted is not None:
            assert (predicted[0][hits] == 10).all()
    lasso = """const panel = x.panels.at(-1);
      x.selection.ofLasso([[0, 0], [9999, 0], [9999, 9999], [0, 9999]], panel);
      return [panel.number, [...x.selection.numbers]]"""
    number, points = shown.run(lasso)
    assert len(points) > 20
    assert (explorer.content.predictions[names[number]][0][points] == 10).all()


def test_the_pick_radius_is_the_same_on_every_screen_and_after_a_coarse_frame(shown):
    shown.change(mode="height")
    uv, _ = shown.places()
    box = shown.page.locator(".kx-cloud").bounding_box()
    code = """const [at, ratios] = given, {view} = x.state, found = [];
      for (const ratio of ratios) {
        const panel = {...x.panels[0]};
        for (const name of ['width', 'height']) panel[name] *= ratio;
        const style = {...x.style(), pixelRatio: ratio};
        found.push(at.map(([left, top]) =>
          x.cloud.pointAt(panel, left * ratio, panel.height - top * ratio, view, style)));
      }
      return found"""
    points = shown.alone(margin=30)
    near = uv[points] - [box["x"], box["y"]] + [6.5, 0]
    one, two, half = shown.run(code, [near.tolist(), [1, 2, 0.5]])
    assert one == points.tolist() == two == half
    far = near + [4.5, 0]  # 11 pixels of the page from the point
    for found in shown.run(code, [far.tolist(), [1, 2, 0.5]]):
        assert not set(found) & set(points.tolist())


def test_a_click_takes_the_nearest_of_the_images_in_space(open_page):
    """Two cameras look the same way, one from four metres behind the other."""
    from dataclasses import replace

    frame = scene.keyframe()
    ahead, behind = (scene.camera(name, 0.0, (90, 90, 90)) for name in ("CAM_A", "CAM_B"))
    T = behind.T_cam_lidar.clone()
    T[2, 3] += 4.0
    explorer = scene.explorer()
    frame = replace(frame, cameras={"CAM_A": ahead, "CAM_B": replace(behind, T_cam_lidar=T)})
    shown = open_page(type(explorer)(frame, mode="height"))
    view = {"target": [0.1, 0.2, 0.5], "azimuth": 180, "elevation": 0, "distance": 12, "fov": 50}
    for azimuth, expected in ((180, "CAM_A"), (0, "CAM_B")):
        shown.change(view=view | {"azimuth": azimuth})
        shown.run("""const {left, top, width, height} = x.canvas.getBoundingClientRect();
          x.pointAt = () => -1;
          x.clickAt({clientX: left + width / 2, clientY: top + height / 2 + 4});""")
        assert shown.state("view")["camera"] == expected
        shown.run("x.flight = null")
