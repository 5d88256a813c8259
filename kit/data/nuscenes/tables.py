"""Reader of the JSON tables of the nuScenes schema; returns the records of `records.py`.

The devkit's own reader trusts the tables: one missing field ends in a KeyError. It also rejects
partial downloads, because it needs every map image and one label file for every table row, and it
keeps millions of rows of sweeps in memory. This reader checks every field that it uses
(`schema.py`), and keeps the rows of keyframes only.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from kit import geometry
from kit.data.nuscenes import schema
from kit.data.nuscenes.records import Calibration, Contents, Record, SensorFile
from kit.data.untrusted import path_below, read_records, shown, unique

Row = TypeVar("Row")


LIDARS = ("LIDAR_TOP", "LIDAR_CONCAT")  # of nuScenes; of T4, which joins all lidars of a car


def read_contents(root: Path, version: str, lidar: str | None = None) -> Contents:
    """Read the tables of one version folder.

    Args:
        root: of the data set; all files must be below it.
        version: name of the version folder.
        lidar: channel of the lidar to use; None: the first of `LIDARS` that there is.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is broken, lacks a record or a field, or no keyframe has the `lidar`.
            The message names the table, the record and the field.
    """
    tables = Tables(root, version)
    files, names = tables.files_of_samples(), _scene_names(tables)
    channels = {sensor.channel for sensor in tables.sensor.rows.values()}
    lidar = lidar or next((each for each in LIDARS if each in channels), LIDARS[0])
    records, num_without_scan = [], 0
    for scene in tables.scene.rows.values():
        name = names[scene.token]
        for sample in _in_time_order(tables, scene):
            if lidar in files[sample.token]:
                records.append(_record(tables, name, sample, files[sample.token], lidar))
            else:
                num_without_scan += 1
    if not records:
        raise ValueError(f"{root / version}: {_why_no_keyframe(tables, lidar)}")
    used = {row.calibrated_sensor_token for rows in files.values() for row in rows.values()}
    calibrations = {token: _calibration(tables, token) for token in sorted(used)}
    tables.warn_of_labels_without_scan()
    vehicles = {tables.log.get(s.log_token, "scene").vehicle for s in tables.scene.rows.values()}
    return Contents(
        records,
        calibrations,
        tables.label_ids(),
        tuple(sorted(vehicles)),
        num_without_scan,
        lidar,
        tuple(row.name for row in tables.category.rows.values()),
    )


class Table(Generic[Row]):
    """The rows of one table by a field, usually their token; no rows if it may be missing."""

    def __init__(
        self,
        folder: Path,
        name: str,
        kind: type[Row],
        keep: Callable[[dict], bool] | None = None,
        key: str = "token",
        optional: bool = False,
    ):
        self.file = folder / f"{name}.json"
        try:
            rows = read_records(self.file, kind, keep)
        except FileNotFoundError as error:
            if optional:
                self.rows = {}
                return
            raise FileNotFoundError(
                f"{self.file}: this table is missing. It is in the metadata archive of nuScenes; a "
                "data set in its schema needs it too"
            ) from error
        self.rows = unique(self.file, rows, key)

    def get(self, token: str, referrer: str) -> Row:
        """The row of a token, which the table `referrer` refers to."""
        if token not in self.rows:
            raise ValueError(
                f"{self.file}: no record {shown(token)}, but {referrer}.json refers to it. Are all "
                "tables from the same download?"
            )
        return self.rows[token]


class Tables:
    """The tables of a version folder, limited to the rows of keyframes."""

    def __init__(self, root: Path, version: str):
        self.root, folder = root, root / version
        self.category = Table(folder, "category", schema.Category)
        self.log = Table(folder, "log", schema.Log)
        self.sensor = Table(folder, "sensor", schema.SensorRow)
        self.calibrated_sensor = Table(folder, "calibrated_sensor", schema.CalibratedSensor)
        self.scene = Table(folder, "scene", schema.Scene)
        self.sample = Table(folder, "sample", schema.Sample)
        self.sensor_of_calibration = {
            row.token: self.sensor.get(row.sensor_token, "calibrated_sensor")
            for row in self.calibrated_sensor.rows.values()
        }
        self.sample_data = Table(
            folder, "sample_data", schema.SampleData, self._is_scan_or_image_of_keyframe
        )
        poses = {row.ego_pose_token for row in self.sample_data.rows.values()}
        self.ego_pose = Table(folder, "ego_pose", schema.EgoPose, refers_to("token", poses))
        key = "sample_data_token"
        self.label_file = Table(folder, "lidarseg", schema.LabelFile, key=key, optional=True)
        self.samples_of_scene: dict[str, dict[str, schema.Sample]] = {
            token: {} for token in self.scene.rows
        }
        for sample in self.sample.rows.values():
            scene = self.scene.get(sample.scene_token, "sample")
            self.samples_of_scene[scene.token][sample.token] = sample

    def _is_scan_or_image_of_keyframe(self, row: dict) -> bool:
        """The filter for sample_data: rows of keyframes, without radar."""
        token = row.get("calibrated_sensor_token")
        sensor = self.sensor_of_calibration.get(token) if isinstance(token, str) else None
        is_radar = sensor is not None and sensor.modality == "radar"
        return row.get("is_key_frame") is not False and not is_radar

    def files_of_samples(self) -> dict[str, dict[str, schema.SampleData]]:
        """The scans and images of every sample, by channel."""
        files: dict[str, dict[str, schema.SampleData]] = {token: {} for token in self.sample.rows}
        for row in self.sample_data.rows.values():
            sample = self.sample.get(row.sample_token, "sample_data")
            self.calibrated_sensor.get(row.calibrated_sensor_token, "sample_data")
            channel = self.sensor_of_calibration[row.calibrated_sensor_token].channel
            other = files[sample.token].setdefault(channel, row)
            if other is not row:
                raise ValueError(
                    f"{self.sample_data.file}: records {shown(other.token)} and {shown(row.token)} "
                    f"are both the keyframe of {channel} in the sample {shown(sample.token)}; "
                    "expected one. Set is_key_frame to false in the other one"
                )
        return files

    def label_ids(self) -> dict[str, int] | None:
        """Return the raw label id by category name; None without a lidarseg table."""
        if not self.label_file.rows:
            return None
        rows = unique(self.category.file, list(self.category.rows.values()), "name")
        without = [row.token for row in rows.values() if row.index is None]
        if without:
            raise ValueError(
                f"{self.category.file}: record {shown(without[0])}: field 'index': expected an "
                "integer, 0 to 255, but the record lacks it. With lidarseg labels, use the "
                "category.json of the lidarseg archive"
            )
        return {name: row.index for name, row in rows.items()}

    def warn_of_labels_without_scan(self) -> None:
        """Warn of label files of scans that no table lists, as in tables that were cut down."""
        known = self.sample_data.rows
        lost = [token for token in self.label_file.rows if token not in known]
        if lost:
            warnings.warn(
                f"{self.label_file.file}: {len(lost):,} records are left out, because no keyframe "
                f"in sample_data.json has their sample_data_token, e.g. {shown(lost[0])}",
                stacklevel=2,
            )

    def path(self, table: Table, token: str, filename: str) -> str:
        """The path of a file below the root; an error names the record of the table."""
        try:
            return path_below(self.root, filename)
        except ValueError as error:
            raise ValueError(
                f"{table.file}: record {shown(token)}: field 'filename': {error}"
            ) from error


def refers_to(field: str, tokens: set[str]) -> Callable[[dict], bool]:
    """Make a filter of rows by a token; rows without a valid token are kept, to be refused."""

    def keep(row: dict) -> bool:
        token: Any = row.get(field)
        return not isinstance(token, str) or token in tokens

    return keep


def _why_no_keyframe(tables: Tables, lidar: str) -> str:
    """Explain why no keyframe has a scan of the lidar."""
    if not tables.sample_data.rows:
        return (
            f"no keyframe with {lidar}: no record of sample_data.json has is_key_frame true. Set "
            "it for one scan and the images of every sample"
        )
    sensors = tables.sensor.rows.values()
    lidars = sorted(sensor.channel for sensor in sensors if sensor.modality == "lidar")
    if lidar in lidars:
        return (
            f"no keyframe with {lidar}: no record of sample_data.json with is_key_frame true "
            f"belongs to {lidar}"
        )
    channels = sorted(sensor.channel for sensor in sensors)
    option = f". Choose a lidar, e.g. lidar={lidars[0]!r}" if lidars else "; none is a lidar"
    return f"no keyframe with {lidar}; the sensors are {channels}{option}"


def _scene_names(tables: Tables) -> dict[str, str]:
    """The name of each scene by token; a second scene of the same name becomes "NAME (2)".

    The kit tells scenes apart by name, e.g. to hold some of them out.
    """
    names: dict[str, str] = {}
    for scene in tables.scene.rows.values():
        name, number = scene.name, 1
        while name in names.values():
            number += 1
            name = f"{scene.name} ({number})"
        names[scene.token] = name
    return names


def _in_time_order(tables: Tables, scene: schema.Scene) -> list[schema.Sample]:
    """Order the samples of a scene by `next`; by time stamp where that chain is broken."""
    samples = tables.samples_of_scene[scene.token]
    chain, token = [], scene.first_sample_token
    while token in samples and len(chain) < len(samples):
        chain.append(samples[token])
        token = samples[token].next
    if len(chain) == len(samples) and not token:
        return chain
    return sorted(samples.values(), key=lambda sample: sample.timestamp)


def _record(
    tables: Tables,
    scene: str,
    sample: schema.Sample,
    files: dict[str, schema.SampleData],
    lidar: str,
) -> Record:
    """The scan, the images and the label file of a sample."""
    cameras = []
    for _, row in sorted(files.items()):
        sensor = tables.sensor_of_calibration[row.calibrated_sensor_token]
        if sensor.modality == "camera":
            cameras.append(_sensor_file(tables, row))
    scan, labels = files[lidar], None
    if scan.token in tables.label_file.rows:
        row = tables.label_file.rows[scan.token]
        labels = tables.path(tables.label_file, row.sample_data_token, row.filename)
    return Record(scene, sample.token, _sensor_file(tables, scan), tuple(cameras), labels)


def _sensor_file(tables: Tables, row: schema.SampleData) -> SensorFile:
    """A row of sample_data with its ego pose."""
    pose = tables.ego_pose.get(row.ego_pose_token, "sample_data")
    return SensorFile(
        token=row.token,
        file=tables.path(tables.sample_data, row.token, row.filename),
        timestamp=row.timestamp,
        image_size=(row.height, row.width) if row.height > 0 and row.width > 0 else None,
        calibration=row.calibrated_sensor_token,
        rotation=pose.rotation,
        translation=pose.translation,
    )


def _calibration(tables: Tables, token: str) -> Calibration:
    """A row of calibrated_sensor, checked."""
    row = tables.calibrated_sensor.rows[token]
    sensor = tables.sensor_of_calibration[token]
    T_ego_sensor, K = geometry.rigid_transform(row.rotation, row.translation), None
    if sensor.modality != "camera" and row.camera_intrinsic and row.camera_intrinsic[0][0] > 1:
        raise ValueError(
            f"{tables.calibrated_sensor.file}: record {shown(token)} has the camera_intrinsic of a "
            f"camera, but {sensor.channel} is a {sensor.modality} in sensor.json. Set its modality "
            'to "camera", or camera_intrinsic to []'
        )
    if sensor.modality == "camera":
        try:
            if not row.camera_intrinsic:
                raise ValueError("camera_intrinsic must be 3x3, got []")
            K = torch.tensor(row.camera_intrinsic, dtype=torch.float64)
            geometry.check_intrinsics(K, "camera_intrinsic")
        except ValueError as error:
            raise ValueError(
                f"{tables.calibrated_sensor.file}: record {shown(token)} of {sensor.channel}: "
                f"{error}"
            ) from error
    return Calibration(sensor.channel, T_ego_sensor, K, row.lens)
