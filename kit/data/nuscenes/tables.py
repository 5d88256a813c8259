"""Reader of the JSON tables of the nuScenes schema; returns the records of `records.py`.

The devkit's own constructor rejects partial downloads: it needs every map image and one label file
for every table row. It also keeps millions of rows of sweeps and boxes in memory. Therefore only
the tables and rows that keyframes need are given to its class, and the class is discarded as soon
as the records are made.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from nuscenes.nuscenes import NuScenes

from kit import geometry
from kit.data.nuscenes.records import Calibration, Contents, Record, SensorFile


def read_contents(root: Path, version: str, lidar: str = "LIDAR_TOP") -> Contents:
    """Read the tables of one version folder.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is broken, lacks a record or a field, or no keyframe has the `lidar`.
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
    used = {file.calibration for record in records for file in (record.lidar, *record.cameras)}
    calibrations = {token: _calibration(tables, token) for token in used}
    return Contents(records, calibrations, tables.label_ids(), tuple(vehicles))


class _Tables(NuScenes):
    """The devkit's lookups, limited to the tables and rows of keyframes."""

    def __init__(self, root: Path, version: str):
        self.version, self.dataroot, self.verbose = version, str(root), False
        self.table_names = ["category", "log", "sensor", "calibrated_sensor", "scene", "sample"]
        for name in self.table_names:
            setattr(self, name, self.__load_table__(name))
        lidars_and_cameras = self._is_scan_or_image_of_keyframe()
        self.sample_data = self.__load_table__("sample_data", lidars_and_cameras)
        poses = {record["ego_pose_token"] for record in self.sample_data}
        self.ego_pose = self.__load_table__("ego_pose", lambda record: record["token"] in poses)
        self.lidarseg = []
        if (Path(self.table_root) / "lidarseg.json").is_file():
            self.lidarseg = self.__load_table__("lidarseg")
        self.table_names += ["sample_data", "ego_pose"]
        # The devkit's reverse index needs a table of boxes, which may be empty, and a map per log.
        self.sample_annotation = []
        self.map = [{"token": "", "log_tokens": [record["token"] for record in self.log]}]
        self.__make_reverse_index__(verbose=False)
        self.labels_of_scan = {row["sample_data_token"]: row["filename"] for row in self.lidarseg}
        self.samples_of_scene = {scene["token"]: {} for scene in self.scene}
        for sample in self.sample:
            scene = self.get("scene", sample["scene_token"])
            self.samples_of_scene[scene["token"]][sample["token"]] = sample

    def _is_scan_or_image_of_keyframe(self) -> Callable[[dict], bool]:
        """Make the filter for sample_data: rows of keyframes, without radar."""
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
        """Read a table; other rows are dropped while parsing, because most rows are sweeps."""
        file = Path(self.table_root) / f"{table_name}.json"
        hook = None if keep is None else lambda record: record if keep(record) else None
        try:
            table = json.loads(file.read_bytes(), object_hook=hook)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{file}: this table is missing. It is in the metadata archive of nuScenes; a data "
                "set in its schema needs it too"
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
                "refers to it. Are all tables from the same download?"
            )
        return super().get(table_name, token)

    def label_ids(self) -> dict[str, int] | None:
        """Return the raw label id by category name; None without a lidarseg table."""
        if not self.lidarseg:
            return None
        if not all(isinstance(record.get("index"), int) for record in self.category):
            raise ValueError(
                f"{self.table_root}/category.json: some records have no integer 'index'. With "
                "lidarseg labels, use the category.json of the lidarseg archive"
            )
        return {record["name"]: record["index"] for record in self.category}


def _in_time_order(tables: _Tables, scene: dict) -> list[dict]:
    """Order the samples of a scene by `next`; by time stamp where that chain is broken."""
    samples = tables.samples_of_scene[scene["token"]]
    chain, token = [], scene["first_sample_token"]
    while token in samples and len(chain) < len(samples):
        chain.append(samples[token])
        token = samples[token]["next"]
    if len(chain) == len(samples) and not token:
        return chain
    return sorted(samples.values(), key=lambda sample: sample["timestamp"])


def _record(tables: _Tables, scene: str, sample: dict, lidar: str) -> Record:
    """The scan, the images and the label file of a sample."""
    cameras = []
    for _, token in sorted(sample["data"].items()):
        row = tables.get("sample_data", token)
        if row["sensor_modality"] == "camera":
            cameras.append(_sensor_file(tables, row))
    scan = tables.get("sample_data", sample["data"][lidar])
    labels = tables.labels_of_scan.get(scan["token"])
    return Record(scene, sample["token"], _sensor_file(tables, scan), tuple(cameras), labels)


def _sensor_file(tables: _Tables, row: dict) -> SensorFile:
    """A row of sample_data with its ego pose."""
    pose = tables.get("ego_pose", row["ego_pose_token"])
    height, width = row.get("height") or 0, row.get("width") or 0
    return SensorFile(
        token=row["token"],
        file=row["filename"],
        timestamp=row["timestamp"],
        image_size=(height, width) if height > 0 and width > 0 else None,
        calibration=row["calibrated_sensor_token"],
        rotation=pose["rotation"],
        translation=pose["translation"],
    )


def _calibration(tables: _Tables, token: str) -> Calibration:
    """A row of calibrated_sensor, checked."""
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
    return Calibration(sensor["channel"], T_ego_sensor, K)
