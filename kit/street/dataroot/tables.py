"""Rows of the JSON tables of the nuScenes schema, 13 tables and lidarseg's, for a street.

Reads and writes no file; `writer.py` does.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from kit.data.annotations import Box
from kit.data.classes import CATEGORIES
from kit.data.keyframe import Keyframe
from kit.street.dataset import Street
from kit.street.render.moment import KEYFRAME_INTERVAL, Moment

VERSION = "v1.0-mini"
LIDAR = "LIDAR_TOP"
START = 1_577_836_800_000_000  # microseconds: 1 January 2020; scenes begin one hour apart

ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
VISIBILITY = ((0, 40), (40, 60), (60, 80), (80, 100))  # percent; their tokens are "1" to "4"

Row = dict  # a row of a table, by the field names of the schema
Tables = dict[str, list[Row]]


def make_tables(street: Street, annotations: Sequence[list[Row]]) -> Tables:
    """Make all tables of the version folder, by name.

    Args:
        street: what was written.
        annotations: for each keyframe, the result of `annotations_of`.

    Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format.
    """
    tables = {
        "category": [
            _named(street, "category", c) | {"index": i} for i, c in enumerate(CATEGORIES)
        ],
        "attribute": [_named(street, "attribute", name) for name in ATTRIBUTES],
        "visibility": [
            {
                "token": str(number),
                "level": f"v{low}-{high}",
                "description": f"visibility of whole object is between {low} and {high}%",
            }
            for number, (low, high) in enumerate(VISIBILITY, start=1)
        ],
        **_sensors(street),
    }
    for name, indices in scenes_of(street).items():
        seen = [row for index in indices for row in annotations[index]]
        parts = (
            _scene(street, name, indices),
            _log_and_map(street, name),
            _files(street, indices),
            _objects(seen),
        )
        for table, rows in ((t, rows) for part in parts for t, rows in part.items()):
            tables.setdefault(table, []).extend(rows)
    return tables


def scenes_of(street: Street) -> dict[str, list[int]]:
    """Indices of the keyframes of each scene, in order of time."""
    groups = groupby(range(len(street)), lambda index: street.scenes[index])
    return {name: list(indices) for name, indices in groups}


def token_of(street: Street, *names: str) -> str:
    """Make a token of 32 hexadecimal digits; the same for every export of this street."""
    return hashlib.sha256("/".join((street.rig.name, *names)).encode()).hexdigest()[:32]


def label_file(token: str) -> str:
    """Path of the labels of a scan below the root, by its token."""
    return f"lidarseg/{VERSION}/{token}_lidarseg.bin"


def sample_data_of(street: Street, index: int) -> dict[str, Row]:
    """Rows of sample_data of a keyframe by channel, without `prev` and `next`."""
    moment, rows = street.moments[index], {}
    for channel, delay in _delays(street).items():
        token = token_of(street, "shot", street.tokens[index], channel)
        time = _timestamp(moment, delay)
        scan = channel == LIDAR
        height, width = (0, 0) if scan else moment.size_of(street.rig.cameras[channel])
        name = f"{street.scenes[index]}__{channel}__{time}.{'pcd.bin' if scan else 'jpg'}"
        rows[channel] = {
            "token": token,
            "sample_token": token_of(street, "sample", street.tokens[index]),
            "ego_pose_token": token,
            "calibrated_sensor_token": token_of(street, "calibrated_sensor", channel),
            "timestamp": time,
            "fileformat": "pcd" if scan else "jpg",
            "is_key_frame": True,
            "height": height,
            "width": width,
            "filename": f"samples/{channel}/{name}",
        }
    return rows


def annotations_of(street: Street, keyframe: Keyframe) -> list[Row]:
    """Rows of sample_annotation for all objects with lidar points, without `prev` and `next`.

    Each row also has a `category_token`, which belongs to the row of the instance. `num_lidar_pts`
    counts the points inside the box, as the schema defines it; because of range noise some points
    of an object are outside, and some of the ground are inside. The visibility of an object is the
    ratio of its lidar points that are occluded in no camera.

    Source: the nuScenes schema. Differs: there, the visibility is a ratio of pixels, estimated by
        annotators.
    """
    objects, hidden = keyframe.annotations.object_of_point, keyframe.annotations.hidden.values()
    visible = ~torch.stack([torch.zeros(len(objects), dtype=torch.bool), *hidden]).any(0)  # (N,)
    rows = []
    for index in objects[objects >= 0].unique().tolist():
        box, attribute = keyframe.boxes[index], _attribute(keyframe.boxes[index])
        length, width, height = box.size
        percent = 100 * visible[objects == index].double().mean().item()
        row = {
            "token": token_of(street, "annotation", keyframe.token, box.track),
            "sample_token": token_of(street, "sample", keyframe.token),
            "instance_token": token_of(street, "instance", keyframe.scene, box.track),
            "category_token": token_of(street, "category", box.category),
            "attribute_tokens": [token_of(street, "attribute", attribute)] if attribute else [],
            "visibility_token": str(1 + sum(percent >= low for low, _ in VISIBILITY[1:])),
            "size": [width, length, height],
            "num_lidar_pts": _num_inside(box, keyframe.points),
            "num_radar_pts": 0,
        }
        rows.append(row | _pose((keyframe.T_global_lidar @ box.T_lidar_box).numpy()))
    return rows


def _num_inside(box: Box, points: Float[Tensor, "N 3"]) -> int:
    """Number of points inside a box; points far from its centre are excluded first, for speed."""
    away = (points - box.T_lidar_box[:3, 3].float()).norm(dim=1)
    return int(box.contains(points[away < np.linalg.norm(box.size)]).sum())


def _attribute(box: Box) -> str | None:
    """The nuScenes attribute of an object; None for cones and barriers."""
    if box.category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider" if "cyclist" in box.name else "cycle.without_rider"
    if box.category.startswith("vehicle."):
        return "vehicle.moving" if box.speed else "vehicle.parked"
    if box.category.startswith("human.pedestrian."):
        return "pedestrian.moving" if box.speed else "pedestrian.standing"
    return None


def _named(street: Street, table: str, name: str) -> Row:
    """A row with a token, a name and a description."""
    return {"token": token_of(street, table, name), "name": name, "description": name}


def _pose(T: Float[np.ndarray, "4 4"]) -> Row:
    """A rigid transform as in the tables: translation in metres, quaternion (w, x, y, z)."""
    rotation = Rotation.from_matrix(T[:3, :3]).as_quat(canonical=True, scalar_first=True)
    return {"translation": T[:3, 3].tolist(), "rotation": rotation.tolist()}


def _delays(street: Street) -> dict[str, float]:
    """Time of each sensor relative to the keyframe's time stamp, seconds, by channel."""
    return {LIDAR: 0.0} | {name: mount.delay for name, mount in street.rig.cameras.items()}


def _timestamp(moment: Moment, delay: float = 0.0) -> int:
    """Microseconds since 1970."""
    return START + round(1e6 * (3600 * moment.scene + KEYFRAME_INTERVAL * moment.keyframe + delay))


def _sensors(street: Street) -> Tables:
    """Tables sensor and calibrated_sensor; they are the same for all scenes."""
    mounts = {LIDAR: ("lidar", street.rig.T_ego_lidar, [])}
    for name, mount in street.rig.cameras.items():
        K = mount.intrinsics(street.image_size or mount.size)
        mounts[name] = ("camera", mount.T_ego_cam, K.tolist())
    tables = {"sensor": [], "calibrated_sensor": []}
    for channel, (modality, T_ego_sensor, K) in mounts.items():
        token = token_of(street, "sensor", channel)
        calibration = token_of(street, "calibrated_sensor", channel)
        tables["sensor"].append({"token": token, "channel": channel, "modality": modality})
        tables["calibrated_sensor"].append(
            {"token": calibration, "sensor_token": token, "camera_intrinsic": K}
            | _pose(T_ego_sensor)
        )
    return tables


def _scene(street: Street, name: str, indices: Sequence[int]) -> Tables:
    """Tables scene and sample, for one scene."""
    log, scene = (token_of(street, table, name) for table in ("log", "scene"))
    drawn = street.moments[indices[0]].draw_scene()
    samples = [
        {
            "token": token_of(street, "sample", street.tokens[index]),
            "timestamp": _timestamp(street.moments[index]),
            "scene_token": scene,
        }
        for index in indices
    ]
    return {
        "scene": [
            {
                "token": scene,
                "log_token": log,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": name,
                "description": f"simulated: {drawn.district}, {drawn.layout}, seed {street.seed}",
            }
        ],
        "sample": _linked(samples),
    }


def _log_and_map(street: Street, name: str) -> Tables:
    """Tables log and map, for one scene."""
    log, map_ = (token_of(street, table, name) for table in ("log", "map"))
    return {
        "log": [
            {
                "token": log,
                "logfile": name,
                "vehicle": street.rig.name,
                "date_captured": "2020-01-01",
                "location": "street",
            }
        ],
        "map": [
            {
                "token": map_,
                "log_tokens": [log],
                "category": "semantic_prior",
                "filename": f"maps/{map_}.png",
            }
        ],
    }


def _files(street: Street, indices: Sequence[int]) -> Tables:
    """Tables sample_data, ego_pose and lidarseg, for one scene."""
    files = [sample_data_of(street, index) for index in indices]
    poses = []
    for rows, index in zip(files, indices, strict=True):
        for channel, delay in _delays(street).items():
            T_global_ego = street.moments[index].T_global_ego(delay)
            stamp = {key: rows[channel][key] for key in ("token", "timestamp")}
            poses.append(stamp | _pose(T_global_ego))
    scans = [rows[LIDAR]["token"] for rows in files]
    return {
        "sample_data": [
            row for channel in _delays(street) for row in _linked(rows[channel] for rows in files)
        ],
        "ego_pose": poses,
        "lidarseg": [
            {"token": token, "sample_data_token": token, "filename": label_file(token)}
            for token in scans
        ],
    }


def _objects(rows: Iterable[Row]) -> Tables:
    """Tables instance and sample_annotation, from one scene's rows in order of time."""
    chains: dict[str, list[Row]] = {}
    for row in rows:
        chains.setdefault(row["instance_token"], []).append(row)
    instances = [
        {
            "token": token,
            "category_token": chain[0]["category_token"],
            "nbr_annotations": len(chain),
            "first_annotation_token": chain[0]["token"],
            "last_annotation_token": chain[-1]["token"],
        }
        for token, chain in chains.items()
    ]
    linked = [row for chain in chains.values() for row in _linked(chain)]
    for row in linked:
        del row["category_token"]
    return {"instance": instances, "sample_annotation": linked}


def _linked(rows: Iterable[Row]) -> list[Row]:
    """Copy rows in order of time, with the tokens of the rows before and after; "" at the ends."""
    rows = list(rows)
    tokens = ["", *(row["token"] for row in rows), ""]
    return [
        row | {"prev": before, "next": after}
        for row, before, after in zip(rows, tokens[:-2], tokens[2:], strict=True)
    ]
