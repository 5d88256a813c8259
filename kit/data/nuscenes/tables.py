"""The tables of a root in the nuScenes schema, read through the devkit into light records.

The devkit's own constructor refuses partial downloads: it wants every map image and exactly as many
label files as table rows, and it holds millions of rows of sweeps and boxes in memory. So its class
is given only the tables and rows that keyframes need, and is dropped once the records are made.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from nuscenes.nuscenes import NuScenes
from torch import Tensor

from kit import geometry


@dataclass(frozen=True, slots=True)
class Shot:
    """One file of one sensor and where the car was: `rotation`, `translation` of T_global_ego."""

    token: str
    file: str
    timestamp: int
    image_size: tuple[int, int] | None
    sensor: str
    rotation: list
    translation: list


@dataclass(frozen=True, slots=True)
class Mount:
    """How a sensor sits on the car; `K` for cameras only."""

    channel: str
    T_ego_sensor: Float[Tensor, "4 4"]
    K: Float[Tensor, "3 3"] | None


@dataclass(frozen=True, slots=True)
class Record:
    """What the tables say of one keyframe."""

    scene: str
    sample: str
    lidar: Shot
    cameras: tuple[Shot, ...]
    labels: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What the tables say of a root.

    Attributes:
        records: keyframes, in order of time within a scene, scenes in the table's order.
        mounts: by calibrated_sensor token, `Shot.sensor`.
        categories: name -> raw label id; None where no keyframe has labels.
        vehicles: names of the cars that drove.
    """

    records: list[Record]
    mounts: dict[str, Mount]
    categories: dict[str, int] | None
    vehicles: tuple[str, ...]


def read_contents(root: Path, version: str, lidar: str = "LIDAR_TOP") -> Contents:
    """Read the tables of one version folder.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is broken, misses a record or a field, or no keyframe has the `lidar`.
    """
    try:
        tables = _Tables(root, version)
        records = [
            record
            for scene in tables.scene
            for sample in _in_time_order(tables, scene)
            if lidar in sample["data"]
            for record in [_record(tables, scene["name"], sample, lidar)]
        ]
        vehicles = sorted(
            {tables.get("log", scene["log_token"])["vehicle"] for scene in tables.scene}
        )
    except KeyError as error:
        raise ValueError(
            f"{root / version}: a record lacks the field {error}. Is this the nuScenes schema?"
        ) from error
    if not records:
        channels = sorted(record["channel"] for record in tables.sensor)
        raise ValueError(f"{root / version}: no keyframe with {lidar}; the sensors are {channels}")
    used = {shot.sensor for record in records for shot in (record.lidar, *record.cameras)}
    mounts = {token: _mount(tables, token) for token in used}
    return Contents(records, mounts, tables.label_ids(), tuple(vehicles))


class _Tables(NuScenes):
    """The devkit's lookups over the tables and rows of keyframes."""

    def __init__(self, root: Path, version: str):
        self.version, self.dataroot, self.verbose = version, str(root), False
        self.table_names = ["category", "log", "sensor", "calibrated_sensor", "scene", "sample"]
        for name in self.table_names:
            setattr(self, name, self.__load_table__(name))
        lidars_and_cameras = self._shots_of_keyframes()
        self.sample_data = self.__load_table__("sample_data", lidars_and_cameras)
        poses = {record["ego_pose_token"] for record in self.sample_data}
        self.ego_pose = self.__load_table__("ego_pose", lambda record: record["token"] in poses)
        self.lidarseg = []
        if (Path(self.table_root) / "lidarseg.json").is_file():
            self.lidarseg = self.__load_table__("lidarseg")
        self.table_names += ["sample_data", "ego_pose"]
        # The devkit's reverse index wants boxes, which may be none, and a map for every log.
        self.sample_annotation = []
        self.map = [{"token": "", "log_tokens": [record["token"] for record in self.log]}]
        self.__make_reverse_index__(verbose=False)
        self.labels_of_shot = {row["sample_data_token"]: row["filename"] for row in self.lidarseg}
        self.samples_of_scene = {scene["token"]: {} for scene in self.scene}
        for sample in self.sample:
            scene = self.get("scene", sample["scene_token"])
            self.samples_of_scene[scene["token"]][sample["token"]] = sample

    def _shots_of_keyframes(self) -> Callable[[dict], bool]:
        modality = {record["token"]: record["modality"] for record in self.sensor}
        other = {
            record["token"]
            for record in self.calibrated_sensor
            if modality.get(record["sensor_token"], "camera") not in ("lidar", "camera")
        }
        return lambda record: (
            record["is_key_frame"] and record["calibrated_sensor_token"] not in other
        )

    def __load_table__(self, table_name: str, keep: Callable[[dict], bool] | None = None) -> list:
        """Read a table; rows that are not kept are dropped while parsing, sweeps are most rows."""
        file = Path(self.table_root) / f"{table_name}.json"
        hook = None if keep is None else lambda record: record if keep(record) else None
        try:
            table = json.loads(file.read_bytes(), object_hook=hook)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{file}: this table is missing. The metadata archive of nuScenes holds it; a root "
                "in its schema needs it too"
            ) from error
        except KeyError as error:
            raise ValueError(f"{file}: a record lacks the field {error}") from error
        except ValueError as error:
            raise ValueError(
                f"{file}: not valid JSON ({error}). Is the download complete?"
            ) from error
        if not isinstance(table, list):
            raise ValueError(f"{file}: expected a list of records, got a {type(table).__name__}")
        table = [record for record in table if record is not None]
        if not all(isinstance(record, dict) for record in table):
            raise ValueError(f"{file}: expected a list of records, one is not an object")
        return table

    def get(self, table_name: str, token: str) -> dict:
        """The devkit's lookup, with an error that names the table."""
        if token not in self._token2ind[table_name]:
            raise ValueError(
                f"{self.table_root}/{table_name}.json: no record {token!r}, but another table "
                "refers to it. Are all tables of one download?"
            )
        return super().get(table_name, token)

    def label_ids(self) -> dict[str, int] | None:
        """Raw label id by category name; None without a lidarseg table."""
        if not self.lidarseg:
            return None
        if not all(isinstance(record.get("index"), int) for record in self.category):
            raise ValueError(
                f"{self.table_root}/category.json: no whole-number 'index' in some records. With "
                "lidarseg labels it must be the category.json of the lidarseg archive"
            )
        return {record["name"]: record["index"] for record in self.category}


def _in_time_order(tables: _Tables, scene: dict) -> list[dict]:
    """A scene's samples along `next`; by time stamp where that chain is broken."""
    samples = tables.samples_of_scene[scene["token"]]
    chain, token = [], scene["first_sample_token"]
    while token in samples and len(chain) < len(samples):
        chain.append(samples[token])
        token = samples[token]["next"]
    if len(chain) == len(samples) and not token:
        return chain
    return sorted(samples.values(), key=lambda sample: sample["timestamp"])


def _record(tables: _Tables, scene: str, sample: dict, lidar: str) -> Record:
    cameras = []
    for _, token in sorted(sample["data"].items()):
        shot = tables.get("sample_data", token)
        if shot["sensor_modality"] == "camera":
            cameras.append(_shot(tables, shot))
    scan = tables.get("sample_data", sample["data"][lidar])
    labels = tables.labels_of_shot.get(scan["token"])
    return Record(scene, sample["token"], _shot(tables, scan), tuple(cameras), labels)


def _shot(tables: _Tables, shot: dict) -> Shot:
    pose = tables.get("ego_pose", shot["ego_pose_token"])
    height, width = shot.get("height") or 0, shot.get("width") or 0
    return Shot(
        token=shot["token"],
        file=shot["filename"],
        timestamp=shot["timestamp"],
        image_size=(height, width) if height > 0 and width > 0 else None,
        sensor=shot["calibrated_sensor_token"],
        rotation=pose["rotation"],
        translation=pose["translation"],
    )


def _mount(tables: _Tables, token: str) -> Mount:
    record = tables.get("calibrated_sensor", token)
    sensor = tables.get("sensor", record["sensor_token"])
    try:
        T_ego_sensor = geometry.rigid_transform(record["rotation"], record["translation"])
        K = None
        if sensor["modality"] == "camera":
            K = torch.tensor(record["camera_intrinsic"], dtype=torch.float64)
            if K.shape != (3, 3):
                raise ValueError(f"camera_intrinsic must be 3x3, got {record['camera_intrinsic']}")
            geometry.check_intrinsics(K, "camera_intrinsic")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{tables.table_root}/calibrated_sensor.json: record {token} of {sensor['channel']}: "
            f"{error}"
        ) from error
    return Mount(sensor["channel"], T_ego_sensor, K)
