"""A still picture of an explorer, for places without scripts and until a saved page has loaded."""

import base64
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from kit.show.explorer.paint import scene_of
from kit.show.explorer.payload import cameras_from_left
from kit.show.png.render_scene import FINER, draw_scene
from kit.store.images import data_uri, png_bytes, shrink, webp_bytes

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

SIZE = (400, 800)  # height, width of the cloud, pixels
MOST_IMAGES = 6
GAP = 4  # pixels between images
QUALITY = 72


def draw_clouds(
    explorer: "Explorer",
    image_size: tuple[int, int],
    dark: bool | None = None,
    finer: int = FINER,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the cloud in the explorer's mode and view, or the clouds of all sets side by side.

    Args:
        explorer: what is drawn.
        image_size: (height, width) in pixels.
        dark: on a dark background; None: as the explorer.
        finer: see `draw_scene`.
    """
    height, width = image_size
    per_set = explorer.side_by_side and explorer.content.sets
    own = explorer.feature_set
    sets = explorer.content.panels(own) if per_set else [own]
    borders = np.linspace(0, width, len(sets) + 1).round().astype(int)
    panels = []
    for name, panel_width in zip(sets, np.diff(borders).tolist(), strict=True):
        scene = scene_of(explorer, name, dark, panel_width / height)
        panels.append(draw_scene(scene, (height, panel_width), finer=finer)[0])
    return np.concatenate(panels, axis=1)


def poster(
    explorer: "Explorer", image_size: tuple[int, int] = SIZE, finer: int = FINER
) -> UInt8[np.ndarray, "H W 3"]:
    """The cloud, with the keyframe's images below it; arguments as in `draw_clouds`."""
    cloud = draw_clouds(explorer, image_size, finer=finer)
    images = []
    for camera in cameras_from_left(explorer.content.keyframes[explorer.keyframe])[:MOST_IMAGES]:
        try:
            images.append(camera.pixels())
        except (FileNotFoundError, ValueError):
            continue  # a note of the explorer names it
    if not images:
        return cloud
    width = (image_size[1] - GAP * (len(images) - 1)) // len(images)
    width = min(width, image_size[0] // 2)
    small = [shrink(image, width, quickly=True) for image in images]
    strip = np.zeros((max(map(len, small)), image_size[1], 3), dtype=np.uint8)
    strip[:] = cloud[0, 0]
    left = (image_size[1] - sum(each.shape[1] + GAP for each in small) + GAP) // 2
    for each in small:
        strip[: len(each), left : left + each.shape[1]] = each
        left += each.shape[1] + GAP
    return np.concatenate([cloud, strip], axis=0)


def poster_png(explorer: "Explorer") -> str:
    """The picture as PNG in base64, for the output of a notebook's cell.

    The view in the browser waits for it, so it is drawn and encoded in the fastest way.
    """
    return base64.b64encode(png_bytes(poster(explorer, finer=1), compress_level=1)).decode()


def poster_uri(explorer: "Explorer") -> str:
    """The picture as an address that holds it, for a page."""
    return data_uri(webp_bytes(poster(explorer), QUALITY), "webp")
