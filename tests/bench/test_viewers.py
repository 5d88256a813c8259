"""Rows of the bench of the explorer for other viewers."""

import re

import numpy as np
import pytest

from kit.bench import _browser, _viewers
from kit.bench._viewers import VIEWERS, Viewer, other_viewers

POINTS = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
PAGE = """<canvas width="300" height="300"></canvas><script>
const gl = document.querySelector("canvas").getContext("webgl2"), started = performance.now();
window.turned = [];
const draw = () => {
  if (performance.now() - started < 400) return requestAnimationFrame(draw);
  gl.enable(gl.SCISSOR_TEST);
  for (let i = 0; i < 100; i++) {
    gl.scissor(3 * i, 0, 3, 300);
    gl.clearColor(i / 100, 0, 1 - i / 100, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }
};
draw();
</script>"""


def test_a_viewer_that_is_not_installed_says_how_to_install_it(monkeypatch, tmp_path):
    missing = [Viewer("plotly", VIEWERS[0].show, "canvas", "", "two words", needs=("no_module",))]
    monkeypatch.setattr(_viewers, "VIEWERS", missing)
    (row,) = other_viewers(None, tmp_path, POINTS)
    assert row.value is None and row.name.endswith("(pip install two words)")


def test_the_first_picture_is_the_first_with_many_colours(monkeypatch, tmp_path):
    def show(points, rgb, folder):
        assert points is POINTS and rgb.shape == POINTS.shape and rgb.dtype == np.uint8
        return _viewers._page(folder / "page.html", PAGE)

    turn = "window.turned.push(turned);"
    monkeypatch.setattr(_viewers, "VIEWERS", [Viewer("json", show, "canvas", turn, "")])
    if reason := _browser.why_no_browser():
        pytest.skip(reason)
    with _browser.playwright() as driver, _browser.chromium(driver) as browser:
        rows = list(other_viewers(browser, tmp_path, POINTS))
    assert [re.sub(".*: ", "", row.name) for row in rows] == [
        "page opened to first picture",
        "orbit",
    ]
    assert 0.4 < rows[0].value < 10 and rows[1].value > 1


def test_every_viewer_names_its_packages():
    assert {viewer.name for viewer in VIEWERS} == {"k3d", "plotly", "pyvista", "rerun"}
    assert next(v for v in VIEWERS if v.name == "plotly").is_installed
