"""What travels to the browser: one dictionary of names, and one block of bytes per keyframe.

A block holds arrays end to end, each at a multiple of four bytes; its header says where. The same
two are the traits of the live widget and the content of a saved page.
"""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from kit.data.classes import IGNORE
from kit.data.keyframe import Camera, Keyframe
from kit.projection import find_pairs
from kit.show import arrays, theme
from kit.show.explorer.quantisation import Packing
from kit.show.explorer.state import OWN_MODES, Content

IMAGE_WIDTH = 960  # pixels; wider images are stored smaller
WORDS = {"height": "height z (m)", "intensity": "intensity"}


class Block:
    """Arrays on their way into one block of bytes."""

    def __init__(self):
        self.pieces: list[bytes] = []
        self.size = 0
        self.arrays: dict[str, dict] = {}

    def add(self, name: str, array: np.ndarray) -> str:
        """Append an array, little-endian; returns its name."""
        array = np.ascontiguousarray(array)
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        place = {"type": array.dtype.name, "start": self.size, "count": int(array.size)}
        self.arrays[name] = place
        self.pieces += [data, b"\0" * (-len(data) % 4)]
        self.size += len(data) + len(self.pieces[-1])
        return name

    def bytes(self) -> bytes:
        return b"".join(self.pieces)


def describe(content: Content) -> dict[str, Any]:
    """Names, classes, scales, modes and feature sets: everything but points and pixels."""
    return {
        "modes": [_mode(name, content) for name in content.modes],
        "sets": [_feature_set(name, content) for name in content.sets],
        "classes": {
            "names": [name.replace("_", " ") for name in content.classes.names],
            "colours": [list(colour) for colour in content.classes.colours],
            "ignore": IGNORE,
        },
        "scales": {"value": list(theme.VIRIDIS), "similarity": list(theme.BLUE_RED)},
        "right": theme.RIGHT,
        "wrong": theme.WRONG,
        "keyframes": [
            {"token": k.token, "scene": k.scene, "count": len(k.points)} for k in content.keyframes
        ],
        "similarity_low": _similarity_low(content),
        "notes": notes(content),
    }


def notes(content: Content) -> list[str]:
    """What a user should know about what is not shown."""
    told = []
    for keyframe, rows in zip(content.keyframes, content.rows, strict=True):
        if len(rows) < len(keyframe.points):
            told.append(arrays.told(len(rows), len(keyframe.points)) + " are drawn")
    for name, parts in content.features.items():
        empty = sum(int((part.feat == 0).all(1).sum()) for part in parts)
        if empty:
            told.append(f"{name}: {empty:,} features are zero and have no direction: grey")
    widths = {name: parts[0].feat.shape[1] for name, parts in content.features.items()}
    own = [name for name, width in widths.items() if width != next(iter(widths.values()))]
    if own:
        told.append(f"{', '.join(own)}: another width, so colours come from a basis of its own")
    return list(dict.fromkeys(told))


def _mode(name: str, content: Content) -> dict[str, Any]:
    if name in OWN_MODES and name not in WORDS:
        return {"name": name, "kind": name}
    if name == "height":
        values = np.concatenate([k.points[:, 2].numpy() for k in content.keyframes])
    elif name == "intensity":
        values = np.concatenate([k.intensity.numpy() for k in content.keyframes])
    else:
        values = np.concatenate(content.scores[name])
    low, high = arrays.robust_limits(values)
    kind = "number" if name in WORDS else "score"
    return {"name": name, "kind": kind, "words": WORDS.get(name, name), "low": low, "high": high}


def _feature_set(name: str, content: Content) -> dict[str, Any]:
    described = {"name": name, "predictions": name in content.predictions, "channels": 0}
    if name not in content.features:
        return described
    packing, basis = content.packings[name], content.bases[name]
    # x = mean + length * (packing.basis @ direction); its place on the colours' axes is linear too
    turn = basis.components.T @ packing.basis  # (C, K)
    start = (packing.mean - basis.mean) @ basis.components  # (C,)
    reach = (basis.high - basis.low).clamp(min=1e-6)
    return described | {
        "channels": packing.channels,
        "width": len(packing.mean),
        "mean": packing.mean_coordinates.tolist(),
        "mean_square": float(packing.mean @ packing.mean),
        "error_mean": packing.error_mean,
        "error_most": packing.error_most,
        "turn": (turn / reach[:, None]).flatten().tolist(),
        "start": ((start - basis.low) / reach).tolist(),
    }


def _similarity_low(content: Content) -> dict[str, float]:
    """The cosines drawn in the scale's lowest colour: those of unlike points of the first set."""
    if not content.features:
        return {"centred": -1.0, "plain": -1.0}
    name, parts = next(iter(content.features.items()))
    feat = torch.cat([part.feat for part in parts])
    feat = feat[torch.from_numpy(arrays.choose(max(len(feat), 1), 1000))] if len(feat) else feat
    packing = content.packings[name]
    packed = packing.pack(feat)
    rows = np.flatnonzero(packed.length > 0)
    if len(rows) < 2:
        return {"centred": -1.0, "plain": -1.0}
    centred, plain = packed.cosine(rows, rows), packing.plain(packed, rows, rows)
    lows = {"centred": np.percentile(centred, 2), "plain": np.percentile(plain, 2)}
    return {kind: float(np.floor(min(low, 0.9) * 20) / 20) for kind, low in lows.items()}


def pack_keyframe(content: Content, index: int) -> tuple[dict[str, Any], bytes]:
    """The header and the block of one keyframe."""
    keyframe, rows = content.keyframes[index], content.rows[index]
    block = Block()
    points = keyframe.points.numpy()[rows]
    block.add("position", points.astype(np.float32))
    block.add("intensity", keyframe.intensity.numpy()[rows].astype(np.float32))
    if len(rows) < len(keyframe.points):
        block.add("row", rows.astype(np.int32))
    if content.labels[index] is not None:
        block.add("labels", content.labels[index][rows].astype(np.uint8))
    for number, name in enumerate(content.sets):
        if name in content.features:
            packed = content.packings[name].pack(content.features[name][index].of(rows))
            block.add(f"direction/{number}", packed.direction)
            block.add(f"scale/{number}", packed.scale)
            block.add(f"length/{number}", packed.length)
        if name in content.predictions:
            predicted = content.predictions[name][index][rows]
            block.add(f"predicted/{number}", predicted.astype(np.uint8))
    for name, values in content.scores.items():
        block.add(f"score/{name}", values[index][rows])
    cameras, missing = _add_cameras(block, content, index)
    header = {
        "index": index,
        "count": len(rows),
        "cameras": cameras,
        "missing": missing,
        "arrays": block.arrays,
    }
    return header, block.bytes()


def _add_cameras(block: Block, content: Content, index: int) -> tuple[list[dict], list[str]]:
    """Images, which points fall on which pixel, and the colour each point gets from them."""
    keyframe, rows = content.keyframes[index], content.rows[index]
    points = keyframe.points[torch.from_numpy(rows)]
    pairs = find_pairs(points, keyframe.cameras)
    colour = np.zeros((len(rows), 4), dtype=np.uint8)
    cameras, missing = [], []
    for number, camera in enumerate(keyframe.cameras.values()):
        try:
            pixels = camera.pixels()
        except (FileNotFoundError, ValueError) as error:
            missing.append(f"{camera.name}: {error}")
            continue
        seen = pairs.of_camera(camera.name)
        uv, point = seen.uv.numpy(), seen.point.numpy()
        column, row = uv.astype(np.int64).T
        colour[point, :3], colour[point, 3] = pixels[row, column], 255
        height, width = camera.image_size
        share = uv / np.array([width, height]) * 65535
        block.add(f"pairs/{number}/point", point.astype(np.int32))
        block.add(f"pairs/{number}/uv", share.round().astype(np.uint16))
        depth = (seen.depth.numpy() * 100).clip(0, 65535)
        block.add(f"pairs/{number}/depth", depth.astype(np.uint16))  # centimetres
        block.add(f"image/{number}", np.frombuffer(_jpeg(pixels), dtype=np.uint8))
        cameras.append(
            {"name": camera.name, "number": number, "width": width, "height": height}
            | _pose(camera)
            | _add_grid(block, content, index, camera.name, number)
        )
    if cameras:
        block.add("colour", colour)
    return _round_the_car(cameras), missing


def _add_grid(block: Block, content: Content, index: int, name: str, number: int) -> dict:
    grid = content.grids[index].get(name)
    if grid is None:
        return {}
    packing: Packing = next(iter(content.packings.values()))
    packed = packing.pack(grid.flatten(1).T.contiguous())
    block.add(f"grid/{number}/direction", packed.direction)
    block.add(f"grid/{number}/scale", packed.scale)
    block.add(f"grid/{number}/length", packed.length)
    return {"grid": list(grid.shape[1:])}


def _pose(camera: Camera) -> dict[str, Any]:
    """Where the camera stands and looks, lidar frame: eye (m), azimuth and elevation (degrees)."""
    matrix = camera.T_cam_lidar.numpy()
    turn, shift = matrix[:3, :3], matrix[:3, 3]
    eye, ahead = -turn.T @ shift, turn[2]
    height = camera.image_size[0]
    return {
        "eye": eye.tolist(),
        "azimuth": float(np.degrees(np.arctan2(ahead[0], ahead[1]))),
        "elevation": float(-np.degrees(np.arcsin(np.clip(ahead[2], -1, 1)))),
        "fov": float(2 * np.degrees(np.arctan(height / 2 / camera.K[1, 1].item()))),
    }


def _round_the_car(cameras: list[dict]) -> list[dict]:
    """From the left rear over the front to the right rear, as one looks around."""
    if not cameras:
        return []
    ahead = ahead_of(cameras)
    return sorted(cameras, key=lambda camera: (camera["azimuth"] - ahead + 179) % 360)


def ahead_of(cameras: list[dict]) -> float:
    """The azimuth of the camera that looks ahead, by its name, or of the first."""
    front = min(
        (camera for camera in cameras),
        key=lambda c: ("front" not in c["name"].lower(), len(c["name"])),
    )
    return front["azimuth"]


def _jpeg(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels)
    if image.width > IMAGE_WIDTH:
        height = round(image.height * IMAGE_WIDTH / image.width)
        image = image.resize((IMAGE_WIDTH, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=84)
    return stream.getvalue()


def first_view(content: Content) -> dict[str, Any]:
    """From behind and above, ahead as the front camera looks, close enough to see things."""
    keyframe: Keyframe = content.keyframes[0]
    poses = [_pose(camera) | {"name": camera.name} for camera in keyframe.cameras.values()]
    azimuth = ahead_of(poses) if poses else 0.0
    points = keyframe.points.numpy()
    middle = np.median(points[:, :2], axis=0)
    middle = middle if np.hypot(*middle) > 20 else np.zeros(2)  # a crop, seen from far away
    reach = float(np.percentile(np.hypot(*(points[:, :2] - middle).T), 85))
    distance = float(np.clip(1.6 * reach, 4.0, 60.0))
    turn = np.radians(azimuth)
    ahead = middle + 0.2 * distance * np.array([np.sin(turn), np.cos(turn)])
    target = [round(float(v), 2) for v in (*ahead, np.percentile(points[:, 2], 5))]
    return {
        "target": target,
        "distance": round(distance, 2),
        "azimuth": round(azimuth, 2),
        "elevation": 32.0,
        "fov": 50.0,
    }
