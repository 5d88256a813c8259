"""A thing of the street alone, from several sides: what a word of the catalogue looks like."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.data.classes import NUSCENES
from kit.street.assets.catalogue import ASSETS, make
from kit.street.assets.shapes import Mesh, Part, box, pose_matrix
from kit.street.render.camera import blocked, render
from kit.street.rigs import camera_pose
from kit.street.surfaces.textures import PAINTERS
from kit.street.world.layout import Scene, build
from kit.street.world.sky import Weather, draw_weather

AHEAD = 14.0  # metres along the street where a thing is put


class Portraits(NamedTuple):
    """V pictures of one thing.

    Attributes:
        name: in full, e.g. "red car".
        images: (V, 3, H, W) in [0, 1]. masks: (V, H, W) where the thing is.
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
    """Look at one thing from all around.

    Args:
        name: of the catalogue, with or without a colour: "traffic cone", "red car".
        views: how many sides, evenly spaced.
        image_size: (height, width) in pixels.
        background: "plain" (asphalt and sky) or "street" (a street without traffic).
        seed: of the thing's own shape and colour, of the street and the weather.
        weather: None draws one.

    Raises:
        ValueError: no such name or background, or less than one view.
    """
    if views < 1 or min(image_size) < 1:
        raise ValueError(f"expected at least one view and pixel, got {views} and {image_size}")
    if background not in ("plain", "street"):
        raise ValueError(f'background must be "plain" or "street", got {background!r}')
    rng = np.random.default_rng((seed, *name.encode()))
    full, _, parts = make(name, rng)
    drawn = draw_weather(rng)
    weather = weather or drawn
    scene = Scene(seed, int(rng.integers(1000)))
    pose = scene.pose(AHEAD, 0.0) if background == "street" else (0.0, 0.0, 0.0, 0.0)
    put = partial(_put, full=full, parts=parts, pose=pose)
    mesh = build(scene, 0.0, 0.0, put) if background == "street" else _plain(put)
    eyes = [_look_at(mesh, 2 * np.pi * (view + 0.3) / views) for view in range(views)]
    K = _intrinsics(image_size)
    pictures = [render(mesh, weather, eye, K, image_size, rng) for eye in eyes]
    thing = len(mesh.things) - 1
    masks = np.stack([(p.part >= 0) & (mesh.thing[p.part] == thing) for p in pictures])
    images = torch.from_numpy(np.stack([p.pixels for p in pictures])).permute(0, 3, 1, 2)
    return Portraits(full, images.float() / 255, torch.from_numpy(masks))


def names() -> tuple[str, ...]:
    """Everything that can be looked at."""
    return tuple(ASSETS)


def _put(mesh: Mesh, full: str, parts: list[Part], pose) -> None:
    mesh.place_thing("manmade", parts, pose, full, "", full)


def _plain(put) -> Mesh:
    mesh = Mesh(NUSCENES.names, PAINTERS)
    ground = Part(box(300.0, 300.0, 0.1, -0.1), "lot", (0.4, 0.4, 0.4))
    mesh.place("driveable_surface", [ground], (0, 0, 0, 0))
    put(mesh)
    return mesh.finish()


def _intrinsics(image_size) -> Float[np.ndarray, "3 3"]:
    height, width = image_size
    focal = 1.1 * min(image_size)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _look_at(mesh: Mesh, turn: float) -> Float[np.ndarray, "4 4"]:
    """Pose of a camera at a person's height that sees the last thing, nearer if need be."""
    thing = mesh.things[-1]
    T = pose_matrix(*thing.pose)
    centre = T[:3, :3] @ ((thing.low + thing.high) / 2) + T[:3, 3]
    radius = np.linalg.norm(thing.high - thing.low) / 2
    for nearer in (1.0, 0.8, 0.65, 0.5):
        away = nearer * (2.3 * radius + 0.4)
        height = np.clip(centre[2] + 0.3 * away, 0.5, 1.8)
        flat = centre[:2] + away * np.array([np.cos(turn), np.sin(turn)])
        eye = np.array([*flat, height])
        short = (centre - eye)[None] * max(1 - radius / away, 0.05)
        if not blocked(mesh, eye, short, 1.0)[0]:
            break
    return camera_pose(eye, centre - eye)
