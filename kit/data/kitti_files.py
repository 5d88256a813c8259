"""Code for all layouts of KITTI: scans and images with the same numbers, and their cameras."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from kit.data.keyframe import Camera
from kit.data.kitti_calibration import CalibrationFile, make_camera
from kit.data.recording import FilesOnDisk

COLOUR = ("image_2", "image_3")  # folders of the colour cameras; KITTI raw has other names
_IMAGES = (".png", ".jpg")  # some tools store the images as JPEG


def scan_numbers(disk: FilesOnDisk, folder: str) -> list[str]:
    """The names of the scans in a folder without .bin, in order, e.g. "000008"."""
    names = (name for name in disk.names(folder) if not name.startswith("."))
    return sorted(name.removesuffix(".bin") for name in names if name.endswith(".bin"))


def images_of(disk: FilesOnDisk, number: str, folders: Mapping[str, str]) -> dict[str, str]:
    """The images of a frame, below the root.

    Args:
        disk: the files on disk.
        number: of the frame.
        folders: by camera.
    """
    found = {}
    for camera, folder in folders.items():
        files = (f"{folder}/{number}{ending}" for ending in _IMAGES)
        if file := next((file for file in files if file in disk), None):
            found[camera] = file
    return found


def make_cameras(
    calibration: CalibrationFile,
    prefix: str,
    images: Mapping[str, str],
    T_rect_lidar: Float[Tensor, "4 4"],
    root: Path,
) -> dict[str, Camera]:
    """The cameras of a frame by name.

    Args:
        calibration: with a projection matrix for each camera.
        prefix: of the names of these matrices, `P` or `P_rect_`; the number of the camera follows.
        images: file below the root by camera, whose name ends with its number.
        T_rect_lidar: from the lidar frame to rectified camera 0.
        root: of the files.
    """
    return {
        name: make_camera(
            name, calibration, f"{prefix}{name.split('_')[-1]}", T_rect_lidar, root / image
        )
        for name, image in images.items()
    }
