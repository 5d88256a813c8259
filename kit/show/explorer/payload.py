"""Data for the browser: a dictionary that describes the content, and bytes for each keyframe.

The bytes hold arrays one after the other, each starting at a multiple of four; a header says where.
Header and bytes are traits of the live widget, and are stored in a saved page.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kit.data.annotations import Box
from kit.data.classes import IGNORE
from kit.data.keyframe import Camera, Keyframe
from kit.lens import PINHOLE
from kit.projection import find_pairs, vertical_field_of_view
from kit.show import arrays, theme
from kit.show.explorer.agreement import agreement
from kit.show.explorer.home import azimuth_of, of_cameras
from kit.show.explorer.modes import mode_of
from kit.show.explorer.order import part_of
from kit.show.explorer.photos import LIVE_PHOTO, Photo, reading
from kit.show.explorer.quantisation import Quantised, Quantiser
from kit.show.explorer.scales import COLOUR_MAPS, SCALES, STAGES, similarity_limits
from kit.show.explorer.state import Content, some_rows
from kit.show.palette import distinct_colours

# For a point_size of 1: the diameter in space, its limits in pixels, and the ratio by which points
# without a value are smaller.
POINT_SIZE = {"metres": 0.1, "least": 2, "most": 14, "without_value": 0.75}
# Of the mean angle between points of a scan that covers 4.4 steradians; the rest are gaps.
COVERED, MOST_SPREAD = 0.55, 0.0075

PALETTES = ("distinct", "dataset")


def spread_of(count: int) -> float:
    """Metres by which a point's diameter grows for each metre from the lidar."""
    return min(COVERED * float(np.sqrt(4.4 / max(count, 1))), MOST_SPREAD)


def class_colours(content: Content, palette: str) -> list[tuple[int, int, int]]:
    """Colours of the classes: those of the data set, or changed so that all can be told apart."""
    colours = content.classes.colours
    return list(distinct_colours(tuple(colours)) if palette == "distinct" else colours)


class Payload:
    """Arrays joined into one block of bytes, with a table of their places."""

    def __init__(self):
        self.parts: list[bytes] = []
        self.size = 0
        self.arrays: dict[str, dict] = {}

    def add(self, name: str, array: np.ndarray) -> None:
        """Append an array, little-endian."""
        array = np.ascontiguousarray(array)
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        place = {"type": array.dtype.name, "start": self.size, "count": int(array.size)}
        self.arrays[name] = place
        self.parts += [data, b"\0" * (-len(data) % 4)]
        self.size += len(data) + len(self.parts[-1])

    def add_features(self, prefix: str, suffix: str, quantised: Quantised) -> None:
        """Append the three arrays of quantised features."""
        self.add(f"{prefix}direction{suffix}", quantised.direction)
        self.add(f"{prefix}scale{suffix}", quantised.scale)
        self.add(f"{prefix}length{suffix}", quantised.length)

    def bytes(self) -> bytes:
        """All arrays as one block."""
        return b"".join(self.parts)


def describe(content: Content) -> dict[str, Any]:
    """Names, classes, scales, modes and feature sets: everything but points and pixels."""
    return {
        "modes": [_mode(name, content) for name in content.modes],
        "sets": [_feature_set(name, content) for name in content.sets],
        "classes": {
            "names": [name.replace("_", " ") for name in content.classes.names],
            "colours": {name: class_colours(content, name) for name in PALETTES},
            "ignore": IGNORE,
        },
        "pairs": [list(pair) for pair in content.pairs],
        "scales": {name: list(stops) for name, stops in SCALES.items()},
        "colour_maps": list(COLOUR_MAPS),
        "series": list(theme.SERIES),
        "pages": STAGES,
        "point_size": POINT_SIZE,
        "keyframes": [
            {"token": k.token, "scene": k.scene, "count": len(k.points)} for k in content.keyframes
        ],
        "similarity_low": _similarity_low(content),
        "notes": notes(content),
    }


def notes(content: Content) -> list[str]:
    """Sentences about what is not shown, or shown differently."""
    found = []
    thinned = [
        (len(index), len(keyframe.points))
        for keyframe, index in zip(content.keyframes, content.drawn, strict=True)
        if len(index) < len(keyframe.points)
    ]
    if thinned:
        of_keyframes = f" in {len(thinned)} keyframes" if len(thinned) > 1 else ""
        found.append(arrays.count_text(*max(thinned)) + f" are drawn{of_keyframes}")
    for name, sets in content.features.items():
        empty = sum(_num_zero(each.feat) for each in sets)
        if empty:
            found.append(f"{name}: {empty:,} features are zero and have no direction: grey")
    widths = {name: sets[0].space.dim for name, sets in content.features.items()}
    other = [name for name, width in widths.items() if width != next(iter(widths.values()))]
    if other:
        found.append(f"{', '.join(other)}: another width, so colours come from another basis")
    return list(dict.fromkeys(found))


def _num_zero(feat: Float[torch.Tensor, "N D"]) -> int:
    """Number of features that are zero; most are not, as their first channel tells."""
    maybe = feat[feat[:, 0] == 0]
    return int((maybe == 0).all(1).sum())


def _mode(name: str, content: Content) -> dict[str, Any]:
    """A mode of the table, with the limits of its scale where it shows numbers."""
    mode = mode_of(name, name in content.queries)
    if mode.kind == "pair":
        return asdict(mode) | {"low": -0.2, "high": 1.0}
    if mode.kind not in ("number", "score"):
        return asdict(mode)
    count = range(len(content.keyframes))
    values = np.concatenate([numbers(content, i, name) for i in count])
    low, high = similarity_limits(values) if mode.query else arrays.robust_limits(values)
    return asdict(mode) | {"low": low, "high": high}


def numbers(content: Content, index: int, name: str) -> np.ndarray:
    """The number (N,) of each point in a mode that shows numbers, see `Mode.array`."""
    keyframe, mode = content.keyframes[index], mode_of(name)
    if mode.kind == "score":
        return content.scores[name][index]
    array = {"position": keyframe.points, "intensity": keyframe.intensity[:, None]}[mode.array]
    return array[:, mode.column].numpy()


def _feature_set(name: str, content: Content) -> dict[str, Any]:
    described = {"name": name, "predictions": name in content.predictions, "channels": 0}
    if step := content.steps.get(name):
        described |= {"group": step.group, "label": step.label}
    if name not in content.features:
        return described
    quantiser, basis = content.quantisers[name], content.bases[name]
    # A unit feature is x = mean + length * (quantiser.basis @ direction), and its coordinates in
    # the colours' basis are linear in x.
    weight, start = basis.to_ratio()
    turned = basis.components.T @ quantiser.basis  # (C, K)
    mean = (quantiser.mean - basis.mean) @ basis.components  # (C,)
    return described | {
        "channels": quantiser.channels,
        "width": len(quantiser.mean),
        "mean": quantiser.mean_coordinates.tolist(),
        "mean_square": float(quantiser.mean @ quantiser.mean),
        "error_mean": quantiser.error_mean,
        "error_99": quantiser.error_99,
        "component_weights": (turned * weight[:, None]).flatten().tolist(),
        "component_starts": (start + mean * weight).tolist(),
    }


def _similarity_low(content: Content) -> dict[str, float]:
    """The low end of the similarity scale: the 2nd percentile of cosines in the first set."""
    if not content.features:
        return {"centred": -1.0, "plain": -1.0}
    name, sets = next(iter(content.features.items()))
    feat = some_rows(sets, 500)
    quantiser = content.quantisers[name]
    quantised = quantiser.quantise(feat)
    rows = np.flatnonzero(quantised.length > 0)
    if len(rows) < 2:
        return {"centred": -1.0, "plain": -1.0}
    centred, plain = quantised.cosine(rows, rows), quantiser.plain(quantised, rows, rows)
    lows = {"centred": np.percentile(centred, 2), "plain": np.percentile(plain, 2)}
    return {kind: float(np.floor(min(low, 0.9) * 20) / 20) for kind, low in lows.items()}


def keyframe_payload(content: Content, number: int) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of one keyframe."""
    payload = Payload()
    header = fill_payload(payload, content, number)
    return header, payload.bytes()


def fill_payload(
    payload: Payload, content: Content, number: int, photo: Photo = LIVE_PHOTO
) -> dict[str, Any]:
    """Add the arrays of a keyframe; returns its header."""
    keyframe, drawn = content.keyframes[number], content.drawn[number]
    with reading(keyframe, photo) as images:  # while features are quantised
        _add_points(payload, content, number)
        for pair in content.pairs:
            cosine, has = agreement(content, number, pair)
            steps = np.where(has, (cosine * 32767).round(), -32768).astype(np.int16)
            payload.add(f"agreement/{pair[0]}/{pair[1]}", steps[drawn])
        cameras, missing = _add_cameras(payload, content, number, images)
    return {
        "keyframe": number,
        "count": len(drawn),
        "spread": spread_of(len(drawn)),
        "part": part_of(len(drawn)),
        "cameras": cameras,
        "boxes": [_box(box) for box in keyframe.boxes],
        "missing": missing,
        "arrays": payload.arrays,
    }


def _add_points(payload: Payload, content: Content, number: int) -> None:
    """Add what belongs to the points: positions, labels, features, predictions and scores."""
    keyframe, drawn = content.keyframes[number], content.drawn[number]
    payload.add("position", keyframe.points.numpy()[drawn].astype(np.float32))
    payload.add("intensity", keyframe.intensity.numpy()[drawn].astype(np.float32))
    if len(drawn) < len(keyframe.points) or part_of(len(drawn)) < len(drawn):
        payload.add("index", drawn.astype(np.int32))
    if content.labels[number] is not None:
        payload.add("labels", content.labels[number][drawn].astype(np.uint8))
    for i, name in enumerate(content.sets):
        if name in content.features:
            payload.add_features("", f"/{i}", _quantised(content, name, number))
        if name in content.predictions:
            predicted = content.predictions[name][number][drawn]
            payload.add(f"predicted/{i}", predicted.astype(np.uint8))
    for name, values in content.scores.items():
        payload.add(f"score/{name}", values[number][drawn])


def _quantised(content: Content, name: str, number: int) -> Quantised:
    """Quantised features of the points drawn; zeros for points without one."""
    features, drawn = content.features[name][number], content.drawn[number]
    row = features.row_of(torch.from_numpy(drawn))
    has = (row >= 0).numpy()
    rows = row[row >= 0]
    most = 2 * len(rows) > len(features.feat)  # features are larger than what is made of them
    found = content.quantisers[name].quantise(features.feat if most else features.feat[rows])
    taken = rows.numpy() if most else np.arange(len(rows))
    if has.all() and len(taken) == len(found.scale) and (np.diff(taken) > 0).all():
        return found
    spread = []
    for array in (found.direction, found.scale, found.length):
        spread.append(np.zeros((len(drawn), *array.shape[1:]), dtype=array.dtype))
        spread[-1][has] = array[taken]
    return Quantised(*spread)


def _add_cameras(
    payload: Payload, content: Content, number: int, images: Sequence[Future]
) -> tuple[list[dict], list[str]]:
    """Add images, the pixel of each point, and the colour each point gets from them."""
    keyframe, drawn = content.keyframes[number], content.drawn[number]
    points = keyframe.points[torch.from_numpy(drawn)]
    pairs = find_pairs(points, keyframe.cameras)
    colour = np.zeros((len(drawn), 4), dtype=np.uint8)
    cameras, missing = [], []
    for i, (camera, image) in enumerate(zip(keyframe.cameras.values(), images, strict=True)):
        try:
            pixels, encoded = image.result()
        except (FileNotFoundError, ValueError) as error:
            missing.append(f"{camera.name}: {error}")
            continue
        of_camera = pairs.of_camera(camera.name)
        uv, point = of_camera.uv.numpy(), of_camera.point.numpy()
        column, row = uv.astype(np.int64).T
        colour[point, :3], colour[point, 3] = pixels[row, column], 255
        height, width = camera.image_size
        ratio = uv / np.array([width, height]) * 65535
        payload.add(f"pairs/{i}/point", point.astype(np.int32))
        payload.add(f"pairs/{i}/uv", ratio.round().astype(np.uint16))
        depth = (of_camera.depth.numpy() * 100).clip(0, 65535)
        payload.add(f"pairs/{i}/depth", depth.astype(np.uint16))  # centimetres
        payload.add(f"image/{i}", np.frombuffer(encoded, dtype=np.uint8))
        cameras.append(
            {"name": camera.name, "number": i, "width": width, "height": height}
            | pose_of(camera)
            | _add_map(payload, content, number, camera.name, i)
        )
    if cameras:
        payload.add("colour", colour)
    return _left_to_right(cameras), missing


def _add_map(payload: Payload, content: Content, number: int, camera: str, i: int) -> dict:
    feature_map = content.feature_maps[number].get(camera)
    if feature_map is None:
        return {}
    quantiser: Quantiser = next(iter(content.quantisers.values()))
    cells = quantiser.quantise(feature_map.flatten(1).T.contiguous())
    payload.add_features(f"map/{i}/", "", cells)
    return {"map_size": list(feature_map.shape[1:])}


def pose_of(camera: Camera) -> dict[str, Any]:
    """Position and direction in the lidar frame: eye (m), azimuth, elevation and fov (degrees)."""
    matrix = camera.T_cam_lidar.numpy()
    turn, shift = matrix[:3, :3], matrix[:3, 3]
    eye, ahead = -turn.T @ shift, turn[2]
    return {
        "eye": eye.tolist(),
        "azimuth": azimuth_of(ahead),
        "elevation": float(-np.degrees(np.arcsin(np.clip(ahead[2], -1, 1)))),
        "fov": vertical_field_of_view(camera),
        "K": camera.K.flatten().tolist() if camera.lens == PINHOLE else None,
        "matrix": matrix.flatten().tolist(),
    }


def _box(box: Box) -> dict[str, Any]:
    """Name, class, corners (8, 3) and upper middle of a box, lidar frame, metres."""
    signs = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)]) - 0.5
    turn, shift = box.T_lidar_box[:3, :3].numpy(), box.T_lidar_box[:3, 3].numpy()
    corners = (signs * box.size) @ turn.T + shift
    top = shift + turn @ [0, 0, box.size[2] / 2 + 0.3]
    return {
        "name": box.name,
        "label": box.label,
        "corners": corners.round(3).tolist(),
        "top": top.round(3).tolist(),
    }


def _left_to_right(cameras: list[dict]) -> list[dict]:
    """Sort cameras from the left rear over the front to the right rear."""
    if not cameras:
        return []
    ahead = of_cameras(
        {each["name"]: np.reshape(each["matrix"], (4, 4))[2, :3] for each in cameras}
    )
    return sorted(cameras, key=lambda camera: (camera["azimuth"] - ahead + 179) % 360)


def cameras_from_left(keyframe: Keyframe) -> list[Camera]:
    """The cameras from the left rear over the front to the right rear, as images are shown."""
    poses = [pose_of(camera) | {"name": camera.name} for camera in keyframe.cameras.values()]
    return [keyframe.cameras[pose["name"]] for pose in _left_to_right(poses)]
