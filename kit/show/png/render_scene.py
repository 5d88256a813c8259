"""A `Scene` as pixels: its points, range rings and pins, drawn as discs by the splat renderer."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from kit.show import theme
from kit.show.picture import Scale, rgb_of
from kit.show.png.splat import project, splat
from kit.show.scene import PIN_HEIGHT, Box, Cloud, Scene, SizeInSpace

FINER = 2  # drawn so many times larger, then averaged: smooth borders

# Pixels for a size of 1 in plotly, as measured in a browser, and widths of what is drawn beside.
DISC, RING_WIDTH, PIN_WIDTH, EGO_SIZE = 5 / 3, 1.0, 2.0, 7.2
PIN_FOOT, PIN_HEAD = 4 * DISC, 7 * DISC
NEAREST = 0.2  # metres; closer points are not drawn larger than those at this depth


@dataclass(frozen=True)
class Label:
    """Text in a scene: its middle in pixels (column, row) of the scene's picture."""

    text: str
    uv: tuple[float, float]


@dataclass(frozen=True)
class _Discs:
    """Discs to draw: positions in metres, colours, diameters in pixels."""

    points: Float[np.ndarray, "N 3"]
    rgb: UInt8[np.ndarray, "N 3"]
    size: Float[np.ndarray, " N"]


def draw_scene(
    scene: Scene, image_size: tuple[int, int], scale: Scale | None = None, finer: int = FINER
) -> tuple[UInt8[np.ndarray, "H W 3"], list[Label]]:
    """Draw a scene; returns the pixels and the text to write over them.

    Args:
        scene: what is drawn.
        image_size: (height, width) in pixels.
        scale: of clouds whose colours are numbers.
        finer: drawn so many times larger, then averaged; 1 is the fastest.
    """
    height, width = image_size
    fine = (height * finer, width * finer)
    discs = [_of_cloud(cloud, scene, image_size, scale) for cloud in scene.clouds]
    labels = []
    if scene.box is not None:
        discs += [_of_pin(pin, scene, fine) for pin in scene.pins]
    if scene.box is not None and scene.box.around_ego:
        discs += [_of_ring(radius, scene, fine) for radius in scene.box.rings()]
        discs.append(_of_marks(np.zeros((1, 3)), theme.MUTED, EGO_SIZE))
        labels = _ring_labels(scene, image_size)
    points = np.concatenate([each.points for each in discs])
    rgb = np.concatenate([each.rgb for each in discs])
    size = np.concatenate([each.size for each in discs]) * finer
    uv, depth = project(points, scene.view, fine)
    picture = splat(uv, depth, rgb, size, fine, scene.background, scene.shading)
    if finer == 1:
        return picture, labels
    blocks = picture.reshape(height, finer, width, finer, 3)
    summed = blocks.astype(np.uint16).sum(1).sum(2)  # (height, width, 3), rows first: faster
    return (summed // finer**2).astype(np.uint8), labels


def _of_cloud(
    cloud: Cloud, scene: Scene, image_size: tuple[int, int], scale: Scale | None
) -> _Discs:
    points, rgb = cloud.points.astype(np.float64), rgb_of(cloud, scale)
    if isinstance(cloud.size, SizeInSpace):
        _, depth = project(points, scene.view, image_size)
        metres = cloud.size.metres + cloud.size.spread * np.linalg.norm(points, axis=1)
        size = _in_pixels(cloud.size, metres, depth, scene, image_size)
    else:
        size = np.full(len(points), cloud.size * DISC)
    if scene.box is None:
        return _Discs(points, rgb, size)
    inside = scene.box.contains(points)
    return _Discs(points[inside], rgb[inside], size[inside])


def _in_pixels(
    size: SizeInSpace,
    metres: np.ndarray,
    depth: np.ndarray,
    scene: Scene,
    image_size: tuple[int, int],
) -> np.ndarray:
    """Diameters in pixels of the final picture, of diameters in metres at these depths."""
    focal = image_size[0] / 2 / np.tan(np.radians(scene.view.field_of_view) / 2)
    return (metres * focal / np.maximum(depth, NEAREST)).clip(size.least, size.most)


def _of_marks(points: np.ndarray, colour: str, size: np.ndarray | float) -> _Discs:
    rgb = np.tile(np.array(theme.rgb_of(colour), dtype=np.uint8), (len(points), 1))
    return _Discs(points, rgb, np.broadcast_to(np.float64(size), len(points)))


def _of_ring(radius: float, scene: Scene, image_size: tuple[int, int]) -> _Discs:
    turn = np.linspace(0, 2 * np.pi, 97)
    ground = np.full(len(turn), scene.box.ground)
    corners = np.stack([radius * np.sin(turn), radius * np.cos(turn), ground], axis=1)
    line = _dense(corners, scene, image_size)
    return _of_marks(line[scene.box.contains(line)], theme.FAINT, RING_WIDTH)


def _of_pin(pin: np.ndarray, scene: Scene, image_size: tuple[int, int]) -> _Discs:
    """A vertical line on the point, with a disc at either end."""
    ends = np.stack([pin, pin + [0, 0, PIN_HEIGHT * scene.box.half]]).astype(np.float64)
    line = _dense(ends, scene, image_size)
    size = np.concatenate([[PIN_FOOT, PIN_HEAD], np.full(len(line), PIN_WIDTH)])
    points = np.concatenate([ends, line])
    inside = scene.box.contains(points)
    return _of_marks(points[inside], theme.INK, size[inside])


def _dense(corners: np.ndarray, scene: Scene, image_size: tuple[int, int]) -> np.ndarray:
    """Points along a line through corners (N, 3), so dense that their discs touch."""
    uv, _ = project(corners, scene.view, image_size)
    parts = [np.empty((0, 3))]
    for i in range(len(corners) - 1):
        if not np.isfinite(uv[i : i + 2]).all():
            continue  # an end lies behind the eye
        steps = int(min(np.abs(uv[i + 1] - uv[i]).max(), max(image_size))) + 2
        parts.append(np.linspace(corners[i], corners[i + 1], steps))
    return np.concatenate(parts)


def _ring_labels(scene: Scene, image_size: tuple[int, int]) -> list[Label]:
    """Each ring's radius, written on it."""
    box: Box = scene.box
    texts, places = box.ring_labels()
    uv, _ = project(places, scene.view, image_size)
    shown = box.contains(places) & np.isfinite(uv).all(1)
    return [Label(texts[i], (float(uv[i, 0]), float(uv[i, 1]))) for i in np.flatnonzero(shown)]
