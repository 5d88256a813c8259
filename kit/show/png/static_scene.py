"""A plotly 3-D scene as pixels: its point, line and text traces through the splat renderer."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from kit.show.png.splat import Viewpoint, project, splat
from kit.show.png.static_style import array_of, rgb_of

FINER = 2  # drawn so many times larger, then averaged: smooth borders

# Pixels on screen for a size of 1, as measured in a browser: a diamond by its area, lines by width.
DISC, DIAMOND, LINE = 5 / 3, 2.4, 0.5


@dataclass(frozen=True)
class _Dots:
    """Discs to splat: positions in the scene's own unit, colours, sizes in pixels."""

    points: Float[np.ndarray, "N 3"]
    rgb: UInt8[np.ndarray, "N 3"]
    size: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Words:
    """Text in a scene: where, in pixels of its picture, and how."""

    text: str
    uv: tuple[float, float]
    colour: str
    size: float


def viewpoint_of(scene: go.layout.Scene) -> tuple[Viewpoint, np.ndarray, np.ndarray]:
    """Return plotly's camera in data units, and the (3,) low and high corners of the scene.

    Source: plotly.js (gl3d) stretches the ranges of the axes to the aspect ratio, centred on the
        origin, and places the camera in these units.
    """
    ranges = [scene.xaxis.range, scene.yaxis.range, scene.zaxis.range]
    if scene.aspectmode != "manual" or any(r is None for r in ranges):
        raise ValueError(
            "a scene needs aspectmode='manual' and a range on each axis to be drawn without "
            "plotly, as the scenes of kit.show have"
        )
    low, high = np.array(ranges, dtype=np.float64).T
    unit, middle = (high - low) / _vector(scene.aspectratio), (low + high) / 2
    if np.ptp(unit) > 1e-3 * unit.max():
        raise ValueError(
            "a scene must have equal axes: an aspect ratio in proportion to its ranges"
        )
    camera = scene.camera
    eye, centre = middle + unit * _vector(camera.eye), middle + unit * _vector(camera.center)
    return Viewpoint(eye, centre, _vector(camera.up)), low, high


def _vector(place) -> Float[np.ndarray, "3"]:
    return np.array([place.x, place.y, place.z], dtype=np.float64)


def draw_scene(
    figure: go.Figure, name: str, image_size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "H W 3"], list[Words]]:
    """Draw the traces of one scene on white; returns the picture and the text to write over it.

    Args:
        figure: made by kit.show.
        name: of the scene, e.g. "scene2".
        image_size: (height, width) in pixels.

    Raises:
        ValueError: a scene without fixed ranges or with unequal axes.
    """
    view, low, high = viewpoint_of(figure.layout[name])
    height, width = image_size
    fine = (height * FINER, width * FINER)
    dots, words = [], []
    for trace in (t for t in figure.data if t.type == "scatter3d" and (t.scene or "scene") == name):
        if trace.visible in (False, "legendonly"):
            continue
        xyz = np.stack([array_of(trace[axis]).astype(np.float64) for axis in "xyz"], axis=1)
        inside = ((xyz >= low) & (xyz <= high)).all(1)
        if "markers" in trace.mode:
            dots.append(_marker_dots(trace, figure.layout, xyz, inside))
        if "lines" in trace.mode:
            dots.append(_line_dots(trace, figure.layout, xyz, view, fine, (low, high)))
        if "text" in trace.mode:
            uv, _ = project(xyz, view, image_size)
            words += _words(trace, uv, inside)
    points = np.concatenate([d.points for d in dots])
    uv, depth = project(points, view, fine)
    rgb = np.concatenate([d.rgb for d in dots])
    size = np.concatenate([d.size for d in dots]) * FINER
    picture = splat(uv, depth, rgb, size, fine).reshape(height, FINER, width, FINER, 3)
    summed = picture.astype(np.uint16).sum(1).sum(2)  # (height, width, 3), rows first: faster
    return (summed // FINER**2).astype(np.uint8), words


def _marker_dots(trace, layout: go.Layout, xyz: np.ndarray, inside: np.ndarray) -> _Dots:
    size = np.broadcast_to(array_of(trace.marker.size or 6).astype(np.float64), len(xyz))
    size = size * (DIAMOND if trace.marker.symbol == "diamond" else DISC)
    return _Dots(xyz[inside], rgb_of(trace.marker, layout, len(xyz))[inside], size[inside])


def _line_dots(trace, layout, xyz, view: Viewpoint, image_size, box) -> _Dots:
    """Dots along the segments, dense enough to touch; a NaN lifts the pen."""
    uv, _ = project(xyz, view, image_size)
    pieces = [np.empty((0, 3))]
    for i in range(len(xyz) - 1):
        if not np.isfinite(uv[i : i + 2]).all():
            continue
        steps = int(min(np.abs(uv[i + 1] - uv[i]).max(), max(image_size))) + 2
        pieces.append(np.linspace(xyz[i], xyz[i + 1], steps))
    dots = np.concatenate(pieces)
    dots = dots[((dots >= box[0]) & (dots <= box[1])).all(1)]
    rgb = rgb_of(trace.line, layout, len(dots))
    return _Dots(dots, rgb, np.full(len(dots), LINE * (trace.line.width or 2)))


def _words(trace, uv: np.ndarray, inside: np.ndarray) -> list[Words]:
    font = trace.textfont
    return [
        Words(text, (float(u), float(v)), font.color or "black", float(font.size or 12))
        for text, (u, v), seen in zip(trace.text, uv, inside, strict=True)
        if seen and np.isfinite([u, v]).all()
    ]
