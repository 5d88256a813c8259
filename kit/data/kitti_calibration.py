"""Calibration files of KITTI and of data sets that copy it: lines of a name and numbers.

`P2: 707.05 0 604.08 45.76 ...` is the 3x4 projection matrix of camera 2, after rectification. Its
last column is K @ t: the camera stands beside camera 0, to which `Tr` (or `R0_rect` and
`Tr_velo_to_cam`) leads.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.keyframe import Camera
from kit.data.text_files import parse_numbers, read_text
from kit.store.image_reader import read_image_size


@dataclass(frozen=True)
class CalibrationFile:
    """The lines of a calibration file, by the name before the colon; numbers are read on demand."""

    file: Path
    lines: dict[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.lines

    def matrix(self, name: str, rows: int, columns: int) -> Float[np.ndarray, "R C"]:
        """Read a matrix, row by row.

        Raises:
            ValueError: the line is missing, or its values are not so many finite numbers.
        """
        if name not in self.lines:
            raise ValueError(
                f"{self.file}: expected a line '{name}: ...' with {rows * columns} numbers; found "
                f"{', '.join(self.lines) or 'no line with a name and a colon'}"
            )
        values = parse_numbers(self.lines[name], f"{self.file}: line {name!r}", rows * columns)
        return np.array(values).reshape(rows, columns)

    def rigid(self, name: str) -> Float[Tensor, "4 4"]:
        """Read a 3x4 or 3x3 matrix as a rigid transform, float64.

        Raises:
            ValueError: see `matrix`, or it is not rigid.
        """
        columns = 3 if len(self.lines.get(name, "").split()) == 9 else 4
        T = torch.eye(4, dtype=torch.float64)
        T[:3, :columns] = torch.from_numpy(self.matrix(name, 3, columns))
        geometry.check_rigid(T, f"{self.file}: {name}")
        return T

    def camera(self, name: str) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "4 4"]]:
        """Read a 3x4 projection matrix.

        Returns:
            K: intrinsics.
            T_cam_rect: from rectified camera 0 to this camera, a translation.
        """
        P = torch.from_numpy(self.matrix(name, 3, 4))
        K, T = P[:, :3].clone(), torch.eye(4, dtype=torch.float64)
        geometry.check_intrinsics(K, f"{self.file}: the left 3x3 block of {name}")
        T[:3, 3] = torch.linalg.solve(K, P[:, 3])
        return K, T


def read_calibration(file: Path) -> CalibrationFile:
    """Read a calibration file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text.
    """
    pairs = (line.partition(":") for line in read_text(file).splitlines() if ":" in line)
    return CalibrationFile(file, {name.strip(): values.strip() for name, _, values in pairs})


def make_camera(
    name: str,
    calibration: CalibrationFile,
    line: str,
    T_rect_lidar: Float[Tensor, "4 4"],
    image: Path,
) -> Camera:
    """Make a camera from a line of a calibration file and its image.

    Args:
        name: of the camera.
        calibration: with the projection matrix.
        line: name of the projection matrix, such as "P2".
        T_rect_lidar: from the lidar frame to rectified camera 0.
        image: file; its size is read from its header, because it differs from drive to drive.

    Raises:
        ValueError: the matrix is no camera's, or does not fit the image; names both files.
    """
    K, T_cam_rect = calibration.camera(line)
    size = read_image_size(image)
    try:
        return Camera(name, T_cam_rect @ T_rect_lidar, K, size, image)
    except ValueError as error:
        raise ValueError(f"{calibration.file}: {line}, with the image {image}: {error}") from error
