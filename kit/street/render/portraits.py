"""Portraits: images and masks of one asset from several sides, for example for prompts."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.data.classes import NUSCENES
from kit.street.assets.catalogue import ASSETS, make
from kit.street.assets.shapes import Part, box, pose_matrix
from kit.street.render.camera import render_image
from kit.street.render.rays import is_occluded
from kit.street.rigs import camera_pose
from kit.street.surfaces.materials import PAINTERS
from kit.street.world.layout import build
from kit.street.world.mesh import Mesh
from kit.street.world.scene import Scene
from kit.street.world.weather import Weather, draw_weather

POSITION = 14.0  # of the asset along the street, metres


class Portraits(NamedTuple):
    """V images of one asset.

    Attributes:
        name: with its colour, e.g. "red car".
        images: (V, 3, H, W) in [0, 1].
        masks: (V, H, W) pixels that show the asset.
    """

    name: str
    images: Float[Tensor, "V 3 H W"]
    masks: Bool[Tensor, "V H W"]


def portraits(
    name: str,
    views: int = 4,
    image_size: tuple[int, int] = (224, 224),
    background: str = "plain",
    seed: int = 0,
    weather: Weather | None = None,
) -> Portraits:
    """Render one asset from evenly spaced directions around it.

    Args:
        name: of the catalogue, with or without a colour: "traffic cone", "red car".
        views: number of directions.
        image_size: (height, width) in pixels.
        background: "plain" (asphalt and sky) or "street" (a street without traffic).
        seed: of the shape and colour of the asset, the street and the weather.
        weather: None: drawn from the seed.

    Raises:
        ValueError: there is no such asset or background, or less than one view.
    """
    if views < 1 or min(image_size) < 1:
        raise ValueError(f"expected at least one view and one pixel, got {views} and {image_size}")
    if background not in ("plain", "street"):
        raise ValueError(f'background must be "plain" or "street", got {background!r}')
    rng = np.random.default_rng((seed, *name.encode()))
    full, _, parts = make(name, rng)
    drawn = draw_weather(rng)
    weather = weather or drawn
    scene = Scene(seed, int(rng.integers(1000)))
    pose = scene.pose(POSITION, 0.0) if background == "street" else (0.0, 0.0, 0.0, 0.0)
    add = partial(_add, full=full, parts=parts, pose=pose)
    mesh = build(scene, 0.0, 0.0, add) if background == "street" else _plain_ground(add)
    poses = [_camera_around(mesh, 2 * np.pi * (view + 0.3) / views) for view in range(views)]
    K = _intrinsics(image_size)
    rendered = [render_image(mesh, weather, T, K, image_size, rng) for T in poses]
    asset = len(mesh.objects) - 1
    masks = np.stack([(r.part >= 0) & (mesh.object_of_part[r.part] == asset) for r in rendered])
    images = torch.from_numpy(np.stack([r.pixels for r in rendered])).permute(0, 3, 1, 2)
    return Portraits(full, images.float() / 255, torch.from_numpy(masks))


def names() -> tuple[str, ...]:
    """List the names of all assets of the catalogue."""
    return tuple(ASSETS)


def _add(mesh: Mesh, full: str, parts: list[Part], pose) -> None:
    """Add the asset to a mesh as its last object."""
    mesh.add_object("manmade", parts, pose, full, "", full)


def _plain_ground(add) -> Mesh:
    """A mesh of flat ground and what `add` adds to it."""
    mesh = Mesh(NUSCENES.names, PAINTERS)
    ground = Part(box(300.0, 300.0, 0.1, -0.1), "lot", (0.4, 0.4, 0.4))
    mesh.add_scenery("driveable_surface", [ground], (0, 0, 0, 0))
    add(mesh)
    return mesh.finish()


def _intrinsics(image_size) -> Float[np.ndarray, "3 3"]:
    """Intrinsics of a camera with a field of view of about 50 degrees."""
    height, width = image_size
    focal = 1.1 * min(image_size)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _camera_around(mesh: Mesh, turn: float) -> Float[np.ndarray, "4 4"]:
    """Pose of a camera towards the last object, from direction `turn` (radians).

    The camera is at most 1.8 m above the ground. It moves closer if the object is occluded.
    """
    asset = mesh.objects[-1]
    T = pose_matrix(*asset.pose)
    centre = T[:3, :3] @ ((asset.low + asset.high) / 2) + T[:3, 3]
    radius = np.linalg.norm(asset.high - asset.low) / 2
    for nearer in (1.0, 0.8, 0.65, 0.5):
        away = nearer * (2.3 * radius + 0.4)
        height = np.clip(centre[2] + 0.3 * away, 0.5, 1.8)
        flat = centre[:2] + away * np.array([np.cos(turn), np.sin(turn)])
        position = np.array([*flat, height])
        short = (centre - position)[None] * max(1 - radius / away, 0.05)
        if not is_occluded(mesh, position, short, 1.0)[0]:
            break
    return camera_pose(position, centre - position)
