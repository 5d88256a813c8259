"""Small recordings in the layouts of KITTI, SemanticKITTI, PandaSet and Argoverse 2.

All show the same place: ground and a wall, seen by a lidar (x forward, y left, z up) and a camera
whose true pose `T_CAM_LIDAR` and `K` are written in the way of each format.
"""

import gzip
import io
import json
import pickle

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

SIZE = (24, 32)  # of the images: height, width in pixels
K = np.array([[40.0, 0, 16], [0, 41, 12], [0, 0, 1]])
NUM_POINTS = 240
AXES = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]])  # from x forward, y left, z up to a camera
OFFSET = np.array([0.06, -0.003, 0.005])  # of camera 2 from camera 0, metres


def rigid(rotation, translation) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, translation
    return T


R0 = rigid(Rotation.from_euler("xyz", [0.01, -0.008, 0.02]).as_matrix(), np.zeros(3))
T_CAM0_LIDAR = rigid(
    Rotation.from_euler("xyz", [0.02, 0.01, -0.03]).as_matrix() @ AXES, [-0.02, -0.06, -0.33]
)
T_CAM_LIDAR = rigid(np.eye(3), OFFSET) @ R0 @ T_CAM0_LIDAR


def scan(seed=0, count=NUM_POINTS) -> np.ndarray:
    """(N, 4) float32: x forward, y left, z up, intensity 0..1."""
    draw = np.random.default_rng(seed)
    half = count // 2
    ground = np.stack(
        [draw.uniform(2, 30, half), draw.uniform(-15, 15, half), np.full(half, -1.7)], 1
    )
    wall = np.stack(
        [np.full(half, 20.0), draw.uniform(-15, 15, half), draw.uniform(-1.7, 4, half)], 1
    )
    values = np.column_stack([np.concatenate([ground, wall]), draw.uniform(0, 0.6, 2 * half)])
    return values.astype("<f4")


def true_pixels(points, T=T_CAM_LIDAR, intrinsics=K, size=SIZE):
    """Project point by point: pixels of the visible points, by the index of the point."""
    found = {}
    for index, point in enumerate(points):
        x, y, z = (sum(T[i, j] * point[j] for j in range(3)) + T[i, 3] for i in range(3))
        if z > 1:
            u = intrinsics[0, 0] * x / z + intrinsics[0, 2]
            v = intrinsics[1, 1] * y / z + intrinsics[1, 2]
            if 0 < u < size[1] - 1 and 0 < v < size[0] - 1:
                found[index] = (u, v)
    return found


def line(name, matrix) -> str:
    return f"{name}: {' '.join(f'{value:.12e}' for value in np.ravel(matrix))}\n"


def projection(offset=OFFSET) -> np.ndarray:
    """P = K [I | t] of a camera beside camera 0."""
    return np.column_stack([K, K @ offset])


def write_image(file, seed=0, size=SIZE):
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def write_bytes(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def write_text(file, text):
    write_bytes(file, text.encode())


KITTI_CALIBRATION = (
    line("P0", projection(np.zeros(3)))
    + line("P2", projection())
    + line("P3", projection([-0.5, 0, 0]))
    + line("R0_rect", R0[:3, :3])
    + line("Tr_velo_to_cam", T_CAM0_LIDAR[:3])
)
# h w l, then the middle of the bottom, in the rectified camera: 12 m ahead, 1.7 m below the lidar
KITTI_BOX = "Car 0.00 0 0.3 10 10 20 20 1.5 1.6 4.0 0.5 1.6 12.0 -1.2\n"


def write_kitti(root, frames=3):
    """KITTI objects: training/ with all files."""
    for number in range(frames):
        name = f"{number:06d}"
        write_bytes(root / f"training/velodyne/{name}.bin", scan(number).tobytes())
        write_text(root / f"training/calib/{name}.txt", KITTI_CALIBRATION)
        write_image(root / f"training/image_2/{name}.png", number)
        write_text(
            root / f"training/label_2/{name}.txt",
            KITTI_BOX + "DontCare -1 -1 -10 5 5 9 9 -1 -1 -1 -1000 -1000 -1000 -10\n",
        )
    return root


def write_raw(root, frames=3):
    """KITTI raw: one date with one drive, which moves 1 m north in every frame."""
    date = root / "2011_09_26"
    drive = date / "2011_09_26_drive_0001_sync"
    text = line("R_rect_00", R0[:3, :3]) + line("P_rect_02", projection())
    write_text(date / "calib_cam_to_cam.txt", "calib_time: 09-Jan-2012 13:57:47\n" + text)
    for name, T in (("velo_to_cam", T_CAM0_LIDAR), ("imu_to_velo", T_LIDAR_IMU)):
        rows = line("R", T[:3, :3]) + line("T", T[:3, 3])
        write_text(date / f"calib_{name}.txt", "calib_time: 15-Mar-2012 11:37:16\n" + rows)
    times = [f"2011-09-26 13:02:25.{100 * number:03d}199337\n" for number in range(frames)]
    write_text(drive / "velodyne_points/timestamps.txt", "".join(times))
    for number in range(frames):
        name = f"{number:010d}"
        write_bytes(drive / f"velodyne_points/data/{name}.bin", scan(number).tobytes())
        write_image(drive / f"image_02/data/{name}.png", number)
        latitude = 49 + np.degrees(number / 6_378_137.0)
        values = [latitude, 8.4, 112.0, 0.0, 0.0, 0.3, *[0] * 24]
        write_text(drive / f"oxts/data/{name}.txt", " ".join(map(repr, map(float, values))))
    return root


T_LIDAR_IMU = rigid(np.eye(3), [-0.8, 0.3, -0.8])


def write_sequences(root, ids=(40, 10, 70), frames=3, name="sequences/08"):
    """KITTI odometry with labels of SemanticKITTI; the car moves 2 m along the camera's axis."""
    folder = root / name
    calibration = line("P2", projection()) + line("Tr", (R0 @ T_CAM0_LIDAR)[:3])
    write_text(folder / "calib.txt", calibration)
    write_text(folder / "times.txt", "".join(f"{0.1 * n:.6e}\n" for n in range(frames)))
    poses = [rigid(np.eye(3), [0, 0, 2.0 * n])[:3].ravel() for n in range(frames)]
    write_text(folder / "poses.txt", "".join(" ".join(map(str, row)) + "\n" for row in poses))
    for number in range(frames):
        rows = scan(number)
        rows[::16] = 0  # empty slots
        write_bytes(folder / f"velodyne/{number:06d}.bin", rows.tobytes())
        write_bytes(folder / f"labels/{number:06d}.label", labels(ids).tobytes())
        write_image(folder / f"image_2/{number:06d}.png", number)
    return root


def labels(ids) -> np.ndarray:
    """Ids in turn in the low 16 bits, and the row's number modulo 7 in the high ones: instances."""
    rows = np.arange(NUM_POINTS)
    return (np.array(ids)[rows % len(ids)] + ((rows % 7) << 16)).astype("<u4")


# PandaSet


def data_frame(columns) -> bytes:
    """Pickle a data frame as pandas 1.3 to 2 does, one block for every column, without pandas."""

    def piece(value):
        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol=3)
        pickler.fast = True  # without a memo, so that pieces can be joined
        pickler.dump(value)
        return file.getvalue()[2:-1]

    def index(values):
        data = b"}" + piece("data") + piece(values) + b"s" + piece("name") + b"Ns"
        kind = b"cpandas.core.indexes.base\n_new_Index\ncpandas.core.indexes.base\nIndex\n"
        return kind + data + b"\x86R"

    blocks = b"("
    for number, values in enumerate(columns.values()):
        place = piece(slice(number, number + 1))
        block = piece(np.asarray(values)[None]) + place + piece(2) + b"\x87R"
        blocks += b"cpandas._libs.internals\n_unpickle_block\n" + block
    names = index(np.array(list(columns), dtype=object))
    rows = index(np.arange(len(next(iter(columns.values())))))
    manager = b"cpandas.core.internals.managers\nBlockManager\n" + blocks + b"t"
    manager += b"](" + names + rows + b"e\x86R"
    state = b"}" + piece("_mgr") + manager + b"s"
    return b"\x80\x03cpandas.core.frame\nDataFrame\n)\x81" + state + b"b."


def pose(T) -> dict:
    """A pose as in poses.json."""
    w, x, y, z = Rotation.from_matrix(T[:3, :3]).as_quat(scalar_first=True).tolist()
    position = dict(zip("xyz", T[:3, 3].tolist(), strict=True))
    return {"position": position, "heading": {"w": w, "x": x, "y": y, "z": z}}


def pandaset_points(number, T_world_lidar, time) -> dict:
    """The columns of a scan in the world frame, of two lidars in turn."""
    points = scan(number)
    turned = points[:, [1, 0, 2]] * [-1, 1, 1]  # to x right, y forward, z up
    world = turned.astype(np.float64) @ T_world_lidar[:3, :3].T + T_world_lidar[:3, 3]
    return dict(zip("xyz", world.T, strict=True)) | {
        "i": np.round(100.0 * points[:, 3]).astype(np.float64),
        "t": np.full(len(points), time - 0.05),
        "d": np.arange(len(points)) % 3 // 2,
    }


def pandaset_boxes(T_world_lidar) -> dict:
    """The columns of two boxes at one place, a car of both lidars and a tram of the second one."""
    centre = T_world_lidar[:3, :3] @ [0, 12, -0.9] + T_world_lidar[:3, 3]
    size = zip("xyz", (2, 5, 1.6), strict=True)
    return {
        "uuid": np.array(["a", "b"], dtype=object),
        "label": np.array(["Car", "Tram / Subway"], dtype=object),
        "yaw": np.array([0.5, 0.0]),
        **{f"position.{axis}": np.full(2, v) for axis, v in zip("xyz", centre, strict=True)},
        **{f"dimensions.{axis}": np.full(2, v) for axis, v in size},
        "cuboids.sensor_id": np.array([-1, 1]),
    }


def write_pandaset(root, T_ego_lidar, frames=3, sequence="002"):
    """PandaSet: points of two lidars in the world frame, while the car moves and turns.

    `T_ego_lidar` is the mount of the lidar in the frame of the poses.
    """
    folder = root / sequence
    poses, camera_poses, times = [], [], []
    for number in range(frames):
        name = f"{number:02d}"
        turn = Rotation.from_euler("z", 0.3 + 0.1 * number).as_matrix()
        T_world_ego = rigid(turn, [100.0 + 3 * number, 50.0, 2.0])
        T_world_lidar = T_world_ego @ T_ego_lidar
        times.append(1000.5 + 0.1 * number)
        tables = {
            "lidar": pandaset_points(number, T_world_lidar, times[-1]),
            "annotations/semseg": {"class": np.array([7, 13, 5, 0])[np.arange(NUM_POINTS) % 4]},
            "annotations/cuboids": pandaset_boxes(T_world_lidar),
        }
        for below, table in tables.items():
            file = folder / below / f"{name}.pkl.gz"
            write_bytes(file, gzip.compress(data_frame(table)))
        poses.append(pose(T_world_ego))
        to_forward = rigid([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [0, 0, 0])
        camera_poses.append(pose(T_world_lidar @ np.linalg.inv(T_CAM_LIDAR @ to_forward)))
        write_image(folder / f"camera/front_camera/{name}.jpg", number)
    write_text(folder / "lidar/poses.json", json.dumps(poses))
    write_text(folder / "lidar/timestamps.json", json.dumps(times))
    names, values = ("fx", "fy", "cx", "cy"), K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    intrinsics = json.dumps(dict(zip(names, values, strict=True)))
    write_text(folder / "camera/front_camera/intrinsics.json", intrinsics)
    write_text(folder / "camera/front_camera/poses.json", json.dumps(camera_poses))
    return root


# Argoverse 2

AV2_LOG = "val/7fab2350-7eaf-3b7e-a39d-6937a4c1bede"
AV2_TIMES = (315_966_265_259_836_000, 315_966_265_360_032_000)
T_EGO_UP_LIDAR = rigid(Rotation.from_euler("z", -0.01).as_matrix(), [1.35, 0.0, 1.64])
T_EGO_CAM = T_EGO_UP_LIDAR @ np.linalg.inv(T_CAM_LIDAR)


def av2_pose(time) -> np.ndarray:
    """T_city_ego: 10 m/s along x, turning by 0.1 rad/s; `time` in nanoseconds."""
    seconds = (time - AV2_TIMES[0]) / 1e9
    turn = Rotation.from_euler("z", 0.7 + 0.1 * seconds).as_matrix()
    return rigid(turn, [5000.0 + 10 * seconds, 2400.0, 60.0])


def write_feather(file, columns):
    import pyarrow
    from pyarrow import feather

    file.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({name: pyarrow.array(list(values)) for name, values in columns.items()})
    feather.write_feather(table, str(file))


def transform_columns(transforms) -> dict:
    rotations = np.stack([T[:3, :3] for T in transforms])
    w, x, y, z = Rotation.from_matrix(rotations).as_quat(scalar_first=True).T
    tx, ty, tz = np.stack([T[:3, 3] for T in transforms]).T
    return {"qw": w, "qx": x, "qy": y, "qz": z, "tx_m": tx, "ty_m": ty, "tz_m": tz}


def write_argoverse2(root, delay=20_000_000):
    """One log with two sweeps; the camera's images are `delay` nanoseconds later."""
    log, size = root / AV2_LOG, (24, 32)
    names = ("ring_front_center", "up_lidar")
    mounts = {"sensor_name": names, **transform_columns([T_EGO_CAM, T_EGO_UP_LIDAR])}
    write_feather(log / "calibration/egovehicle_SE3_sensor.feather", mounts)
    values = {"fx_px": K[0, 0], "fy_px": K[1, 1], "cx_px": K[0, 2], "cy_px": K[1, 2]}
    values |= {"k1": -0.2, "k2": 0.05, "k3": 0.0, "height_px": size[0], "width_px": size[1]}
    intrinsics = {"sensor_name": names[:1], **{name: [value] for name, value in values.items()}}
    write_feather(log / "calibration/intrinsics.feather", intrinsics)
    times = np.arange(AV2_TIMES[0] - 40_000_000, AV2_TIMES[1] + 80_000_000, 8_000_000)
    poses = {"timestamp_ns": times, **transform_columns([av2_pose(time) for time in times])}
    write_feather(log / "city_SE3_egovehicle.feather", poses)
    for number, time in enumerate(AV2_TIMES):
        points = scan(number)
        ego = points[:, :3].astype(np.float64) @ T_EGO_UP_LIDAR[:3, :3].T + T_EGO_UP_LIDAR[:3, 3]
        table = dict(zip("xyz", ego.astype(np.float32).T, strict=True))
        table |= {"intensity": (100 * points[:, 3]).astype(np.uint8)}
        table |= {"offset_ns": np.arange(len(points), dtype=np.int32) * 100_000}
        write_feather(log / f"sensors/lidar/{time}.feather", table)
        write_image(log / f"sensors/cameras/ring_front_center/{time + delay}.jpg", number)
    boxes = {
        "timestamp_ns": AV2_TIMES,
        "track_uuid": ("a", "a"),
        "category": ("REGULAR_VEHICLE", "WHEELED_RIDER"),
        **{"length_m": (4.0, 1.0), "width_m": (2.0, 1.0), "height_m": (1.6, 2.0)},
        **transform_columns([rigid(np.eye(3), [12.0, 0, 0.8])] * 2),
    }
    write_feather(log / "annotations.feather", boxes)
    return root
