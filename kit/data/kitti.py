"""KITTI objects: shuffled frames with a scan, images, calibration and boxes.

    training/velodyne/000008.bin     scan: rows of x, y, z, intensity (0 to 1)
    training/calib/000008.txt        P2, R0_rect, Tr_velo_to_cam
    training/image_2/000008.png      left colour camera; image_3: the right one
    training/label_2/000008.txt      boxes

Only the scans are needed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box
from kit.data.class_maps import KITTI_OBJECTS
from kit.data.classes import IGNORE
from kit.data.intensity import HDL_64E
from kit.data.keyframe import Camera, Dataset
from kit.data.kitti_calibration import CalibrationFile, read_calibration
from kit.data.kitti_files import COLOUR, images_of, make_cameras, scan_numbers
from kit.data.recording import FilesOnDisk, Frame, Recording
from kit.data.scans import Scan, read_scan
from kit.data.text_files import parse_numbers, read_text

LOOKS_FOR = "velodyne/*.bin beside calib/ or label_2/, here or in training/ (KITTI objects)"
PARTS = ("training", "testing")
_FIELDS = 14  # numbers of a box, after its type


def recognises(source: str) -> bool:
    """Return whether `source` is the root of KITTI objects, or its training or testing folder."""
    return bool(_parts_of(Path(source)))


def open(source: str, **options) -> Dataset:
    """Open KITTI objects; `options` are those of `KittiObjects`."""
    return KittiObjects(source, **options)


def _parts_of(root: Path) -> dict[str, Path]:
    """The folders with frames by name, training first."""
    if _is_part(root):
        return {root.resolve().name: root}
    return {name: root / name for name in PARTS if _is_part(root / name)}


def _choose_part(root: Path, part: str | None) -> tuple[str, Path]:
    """The name and folder of the wanted part, or of the first one; FileNotFoundError without it."""
    parts = _parts_of(root)
    if not parts or (part is not None and part not in parts):
        wanted = part or "training, with velodyne/ and calib/ in it"
        raise FileNotFoundError(
            f"{root}: no folder {wanted}; found {', '.join(parts) or 'none of both parts'}"
        )
    return next(iter(parts.items())) if part is None else (part, parts[part])


def _is_part(folder: Path) -> bool:
    has_more = (folder / "calib").is_dir() or (folder / "label_2").is_dir()
    return has_more and (folder / "velodyne").is_dir()


@dataclass(frozen=True)
class KittiFrame(Frame):
    """A frame with the number that all of its files are named after.

    Attributes:
        number: e.g. "000008".
        images: file by camera, below the root.
    """

    number: str
    images: dict[str, str]


class KittiObjects(Recording):
    """The frames of the KITTI object benchmark; a `Dataset` without labels of points.

    The lidar frame is x forward, y left, z up. The calibration has no motion between scan and
    image: the cameras are triggered when the lidar looks forward. Frames come from many drives in
    random order, so all of them are one scene.

    Attributes:
        part: "training" or "testing".

    Source: A. Geiger et al., CVPR 2012; the file formats are those of its development kit.
    """

    def __init__(self, root: str | Path, part: str | None = None):
        """List the files.

        Args:
            root: the folder with `training` and `testing`, or one of them.
            part: "training" or "testing"; None takes the first that exists.

        Raises:
            FileNotFoundError: there is no such part, or it has no scan.
        """
        self.part, folder = _choose_part(Path(root).expanduser(), part)
        disk = FilesOnDisk(folder)
        numbers = scan_numbers(disk, "velodyne")
        if not numbers:
            raise FileNotFoundError(f"{folder / 'velodyne'}: expected scans such as 000008.bin")
        frames = [
            KittiFrame(
                token=f"{self.part}_{number}",
                scene=self.part,
                timestamp=0,
                scan=f"velodyne/{number}.bin",
                number=number,
                images=images_of(disk, number, {name: name for name in COLOUR}),
            )
            for number in numbers
        ]
        self._calibrated = {n for n in numbers if f"calib/{n}.txt" in disk}
        self._boxed = {n for n in numbers if f"label_2/{n}.txt" in disk}
        missing = {
            "images of image_2": sum("image_2" not in frame.images for frame in frames),
            "calibration files": len(numbers) - len(self._calibrated),
        }
        if self.part != "testing":
            missing["box files"] = len(numbers) - len(self._boxed)
        name = f"{folder.resolve().parent.name} {self.part}"
        super().__init__(
            folder,
            name,
            KITTI_OBJECTS,
            frames,
            lidar="HDL-64E",
            published=HDL_64E,
            missing=missing,
        )

    def scan_of(self, frame: KittiFrame) -> Scan:
        """Read rows of x, y, z, intensity."""
        return read_scan(self.root / frame.scan, 4)

    def cameras_of(self, frame: KittiFrame) -> dict[str, Camera]:
        """The colour cameras; none without the calibration file."""
        if not frame.images or frame.number not in self._calibrated:
            return {}
        calibration = self._calibration(frame)
        T = _T_rect_lidar(calibration)
        return make_cameras(calibration, "P", frame.images, T, self.root)

    def boxes_of(self, frame: KittiFrame) -> tuple[Box, ...]:
        """The boxes of label_2; none without the calibration file. DontCare areas are no boxes."""
        if not {frame.number} <= self._calibrated & self._boxed:
            return ()
        T_lidar_rect = geometry.invert_rigid(_T_rect_lidar(self._calibration(frame)))
        file = self.root / f"label_2/{frame.number}.txt"
        boxes = []
        for row, line in enumerate(read_text(file).splitlines(), start=1):
            kind, _, rest = line.strip().partition(" ")
            if kind and kind != "DontCare":
                # truncated, occluded, alpha, 4 of the image, h w l, x y z, rotation_y
                source = f"{file}: line {row}"
                values = _numbers(rest, source)
                try:
                    track = f"{frame.token}-{row}"
                    boxes.append(_box(kind, values[7:14], T_lidar_rect, track))
                except ValueError as error:
                    raise ValueError(f"{source}: {error}") from error
        return tuple(boxes)

    def _calibration(self, frame: KittiFrame) -> CalibrationFile:
        return read_calibration(self.root / f"calib/{frame.number}.txt")


def _T_rect_lidar(calibration: CalibrationFile) -> Float[Tensor, "4 4"]:
    """From the lidar frame to rectified camera 0."""
    return calibration.rigid("R0_rect") @ calibration.rigid("Tr_velo_to_cam")


def _numbers(text: str, source: str) -> list[float]:
    """The numbers of a box; a detection has a score after them."""
    count = len(text.split())
    return parse_numbers(text, source, _FIELDS + (count == _FIELDS + 1))


def _box(kind: str, values: Sequence[float], T_lidar_rect: Float[Tensor, "4 4"], track: str) -> Box:
    """Make a box from height, width, length, the middle of its bottom, and its yaw.

    In the frame of the rectified camera, y points down. Yaw 0 points along x, and it is positive
    towards -z.
    """
    height, width, length, x, y, z, yaw = values
    c, s = math.cos(yaw), math.sin(yaw)
    T_rect_box = torch.tensor(
        [[c, s, 0, x], [0, 0, -1, y - height / 2], [-s, c, 0, z], [0, 0, 0, 1]],
        dtype=torch.float64,
    )
    name = kind.replace("_", " ").lower()
    label = KITTI_OBJECTS.names.index(name) if name in KITTI_OBJECTS.names else IGNORE
    return Box(
        name=name,
        category=kind,
        label=label,
        T_lidar_box=T_lidar_rect @ T_rect_box,
        size=(length, width, height),
        track=track,
    )
