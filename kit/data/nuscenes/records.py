"""Records of the keyframes of a data set in the nuScenes schema, small enough to pickle."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kit.lens import PINHOLE, Lens


@dataclass(frozen=True, slots=True)
class SensorFile:
    """One scan or image (a row of sample_data) and the pose of the car when it was recorded.

    Attributes:
        token: of the row.
        file: path below the root.
        timestamp: microseconds.
        image_size: (height, width) in pixels; None for scans, and where the table lacks it.
        calibration: calibrated_sensor token.
        rotation, translation: of T_global_ego, a quaternion (w, x, y, z) and metres.
    """

    token: str
    file: str
    timestamp: int
    image_size: tuple[int, int] | None
    calibration: str
    rotation: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pose of a sensor on the car and, for cameras only, the intrinsics `K` and the lens."""

    channel: str
    T_ego_sensor: Float[Tensor, "4 4"]
    K: Float[Tensor, "3 3"] | None
    lens: Lens = PINHOLE


@dataclass(frozen=True, slots=True)
class Record:
    """The files of one keyframe.

    Attributes:
        scene: name of the scene.
        sample: sample token.
        lidar, cameras: the scan and the images.
        labels: path of the lidarseg file below the root; None without one.
    """

    scene: str
    sample: str
    lidar: SensorFile
    cameras: tuple[SensorFile, ...]
    labels: str | None

    @property
    def token(self) -> str:
        """The sample_data token of the scan."""
        return self.lidar.token

    @property
    def timestamp(self) -> int:
        """The time stamp of the scan, microseconds."""
        return self.lidar.timestamp

    @property
    def scan(self) -> str:
        """Path of the scan below the root."""
        return self.lidar.file


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of one version of a data set.

    Attributes:
        records: keyframes, in order of time within a scene, scenes in the table's order.
        calibrations: by calibrated_sensor token.
        categories: raw label id by category name; None where no keyframe has labels.
        vehicles: names of the recording cars.
        num_without_scan: number of samples without a scan of the lidar; they are left out.
        lidar: channel of the lidar.
        names: of all categories, in the table's order.
    """

    records: list[Record]
    calibrations: dict[str, Calibration]
    categories: dict[str, int] | None
    vehicles: tuple[str, ...]
    num_without_scan: int
    lidar: str
    names: tuple[str, ...]
