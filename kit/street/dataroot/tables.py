"""The rows of a nuScenes dataroot for a street: the schema's thirteen tables and lidarseg's.

Nothing here touches the disk; `dataroot.py` renders and writes.
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
from kit.street.render.moment import SECONDS, Moment

VERSION = "v1.0-mini"
LIDAR = "LIDAR_TOP"
START = 1_577_836_800_000_000  # microseconds: 1 January 2020; scenes begin an hour apart

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

Row = dict  # of a table, by the schema's field names
Tables = dict[str, list[Row]]


def make_tables(street: Street, annotations: Sequence[list[Row]]) -> Tables:
    """All tables of the version folder, by name.

    Args:
        annotations: what `annotations_of` gives for each keyframe.

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
        parts = (_drive(street, name, indices), _shots(street, indices), _objects(seen))
        for table, rows in ((t, rows) for part in parts for t, rows in part.items()):
            tables.setdefault(table, []).extend(rows)
    return tables


def scenes_of(street: Street) -> dict[str, list[int]]:
    """By scene, the numbers of its keyframes in order of time."""
    groups = groupby(range(len(street)), lambda index: street.scenes[index])
    return {name: list(indices) for name, indices in groups}


def token_of(street: Street, *words: str) -> str:
    """32 hexadecimal digits, the same whenever and wherever this street is written."""
    return hashlib.sha256("/".join((street.rig.name, *words)).encode()).hexdigest()[:32]


def label_file(token: str) -> str:
    """Where the labels of a scan lie, by its token."""
    return f"lidarseg/{VERSION}/{token}_lidarseg.bin"


def shots_of(street: Street, index: int) -> dict[str, Row]:
    """By channel, a keyframe's rows of sample_data, without `prev` and `next`."""
    moment, rows = street.moments[index], {}
    for channel, delay in _delays(street).items():
        token, time = token_of(street, "shot", street.tokens[index], channel), _time(moment, delay)
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
    """Rows of sample_annotation for the objects the lidar hit, without `prev` and `next`.

    They carry a `category_token` too, which belongs in the instance's row. `num_lidar_pts` counts
    the points inside the box, as the schema says: the noise puts some of an object's points
    outside, and some of the ground's inside. An object's visibility is the share of its lidar
    points that no camera finds hidden.

    Source: the nuScenes schema. Differs: its visibility is a share of pixels, as people judged it.
    """
    objects, hidden = keyframe.annotations.object_of_point, keyframe.annotations.hidden.values()
    clear = ~torch.stack([torch.zeros(len(objects), dtype=torch.bool), *hidden]).any(0)  # (N,)
    rows = []
    for index in objects[objects >= 0].unique().tolist():
        box, attribute = keyframe.boxes[index], _attribute(keyframe.boxes[index])
        length, width, height = box.size
        share = 100 * clear[objects == index].double().mean().item()
        row = {
            "token": token_of(street, "annotation", keyframe.token, box.track),
            "sample_token": token_of(street, "sample", keyframe.token),
            "instance_token": token_of(street, "instance", keyframe.scene, box.track),
            "category_token": token_of(street, "category", box.category),
            "attribute_tokens": [token_of(street, "attribute", attribute)] if attribute else [],
            "visibility_token": str(1 + sum(share >= low for low, _ in VISIBILITY[1:])),
            "size": [width, length, height],
            "num_lidar_pts": _num_inside(box, keyframe.points),
            "num_radar_pts": 0,
        }
        rows.append(row | _pose((keyframe.T_global_lidar @ box.T_lidar_box).numpy()))
    return rows


def _num_inside(box: Box, points: Float[Tensor, "N 3"]) -> int:
    """How many points of the lidar frame a box holds; only those nearby are looked at closely."""
    away = (points - box.T_lidar_box[:3, 3].float()).norm(dim=1)
    return int(box.contains(points[away < np.linalg.norm(box.size)]).sum())


def _attribute(box: Box) -> str | None:
    """What the object does, in nuScenes' words; cones and barriers have none."""
    if box.category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider" if "cyclist" in box.name else "cycle.without_rider"
    if box.category.startswith("vehicle."):
        return "vehicle.moving" if box.speed else "vehicle.parked"
    if box.category.startswith("human.pedestrian."):
        return "pedestrian.moving" if box.speed else "pedestrian.standing"
    return None


def _named(street: Street, table: str, name: str) -> Row:
    return {"token": token_of(street, table, name), "name": name, "description": name}


def _pose(T: Float[np.ndarray, "4 4"]) -> Row:
    """A rigid transform as the tables store it: metres, and a quaternion (w, x, y, z)."""
    rotation = Rotation.from_matrix(T[:3, :3]).as_quat(canonical=True, scalar_first=True)
    return {"translation": T[:3, 3].tolist(), "rotation": rotation.tolist()}


def _delays(street: Street) -> dict[str, float]:
    """By channel, when a sensor looks: seconds after the keyframe's time stamp."""
    return {LIDAR: 0.0} | {name: mount.delay for name, mount in street.rig.cameras.items()}


def _time(moment: Moment, delay: float = 0.0) -> int:
    """Microseconds since 1970."""
    return START + round(1e6 * (3600 * moment.scene + SECONDS * moment.keyframe + delay))


def _sensors(street: Street) -> Tables:
    """The lidar and the cameras, and how they sit on the car: the same in all scenes."""
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


def _drive(street: Street, name: str, indices: Sequence[int]) -> Tables:
    """One scene, its samples, its log and its map."""
    log, drawing, scene = (token_of(street, table, name) for table in ("log", "map", "scene"))
    layout = street.moments[indices[0]].layout()
    samples = [
        {
            "token": token_of(street, "sample", street.tokens[index]),
            "timestamp": _time(street.moments[index]),
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
                "description": f"simulated: {layout.district}, {layout.layout}, seed {street.seed}",
            }
        ],
        "sample": _linked(samples),
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
                "token": drawing,
                "log_tokens": [log],
                "category": "semantic_prior",
                "filename": f"maps/{drawing}.png",
            }
        ],
    }


def _shots(street: Street, indices: Sequence[int]) -> Tables:
    """One scene's files, where the car was when each was taken, and the labels of its scans."""
    shots = [shots_of(street, index) for index in indices]
    poses = []
    for rows, index in zip(shots, indices, strict=True):
        for channel, delay in _delays(street).items():
            T_global_ego = street.moments[index].T_global_ego(delay)
            stamp = {key: rows[channel][key] for key in ("token", "timestamp")}
            poses.append(stamp | _pose(T_global_ego))
    scans = [rows[LIDAR]["token"] for rows in shots]
    return {
        "sample_data": [
            row for channel in _delays(street) for row in _linked(rows[channel] for rows in shots)
        ],
        "ego_pose": poses,
        "lidarseg": [
            {"token": token, "sample_data_token": token, "filename": label_file(token)}
            for token in scans
        ],
    }


def _objects(rows: Iterable[Row]) -> Tables:
    """Instances, and their annotations linked, from one scene's rows in order of time."""
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
    """Copies of rows in order of time, each with the tokens of its neighbours; "" at the ends."""
    rows = list(rows)
    tokens = ["", *(row["token"] for row in rows), ""]
    return [
        row | {"prev": before, "next": after}
        for row, before, after in zip(rows, tokens[:-2], tokens[2:], strict=True)
    ]
