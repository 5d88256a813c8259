"""The same cloud in other viewers that work in notebooks, where they are installed.

A viewer is a function that writes points and their colours into a page, and JavaScript for this
page: `drawn` waits until the cloud is on the screen, `turn` turns it by some degrees, `gl` is its
WebGL context.
"""

import importlib.util
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from kit.bench import Row
from kit.store import files as store

RADIUS = 40  # metres from the middle to the eye


@dataclass(frozen=True)
class Viewer:
    """Another viewer, see the module."""

    name: str
    write: Callable[[Float[np.ndarray, "N 3"], UInt8[np.ndarray, "N 3"]], str]
    drawn: str
    turn: str
    gl: str


def _with_k3d(points: Float[np.ndarray, "N 3"], rgb: UInt8[np.ndarray, "N 3"]) -> str:
    k3d = importlib.import_module("k3d")
    colours = rgb.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    plot = k3d.plot(camera_auto_fit=False, grid_visible=False)
    plot += k3d.points(points, colors=colours, point_size=0.1, shader="flat")
    plot.camera = [0, -RADIUS, RADIUS / 2, 0, 0, 0, 0, 0, 1]
    return plot.get_snapshot()


def _with_plotly(points: Float[np.ndarray, "N 3"], rgb: UInt8[np.ndarray, "N 3"]) -> str:
    graph = importlib.import_module("plotly.graph_objects")
    x, y, z = points.T
    marker = {"size": 1.5, "color": [f"rgb({r},{g},{b})" for r, g, b in rgb]}
    figure = graph.Figure(graph.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker))
    figure.update_layout(scene={"aspectmode": "data"})
    return figure.to_html(include_plotlyjs=True)


VIEWERS = (
    Viewer(
        "k3d",
        _with_k3d,
        "window.view = await K3DInstance; view.render();",
        f"""view.setCamera([{RADIUS} * Math.sin(turned), -{RADIUS} * Math.cos(turned), {RADIUS / 2},
            0, 0, 0, 0, 0, 1]); view.render();""",
        "view.getWorld().renderer.getContext()",
    ),
    Viewer(
        "plotly",
        _with_plotly,
        "window.view = document.querySelector('.js-plotly-plot');",
        """await Plotly.relayout(view, {'scene.camera.eye':
            {x: Math.sin(turned), y: -Math.cos(turned), z: 0.5}});""",
        "view._fullLayout.scene._scene.glplot.gl",
    ),
)
OPEN = """async () => { %s
  const gl = %s, pixel = new Uint8Array(4);
  await new Promise(requestAnimationFrame);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  return performance.now(); }"""
ORBIT = """async (seconds) => {
  const gl = %s, pixel = new Uint8Array(4), began = performance.now();
  let frames = 0, turned = 0;
  for (; performance.now() - began < 1000 * seconds; frames++) {
    turned += 0.025;
    %s
    await new Promise(requestAnimationFrame);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  }
  return (frames / (performance.now() - began)) * 1000; }"""


def other_viewers(browser, folder: Path, points: Float[np.ndarray, "N 3"]) -> Iterator[Row]:
    """Seconds until a page of the cloud is on the screen, and frames per second while it turns.

    A viewer that is not installed has no value, and the name of its row says so.
    """
    low, high = np.percentile(points[:, 2], [1, 99])
    height = ((points[:, 2] - low) / max(high - low, 1e-3)).clip(0, 1) * 255
    rgb = np.stack([height, np.full_like(height, 120), 255 - height], axis=1).astype(np.uint8)
    for viewer in VIEWERS:
        title = f"{viewer.name}, {len(points):,} points: "
        if importlib.util.find_spec(viewer.name) is None:
            yield Row(f"{title}not installed (pip install {viewer.name})", None)
            continue
        path = folder / f"{viewer.name}.html"
        store.write_text(path, viewer.write(points, rgb))
        opened = []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(path.as_uri())
            opened.append(page.evaluate(OPEN % (viewer.drawn, viewer.gl)) / 1000)
            frames = page.evaluate(ORBIT % (viewer.gl, viewer.turn), 2)
            page.close()
        yield Row(f"{title}page opened to first picture", statistics.median(opened), "s")
        yield Row(f"{title}orbit", frames, "frames/s")
