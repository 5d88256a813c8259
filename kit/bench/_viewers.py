"""Measure other viewers with the same point cloud, where they are installed.

The first picture is there when the middle of the viewer's canvas has many colours. Then the cloud
is turned by the viewer's own function, or by a drag where there is none.
"""

import importlib.util
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from kit.bench import Row
from kit.bench._browser import free_port
from kit.store import files as store

RADIUS = 40  # metres from the middle to the eye
Points, Colours = Float[np.ndarray, "N 3"], UInt8[np.ndarray, "N 3"]


@dataclass(frozen=True)
class Viewer:
    """A viewer that is compared with the explorer.

    Attributes:
        name: its module.
        show: shows points in their colours on a page, in a folder if it needs one; returns the
            address of the page.
        canvas: its CSS selector.
        turn: JavaScript that turns the cloud to the angle `turned`, in radians.
        ready: JavaScript that gives `turn` what it needs, run after the first picture.
        packages: what to install.
        needs: further modules.
    """

    name: str
    show: Callable[[Points, Colours, Path], str]
    canvas: str
    turn: str
    packages: str
    ready: str = ""
    needs: tuple[str, ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether all modules are there."""
        return all(importlib.util.find_spec(module) for module in (self.name, *self.needs))


def _k3d(points: Points, rgb: Colours, folder: Path) -> str:
    k3d = importlib.import_module("k3d")
    colours = rgb.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    plot = k3d.plot(camera_auto_fit=False, grid_visible=False)
    plot += k3d.points(points, colors=colours, point_size=0.1, shader="flat")
    plot.camera = [0, -RADIUS, RADIUS / 2, 0, 0, 0, 0, 0, 1]
    return _page(folder / "k3d.html", plot.get_snapshot())


def _plotly(points: Points, rgb: Colours, folder: Path) -> str:
    graph = importlib.import_module("plotly.graph_objects")
    x, y, z = points.T
    marker = {"size": 1.5, "color": [f"rgb({r},{g},{b})" for r, g, b in rgb]}
    figure = graph.Figure(graph.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker))
    figure.update_layout(scene={"aspectmode": "data"})
    return _page(folder / "plotly.html", figure.to_html(include_plotlyjs=True))


def _pyvista(points: Points, rgb: Colours, folder: Path) -> str:
    pyvista = importlib.import_module("pyvista")
    cloud = pyvista.PolyData(points)
    cloud["rgb"] = rgb
    plotter = pyvista.Plotter(off_screen=True)
    plotter.add_points(cloud, scalars="rgb", rgb=True, point_size=2)
    plotter.camera_position = [(0, -RADIUS, RADIUS / 2), (0, 0, 0), (0, 0, 1)]
    path = folder / "pyvista.html"
    plotter.trame.export_html(str(path))
    return path.as_uri()


def _rerun(points: Points, rgb: Colours, folder: Path) -> str:
    rerun = importlib.import_module("rerun")
    recording, page = rerun.RecordingStream("kit"), free_port()
    data = recording.serve_grpc(grpc_port=free_port())
    rerun.serve_web_viewer(web_port=page, open_browser=False)
    recording.log("points", rerun.Points3D(points, colors=rgb))
    return f"http://localhost:{page}/?url={data}&renderer=webgl&hide_welcome_screen=1"


def _page(path: Path, html: str) -> str:
    store.write_text(path, html)
    return path.as_uri()


# The pointer goes to and fro on the canvas with a pressed button.
DRAG = """{
  const {left, top, width, height} = canvas.getBoundingClientRect();
  const clientX = left + width * (0.5 + 0.1 * Math.sin(10 * turned)), clientY = top + height / 2;
  const at = {clientX, clientY, pointerId: 1, pointerType: "mouse", bubbles: true, button: 0,
    buttons: 1, isPrimary: true};
  for (const type of window.pressed ? ["move"] : ["move", "down"]) {
    canvas.dispatchEvent(new PointerEvent("pointer" + type, at));
    canvas.dispatchEvent(new MouseEvent("mouse" + type, at));
  }
  window.pressed = true; }"""
VIEWERS = (
    Viewer(
        "k3d",
        _k3d,
        "canvas",
        f"""view.setCamera([{RADIUS} * Math.sin(turned), -{RADIUS} * Math.cos(turned), {RADIUS / 2},
            0, 0, 0, 0, 0, 1]); view.render();""",
        "k3d",
        "window.view = await K3DInstance;",
    ),
    Viewer(
        "plotly",
        _plotly,
        ".gl-container canvas",
        """await Plotly.relayout(document.querySelector('.js-plotly-plot'), {'scene.camera.eye':
            {x: Math.sin(turned), y: -Math.cos(turned), z: 0.5}});""",
        "plotly",
    ),
    Viewer("pyvista", _pyvista, "canvas", DRAG, "pyvista trame-pyvista", needs=("trame_pyvista",)),
    Viewer("rerun", _rerun, "canvas", DRAG, "rerun-sdk"),
)
# A picture stays readable after the browser has shown it. `read` returns pixels of its middle.
KEEP = """const before = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, options) {
  return before.call(this, kind, {...options, preserveDrawingBuffer: true}); };
const copied = new OffscreenCanvas(200, 200).getContext("2d", {willReadFrequently: true});
window.read = (canvas, side) => {
  copied.clearRect(0, 0, side, side);
  const [x, y] = [(canvas.width - side) / 2, (canvas.height - side) / 2];
  copied.drawImage(canvas, x, y, side, side, 0, 0, side, side);
  return new Uint32Array(copied.getImageData(0, 0, side, side).data.buffer); };
"""
COLOURS = """() => {
  const canvas = document.querySelector("%s");
  return canvas && new Set(read(canvas, 200)).size >= %d ? performance.now() : 0; }"""
MANY = 30  # colours
ORBIT = """async (seconds) => {
  const canvas = document.querySelector("%s"), began = performance.now();
  let frames = 0, turned = 0;
  %s
  for (; performance.now() - began < 1000 * seconds; frames++) {
    turned += 0.025;
    %s
    await new Promise(requestAnimationFrame);
    read(canvas, 1);
  }
  return (frames / (performance.now() - began)) * 1000; }"""


def other_viewers(browser, folder: Path, points: Points) -> Iterator[Row]:
    """Seconds until a page of the cloud is on the screen, and frames per second while it turns.

    A viewer that is not installed has no value, and the name of its row says so.
    """
    low, high = np.percentile(points[:, 2], [1, 99])
    height = ((points[:, 2] - low) / max(high - low, 1e-3)).clip(0, 1) * 255
    rgb = np.stack([height, np.full_like(height, 120), 255 - height], axis=1).astype(np.uint8)
    for viewer in VIEWERS:
        title = f"{viewer.name}, {len(points):,} points: "
        if not viewer.is_installed:
            yield Row(f"{title}not installed (pip install {viewer.packages})", None)
            continue
        address = viewer.show(points, rgb, folder)
        opened, frames = zip(*(_opened(browser, viewer, address) for _ in range(3)), strict=True)
        yield Row(f"{title}page opened to first picture", statistics.median(opened), "s")
        yield Row(f"{title}orbit", statistics.median(frames), "frames/s")


def _opened(browser, viewer: Viewer, address: str) -> tuple[float, float]:
    """Open the page of a viewer: seconds to the first picture, and frames per second."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(KEEP)
    page.goto(address)
    drawn = page.wait_for_function(COLOURS % (viewer.canvas, MANY), timeout=60_000)
    frames = page.evaluate(ORBIT % (viewer.canvas, viewer.ready, viewer.turn), 2)
    first = drawn.json_value() / 1000
    page.close()
    return first, frames
