"""A pinhole camera that looks ahead, for tests by hand."""

import numpy as np
import torch

from kit.data.keyframe import Camera

# lidar x right, y forward, z up -> camera x right, y down, z forward
FORWARD = torch.tensor(
    [[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64
)
K = torch.tensor([[50.0, 0, 100], [0, 50, 50], [0, 0, 1]], dtype=torch.float64)
SIZE = (100, 200)


def camera(name="CAM_FRONT", T=FORWARD, K=K, size=SIZE):
    """A camera with black images."""
    return Camera(name, T, K, size, lambda: np.zeros((*size, 3), np.uint8))
