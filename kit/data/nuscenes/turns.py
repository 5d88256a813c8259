"""All turns of the lidar of a data set in the nuScenes schema: keyframes and those in between.

The rows between keyframes are most of sample_data, so they are read when they are first needed.
"""

import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.clocks import Poses
from kit.data.nuscenes import schema
from kit.data.nuscenes.records import Calibration, Record, SensorFile
from kit.data.nuscenes.tables import Table, refers_to
from kit.data.untrusted import path_below, shown

AROUND = 1  # keyframes before and after, whose poses are used


def turns_by_scene(
    root: Path, version: str, lidar: str, frames: Iterable[Record]
) -> tuple[dict[str, list[SensorFile]], dict[str, Calibration]]:
    """Read the turns of the lidar.

    Args:
        root, version: of the data set.
        lidar: channel of the lidar.
        frames: the keyframes.

    Returns:
        turns: by name of the scene, in order of time, keyframes included.
        calibrations: of the lidar, by token.

    Raises:
        FileNotFoundError, ValueError: see `kit.data.nuscenes.tables`.
    """
    folder, frames = root / version, list(frames)
    sensors = Table(folder, "sensor", schema.SensorRow).rows.values()
    channels = {sensor.token for sensor in sensors if sensor.channel == lidar}
    mounts = Table(folder, "calibrated_sensor", schema.CalibratedSensor).rows.values()
    calibrations = {
        row.token: Calibration(lidar, geometry.rigid_transform(row.rotation, row.translation), None)
        for row in mounts
        if row.sensor_token in channels
    }

    def is_sweep(row: dict) -> bool:
        token: Any = row.get("calibrated_sensor_token")
        return row.get("is_key_frame") is False and (
            isinstance(token, str) and token in calibrations
        )

    data = Table(folder, "sample_data", schema.SampleData, is_sweep)
    wanted = {row.ego_pose_token for row in data.rows.values()}
    poses = Table(folder, "ego_pose", schema.EgoPose, refers_to("token", wanted))
    scenes = _scene_of_sample(folder, frames)
    turns: dict[str, list[SensorFile]] = {frame.scene: [] for frame in frames}
    for frame in frames:
        turns[frame.scene].append(frame.lidar)
    for row in data.rows.values():
        if scene := scenes.get(row.sample_token):
            turns[scene].append(_sweep(root, data, row, poses))
    for each in turns.values():
        each.sort(key=operator.attrgetter("timestamp"))
    return turns, calibrations


def _scene_of_sample(folder: Path, frames: Iterable[Record]) -> dict[str, str]:
    """Name of the scene by sample token, for all samples of the scenes of some keyframes."""
    samples = Table(folder, "sample", schema.Sample).rows
    names = {samples[frame.sample].scene_token: frame.scene for frame in frames}
    scenes = {token: names.get(sample.scene_token) for token, sample in samples.items()}
    return {token: name for token, name in scenes.items() if name is not None}


def _sweep(root: Path, data: Table, row: schema.SampleData, poses: Table) -> SensorFile:
    pose = poses.get(row.ego_pose_token, "sample_data")
    try:
        file = path_below(root, row.filename)
    except ValueError as error:
        raise ValueError(
            f"{data.file}: record {shown(row.token)}: field 'filename': {error}"
        ) from error
    return SensorFile(
        row.token,
        file,
        row.timestamp,
        None,
        row.calibrated_sensor_token,
        pose.rotation,
        pose.translation,
    )


def poses_around(frames: Sequence[Record], index: int, T_ego_lidar: Float[Tensor, "4 4"]) -> Poses:
    """Poses of the lidar at the time stamps of all scans and images around a keyframe."""
    scene = frames[index].scene
    near = frames[max(index - AROUND, 0) : index + AROUND + 1]
    taken = [
        file for frame in near if frame.scene == scene for file in (frame.lidar, *frame.cameras)
    ]
    T = [geometry.rigid_transform(file.rotation, file.translation) @ T_ego_lidar for file in taken]
    return Poses(torch.tensor([file.timestamp for file in taken]), torch.stack(T))
