"""A small scene for which numpy can compute every expected value: points and two cameras."""

from dataclasses import replace

import numpy as np
import torch

from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.features.spaces import Features, Space
from kit.show import Explorer

SIZE = (240, 480)  # height, width of the images
HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\">"


def camera(name: str, azimuth: float, colour: tuple[int, int, int]) -> Camera:
    """A camera half a metre above the lidar that looks `azimuth` degrees to the right of y."""
    turn = np.radians(azimuth)
    right, ahead = [np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0]
    axes = np.array([right, [0.0, 0.0, -1.0], ahead])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, -axes @ [0.1, 0.2, 0.5]
    K = np.array([[260.0, 0.0, 240.0], [0.0, 260.0, 120.0], [0.0, 0.0, 1.0]])
    pixels = np.zeros((*SIZE, 3), dtype=np.uint8)
    pixels[:] = colour
    pixels[::24], pixels[:, ::24] = 255, 255
    return Camera(name, torch.tensor(matrix), torch.tensor(K), SIZE, lambda: pixels)


def keyframe(seed: int = 0, count: int = 900, names=("CAM_FRONT", "CAM_RIGHT")) -> Keyframe:
    """Points 4 to 30 m away, lidar frame: x right, y ahead, z up; a third of them above ground."""
    rng = np.random.default_rng(seed)
    turn, far = rng.uniform(0, 2 * np.pi, count), rng.uniform(4, 30, count)
    height = np.where(rng.random(count) < 0.35, rng.uniform(-1.6, 2.5, count), -1.7)
    points = np.stack([far * np.sin(turn), far * np.cos(turn), height], axis=1)
    labels = np.where(height > -1.6, 3 + 12 * (far > 15), 10)
    labels[:20] = IGNORE
    cameras = [camera(names[0], 0.0, (70, 90, 120)), camera(names[1], 70.0, (120, 80, 60))]
    return Keyframe(
        token=f"token-{seed}",
        scene="a scene",
        points=torch.tensor(points, dtype=torch.float32),
        intensity=torch.tensor(rng.random(count), dtype=torch.float32),
        cameras={each.name: each for each in cameras},
        sensor=Sensor("lidar", 0.5, 0.3),
        classes=NUSCENES,
        labels=torch.tensor(labels),
    )


def bare(points: torch.Tensor) -> Keyframe:
    """A keyframe with these points (N, 3) and nothing else."""
    return replace(
        keyframe(),
        points=points,
        intensity=torch.rand(len(points)),
        cameras={},
        labels=None,
        row_in_file=None,
        num_rows_in_file=None,
    )


def features(frame: Keyframe, seed: int, dim: int = 48) -> torch.Tensor:
    """(N, D): a direction for each class, a part from the place, noise, and a common part."""
    generator = torch.Generator().manual_seed(seed)
    common, ways = torch.randn(dim, generator=generator), torch.randn(256, dim, generator=generator)
    place = frame.points @ torch.randn(3, dim, generator=generator) * 0.03
    noise = 0.3 * torch.randn(len(frame.points), dim, generator=generator)
    return 3 * common + ways[frame.labels] + place + noise


def features_of(feat: torch.Tensor, index: torch.Tensor, num_points: int) -> Features:
    """Features of some points: row i of feat (S, D) belongs to point index[i]."""
    return Features(Space("a space", feat.shape[1], "its key"), feat, index, num_points)


def explorer(
    num_keyframes: int = 1, names=("CAM_FRONT", "CAM_RIGHT"), count: int = 900, **options
) -> Explorer:
    """Teacher (features of every third point), random, distilled; predictions; two scores."""
    frames = [keyframe(seed, count, names) for seed in range(num_keyframes)]
    some = torch.arange(0, count, 3)
    one = frames[0] if num_keyframes == 1 else frames

    def each(make):
        made = [make(frame, index) for index, frame in enumerate(frames)]
        return made[0] if num_keyframes == 1 else made

    sets = {
        "teacher": each(lambda frame, i: features_of(features(frame, 1)[some], some, count)),
        "random": each(lambda frame, i: features(frame, 2)),
        "distilled": each(lambda frame, i: features(frame, 3)),
    }
    wrong = each(lambda frame, i: torch.where(frame.points[:, 0] > 8, 3, frame.labels))
    scores = {
        "foreground": each(lambda frame, i: torch.sigmoid(frame.points[:, 2])),
        "car": each(lambda frame, i: frame.points[:, 0] / 30),
    }
    options = {"features": sets, "predictions": {"distilled": wrong}, "scores": scores} | options
    return Explorer(one, **options)
