"""The view of a camera is the same in the browser and in pictures drawn by Python."""

import numpy as np

from kit.show.explorer.viewpoint import viewpoint_of
from kit.show.png.splat import project

PLACES = """const [panel] = x.panels, place = x.placing(x.state.view, panel);
const {position} = x.data.arrays;
return Array.from({length: x.data.count}, (_, i) => {
  let found = null;
  place(position.subarray(3 * i, 3 * i + 3), (left, top) => { found = [left, top]; });
  return found;
});"""


def test_points_have_the_same_places(shown):
    view = shown.explorer.view | {"camera": "CAM_RIGHT"}
    shown.change(view=view)
    places, [width, height] = shown.run(
        "const all = (() => { %s })(); return [all, [x.canvas.width, x.canvas.height]]" % PLACES  # noqa: UP031
    )
    shown.explorer.view = shown.state("view")
    points = shown.explorer.content.keyframes[0].points.numpy().astype(np.float64)
    uv, depth = project(points, viewpoint_of(shown.explorer, width / height), (height, width))
    inside = (depth > 1) & (uv > 0).all(1) & (uv < [width, height]).all(1)
    shown.explorer.view = {name: view[name] for name in view if name != "camera"}
    assert inside.sum() > 50
    found = np.array([places[i] for i in np.flatnonzero(inside)])
    np.testing.assert_allclose(found, uv[inside], atol=0.05)
