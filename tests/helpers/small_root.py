"""A small data set in the nuScenes schema, made by hand: ground, a wall, two pinhole cameras.

`tables()` returns its tables, so that a test may change any field before `write_root` writes them.
"""

import json

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from kit.data.classes import CATEGORIES

VERSION = "v1.0-mini"
SIZE = (24, 32)  # of the images: height, width in pixels
K = [[40.0, 0.0, 16.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]]
NUM_POINTS = 240
# lidar: x right, y forward, z up; ego: x forward, y left, z up; camera: x right, y down, z forward
R_EGO_LIDAR = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
R_EGO_CAM = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]])
T_EGO_LIDAR, T_EGO_CAM = np.array([0.9, 0, 1.8]), np.array([1.7, 0, 1.5])
CHANNELS = ("LIDAR_TOP", "CAM_FRONT", "CAM_LEFT")


def wxyz(matrix) -> list[float]:
    return Rotation.from_matrix(matrix).as_quat(scalar_first=True).tolist()


def scan(seed=0, count=NUM_POINTS) -> np.ndarray:
    """(N, 4) x, y, z in the lidar frame, and intensity 0..60."""
    draw = np.random.default_rng(seed)
    half = count // 2
    ground = np.stack(
        [draw.uniform(-15, 15, half), draw.uniform(2, 30, half), np.full(half, -1.8)], 1
    )
    wall = np.stack(
        [draw.uniform(-15, 15, half), np.full(half, 20.0), draw.uniform(-1.8, 4, half)], 1
    )
    return np.column_stack([np.concatenate([ground, wall]), draw.uniform(0, 60, 2 * half)])


def picture(seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def _pose_of(channel):
    if channel == "LIDAR_TOP":
        return R_EGO_LIDAR, T_EGO_LIDAR
    turn = np.eye(3)
    if channel == "CAM_LEFT":
        turn = Rotation.from_euler("z", 60, degrees=True).as_matrix()
    return turn @ R_EGO_CAM, turn @ T_EGO_CAM


def tables(keyframes=2, scenes=1, vehicle="robot1") -> dict[str, list[dict]]:
    """All tables, with one box and a label file in every keyframe."""
    found = {
        "category": [
            {"token": f"category-{i}", "name": name, "index": i, "description": ""}
            for i, name in enumerate(CATEGORIES)
        ],
        "log": [{"token": "log-0", "logfile": "a", "vehicle": vehicle, "location": "here"}],
        "sensor": [],
        "calibrated_sensor": [],
        "scene": [],
        "sample": [],
        "sample_data": [],
        "ego_pose": [],
        "lidarseg": [],
        "instance": [
            {"token": f"instance-{i}", "category_token": f"category-{c}"}
            for i, c in enumerate((17, 2))
        ],
        "sample_annotation": [],
    }
    for channel in CHANNELS:
        _add_sensor(found, channel)
    for scene in range(scenes):
        _add_scene(found, scene, keyframes)
    return found


def _add_sensor(found, channel):
    rotation, translation = _pose_of(channel)
    is_camera = channel.startswith("CAM")
    found["sensor"].append(
        {
            "token": f"sensor-{channel}",
            "channel": channel,
            "modality": "camera" if is_camera else "lidar",
        }
    )
    found["calibrated_sensor"].append(
        {
            "token": f"calibration-{channel}",
            "sensor_token": f"sensor-{channel}",
            "translation": translation.tolist(),
            "rotation": wxyz(rotation),
            "camera_intrinsic": K if is_camera else [],
        }
    )


def _add_scene(found, scene, keyframes):
    samples = [f"sample-{scene}-{number}" for number in range(keyframes)]
    found["scene"].append(
        {
            "token": f"scene-{scene}",
            "name": f"walk-{scene}",
            "log_token": "log-0",
            "nbr_samples": keyframes,
            "first_sample_token": samples[0],
        }
    )
    for number, token in enumerate(samples):
        after = samples[number + 1] if number + 1 < keyframes else ""
        _add_keyframe(found, scene, number, token, after)


def _add_keyframe(found, scene, number, sample, after):
    time = 1_000_000 * (number + 10 * scene)
    found["sample"].append(
        {
            "token": sample,
            "timestamp": time,
            "prev": "",
            "next": after,
            "scene_token": f"scene-{scene}",
        }
    )
    for channel in CHANNELS:
        _add_measurement(found, channel, scene, number, sample, time)
    token = f"data-LIDAR_TOP-{scene}-{number}"
    found["lidarseg"].append(
        {
            "token": token,
            "sample_data_token": token,
            "filename": f"lidarseg/{VERSION}/{token}_lidarseg.bin",
        }
    )
    found["sample_annotation"].append(
        {
            "token": f"box-{scene}-{number}",
            "sample_token": sample,
            "instance_token": f"instance-{number % 2}",
            "translation": [12.0, 0, 1.0],
            "size": [2.0, 4.0, 1.5],
            "rotation": [1.0, 0, 0, 0],
        }
    )


def _add_measurement(found, channel, scene, number, sample, time):
    """The pose and the file of one sensor at one keyframe."""
    name, is_camera = f"{channel}-{scene}-{number}", channel.startswith("CAM")
    pose = {
        "token": f"pose-{name}",
        "rotation": [1.0, 0, 0, 0],
        "translation": [2.0 * number, 0, 0],
    }
    found["ego_pose"].append(pose)
    found["sample_data"].append(
        {
            "token": f"data-{name}",
            "sample_token": sample,
            "ego_pose_token": pose["token"],
            "calibrated_sensor_token": f"calibration-{channel}",
            "timestamp": time,
            "is_key_frame": True,
            "height": SIZE[0] if is_camera else 0,
            "width": SIZE[1] if is_camera else 0,
            "filename": f"samples/{channel}/{name}" + (".png" if is_camera else ".pcd.bin"),
        }
    )


def write_tables(root, found):
    (root / VERSION).mkdir(parents=True, exist_ok=True)
    for name, rows in found.items():
        (root / VERSION / f"{name}.json").write_text(json.dumps(rows))


def write_root(root, found=None, scan_of=scan):
    """Write the tables, and the files that the unchanged tables list; returns the root."""
    plain = tables(scenes=2, keyframes=4)  # more files than most tables list
    for number, row in enumerate(plain["sample_data"]):
        file = root / row["filename"]
        file.parent.mkdir(parents=True, exist_ok=True)
        if "LIDAR" in row["filename"]:
            points = scan_of(number)
            rows = np.column_stack([points, np.zeros(len(points))])
            rows.astype("<f4").tofile(file)
        else:
            Image.fromarray(picture(number)).save(file)
    for row in plain["lidarseg"]:
        file = root / row["filename"]
        file.parent.mkdir(parents=True, exist_ok=True)
        (np.arange(NUM_POINTS) % 2 * 7 + 17).astype(np.uint8).tofile(file)  # car, driveable surface
    write_tables(root, found or tables())
    return root


def true_pixels(points, size=SIZE, intrinsics=K):
    """Independent projection into CAM_FRONT: (N, 2) pixels and a mask of the visible points."""
    ego = points[:, :3] @ R_EGO_LIDAR.T + T_EGO_LIDAR
    camera = (ego - T_EGO_CAM) @ R_EGO_CAM
    pixels = camera @ np.array(intrinsics).T
    uv = pixels[:, :2] / pixels[:, 2:]
    inside = (uv > 0).all(1) & (uv[:, 0] < size[1] - 1) & (uv[:, 1] < size[0] - 1)
    return uv, inside & (camera[:, 2] > 1)
