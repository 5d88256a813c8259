"""The keyframes of a ROS bag: every point cloud, with the nearest image of each camera."""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rosbags.highlevel import AnyReader
from torch import Tensor

from kit import geometry
from kit.data.bag import bag_path
from kit.data.bag.contents import (
    CLOUD,
    IMAGES,
    INFO,
    MessageAt,
    first_message,
    listed,
    open_reader,
    read_frames,
    read_message,
    times_of,
    topics_of,
)
from kit.data.bag.messages import Intrinsics, cloud_of, intrinsics_of, pixels_of
from kit.data.bag.topics import by_camera, info_topic, is_rectified, one_of_each_camera
from kit.data.bag.transforms import Frames, describe
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera
from kit.data.recording import Frame, Recording, nearest_in_time
from kit.data.scans import Scan, valid_scan
from kit.data.untrusted import shown
from kit.lens import PINHOLE, Lens, as_lens
from kit.store.reading import open_regular


@dataclass(frozen=True)
class BagFrame(Frame):
    """A point cloud of a bag, and the image of each camera that is nearest in time, by topic."""

    cloud: MessageAt
    images: Mapping[str, MessageAt] = field(default_factory=dict)


class Bag(Recording):
    """The keyframes of a ROS 2 bag, an MCAP file or a ROS 1 bag; a `Dataset` without labels.

    Attributes:
        path: the folder or the file.
        topics: the image topic of each camera, by name of the camera.
        unplaced: cameras that are left out, with the reason.
        other_lidars: point cloud topics that are not read.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        lidar: str | None = None,
        cameras: Sequence[str] | Mapping[str, str] | None = None,
        calibration: Mapping[str, Mapping[str, Any]] | None = None,
        max_delay: float = 0.1,
    ):
        """Find the topics, and read the times of their messages: the bag is read once.

        Args:
            path: a folder with metadata.yaml, or a file.
            lidar: topic of the point clouds. None: the one with the most data.
            cameras: image topics, or {name: topic}. None: one topic for each camera, no depth.
            calibration: by camera name, what the bag lacks or has wrong: "K" (3, 3), "T_cam_lidar"
                (4, 4), "distortion" (see `kit.lens.as_lens`).
            max_delay: seconds; images that are farther from the scan are left out.

        Raises:
            ValueError: there is no point cloud, or no topic of that name; lists the topics.
        """
        found = bag_path(Path(path).expanduser())
        if found is None:
            raise FileNotFoundError(f"{path}: no ROS bag")
        self.path, self._open = found, (-1, None)
        self._calibration = dict(calibration or {})
        reader = self._reader
        clouds = topics_of(reader, CLOUD)
        topic = _chosen_lidar(reader, clouds, lidar)
        self.other_lidars = [each for each in clouds if each != topic]
        self.topics = _chosen_cameras(reader, cameras)
        times = times_of(reader, [topic, *self.topics.values()])
        self._frames_of_robot = read_frames(reader)
        self._lidar_frame = first_message(reader, topic).header.frame_id
        self._intrinsics, self.unplaced = self._calibrations(reader)
        frames = _frames(found, topic, times, self._usable_topics(), max_delay)
        images = len(frames) * len(self.topics) - sum(len(frame.images) for frame in frames)
        super().__init__(
            found.parent if found.is_file() else found,
            found.stem if found.is_file() else found.resolve().name,
            NUSCENES,
            frames,
            lidar=topic,
            missing={"images": images},
        )

    @property
    def _reader(self) -> AnyReader:
        """The open bag; every process opens its own."""
        process, reader = self._open
        if process != os.getpid():
            reader = open_reader(self.path)
            self._open = (os.getpid(), reader)
        return reader

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": (-1, None)}

    def _usable_topics(self) -> list[str]:
        return [topic for name, topic in self.topics.items() if name not in self.unplaced]

    def _calibrations(self, reader: AnyReader) -> tuple[dict[str, Intrinsics], dict[str, str]]:
        """The intrinsics of every camera, and why cameras are left out."""
        infos, known, unplaced = topics_of(reader, INFO), {}, {}
        info_of = {topic: info_topic(topic, infos) for topic in self.topics.values()}
        for name, topic in self.topics.items():
            given, info = self._calibration.get(name, {}), info_of[topic]
            is_shared = [*info_of.values()].count(info) > 1
            found = _intrinsics(reader, topic, info, is_shared, given)
            if isinstance(found, str):
                unplaced[name] = f"no K: {found}"
            elif "T_cam_lidar" not in given and not self._is_placed(found.frame):
                unplaced[name] = (
                    f"no transform from {self._lidar_frame!r} to {found.frame!r}: the frames are "
                    f"{describe(self._frames_of_robot.parents)}"
                )
            else:
                known[name] = found
        for name, reason in unplaced.items():
            warnings.warn(
                f"{self.path}: the camera {name} is left out, {reason}. Give it with "
                f"calibration={{{name!r}: {{'K': ..., 'T_cam_lidar': ...}}}}",
                stacklevel=4,
            )
        return known, unplaced

    def _is_placed(self, frame: str) -> bool:
        """Whether /tf connects a frame with the lidar."""
        paths = [self._frames_of_robot.path(each) for each in (frame, self._lidar_frame)]
        return paths[0][-1] == paths[1][-1]

    def scan_of(self, frame: BagFrame) -> Scan:
        """Read a point cloud."""
        source = f"{self.path}: {frame.scan}"
        message = read_message(self._reader, self.lidar, frame.cloud)
        cloud = cloud_of(message, frame.cloud.stamp, source)
        scan = valid_scan(cloud.points, cloud.intensity, source, (cloud.points != 0).any(1))
        return scan if cloud.time is None else replace(scan, time=cloud.time[scan.row_in_file])

    def pose_of(self, frame: BagFrame) -> Float[Tensor, "4 4"] | None:
        """The pose of the lidar in the uppermost frame of /tf; None without poses at this time."""
        if not self._frames_of_robot.moves(self._lidar_frame):
            return None
        try:
            return self._frames_of_robot.pose(self._lidar_frame, frame.timestamp)
        except ValueError:
            return None

    def cameras_of(self, frame: BagFrame) -> dict[str, Camera]:
        """The cameras with an image near the scan."""
        names = {topic: name for name, topic in self.topics.items()}
        try:
            return {
                names[topic]: self._camera(names[topic], topic, at, frame)
                for topic, at in frame.images.items()
            }
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error

    def _camera(self, name: str, topic: str, at: MessageAt, frame: BagFrame) -> Camera:
        intrinsics = self._intrinsics[name]
        T = self._calibration.get(name, {}).get("T_cam_lidar")
        if T is None:
            T = _camera_of_lidar(
                self._frames_of_robot, intrinsics.frame, at.stamp // 1000, self._lidar_frame,
                frame.timestamp,
            )  # fmt: skip
        return Camera(
            name=name,
            T_cam_lidar=intrinsics.T_image_camera @ torch.as_tensor(T, dtype=torch.float64),
            K=intrinsics.K,
            image_size=intrinsics.image_size,
            source=partial(self._pixels, topic, at),
            lens=intrinsics.lens,
        )

    def _pixels(self, topic: str, at: MessageAt) -> np.ndarray:
        message = read_message(self._reader, topic, at)
        return pixels_of(message, f"{self.path}: {topic}")

    def content(self) -> str:
        """Identify the bag by the beginnings and sizes of its files."""
        files = [self.path] if self.path.is_file() else sorted(self.path.iterdir())
        digest = hashlib.sha256()
        for file in files:
            if file.is_file():
                with open_regular(file) as opened:
                    digest.update(f"{file.name} {file.stat().st_size}".encode())
                    digest.update(opened.read(1 << 16))
        return digest.hexdigest()[:32]

    def __repr__(self) -> str:
        cameras = ", ".join(f"{name} ({topic})" for name, topic in self.topics.items()) or "none"
        others = f" (also here: {', '.join(self.other_lidars)})" if self.other_lidars else ""
        reasons = "".join(f"\n  left out   {name}: {why}" for name, why in self.unplaced.items())
        topics = f"  lidar      {self.lidar}{others}\n  cameras    {cameras}{reasons}"
        return f"{super().__repr__()}\n{topics}"


def _chosen_lidar(reader: AnyReader, clouds: Sequence[str], wanted: str | None) -> str:
    """The topic of the lidar: the one that is named, else the one with the largest messages."""
    if wanted is not None:
        if wanted not in clouds:
            raise ValueError(
                f"{reader.paths[0]}: no PointCloud2 on {wanted}; the topics are {listed(reader)}"
            )
        return wanted
    if not clouds:
        raise ValueError(
            f"{reader.paths[0]}: expected a topic of sensor_msgs/msg/PointCloud2, found none. The "
            f"topics are {listed(reader)}. Packets of a lidar's driver must be converted to point "
            "clouds first"
        )
    counts = {topic: reader.topics[topic].msgcount for topic in clouds}
    sizes = {topic: counts[topic] * len(first_message(reader, topic).data) for topic in clouds}
    return max(clouds, key=sizes.__getitem__)


def _chosen_cameras(
    reader: AnyReader, wanted: Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """Image topics by name of the camera."""
    known = topics_of(reader, *IMAGES)
    if isinstance(wanted, Mapping):
        chosen = dict(wanted)
    elif wanted is None:
        chosen = by_camera(one_of_each_camera(known, topics_of(reader, INFO)))
    else:
        chosen = by_camera(wanted)
    if len(set(chosen.values())) < len(chosen):
        raise ValueError(f"cameras: one topic has two names, expected one: {shown(chosen)}")
    if unknown := sorted(set(chosen.values()) - set(known)):
        raise ValueError(
            f"{reader.paths[0]}: no images on {', '.join(unknown)}; the topics are {listed(reader)}"
        )
    return chosen


def _intrinsics(
    reader: AnyReader, topic: str, info: str | None, is_shared: bool, given: Mapping[str, Any]
) -> Intrinsics | str:
    """What is given for a camera, else its calibration in the bag, or why there is none."""
    lens = as_lens(given["distortion"]) if "distortion" in given else None
    if "K" not in given:
        return _intrinsics_in_bag(reader, topic, info, is_shared, lens)
    image = first_message(reader, topic)
    size = pixels_of(image, f"{reader.paths[0]}: {topic}").shape[:2]
    K, still = torch.as_tensor(given["K"], dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    return Intrinsics(K, lens or PINHOLE, size, image.header.frame_id, still)


def _intrinsics_in_bag(
    reader: AnyReader, topic: str, info: str | None, is_shared: bool, lens: Lens | None
) -> Intrinsics | str:
    """The calibration of a camera in a camera_info, or why there is none.

    A camera_info that several cameras would share is that of the camera with its frame.
    """
    nothing = f"{topic} has no camera_info with a calibration"
    if info is None:
        return nothing
    message = first_message(reader, info)
    frame, of_image = message.header.frame_id, first_message(reader, topic).header.frame_id
    if is_shared and frame.lstrip("/") != of_image.lstrip("/"):
        return f"{info} is for the frame {frame!r}, the images of {topic} are in {of_image!r}"
    try:
        return intrinsics_of(message, is_rectified(topic), info, lens) or nothing
    except ValueError as error:
        return str(error)


def _camera_of_lidar(
    frames: Frames, camera: str, image_time: int, lidar: str, scan_time: int
) -> Float[Tensor, "4 4"]:
    """T_cam_lidar, with the motion between the two times where the poses are known."""
    try:
        T = frames.between(camera, image_time, lidar, scan_time)
    except ValueError:
        T = frames.between(camera, scan_time, lidar, scan_time)
    geometry.check_rigid(T, f"/tf from {lidar} to {camera}")
    return T


def _frames(
    path: Path,
    lidar: str,
    times: Mapping[str, list[MessageAt]],
    cameras: Sequence[str],
    max_delay: float,
) -> list[BagFrame]:
    """The keyframes, in order of time."""
    stamps = {topic: [at.stamp for at in times[topic]] for topic in cameras}
    frames, scene, tokens = [], path.stem, set()
    for cloud in times[lidar]:
        token = f"{scene}_{cloud.stamp}"
        if token in tokens:
            continue  # the same scan was recorded twice
        tokens.add(token)
        images = {}
        for topic in cameras:
            near = nearest_in_time(stamps[topic], cloud.stamp)
            if near is not None and abs(stamps[topic][near] - cloud.stamp) <= 1e9 * max_delay:
                images[topic] = times[topic][near]
        frames.append(
            BagFrame(token, scene, cloud.stamp // 1000, f"{lidar} {cloud.stamp}", cloud, images)
        )
    return frames
