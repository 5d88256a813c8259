"""What one training step is given: points of a few camera views, and where they fall in the images.

A batch is a pure function of the seed and the step, so a run that was stopped goes on with the very
batches it would have seen, whatever the number of processes and workers.

Source: one training sample of ScaLR (arXiv:2310.17504): one camera drawn at random, only the points
    it sees, points augmented, images not.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
import torch.utils.data
from jaxtyping import Float
from torch import Generator, Tensor

from kit.data.keyframe import Camera, Dataset
from kit.projection import project_points
from kit.student.augment import rotate_flip_scale
from kit.student.scans import InputConfig, PointBatch, Scan, collate, prepare_scan

KEYFRAMES_IN_MEMORY = 128  # of one or two megabytes: images are not among them


@dataclass(frozen=True)
class View:
    """The points one camera sees, ready for a student.

    Attributes:
        scan: N points, all of them visible.
        uv: (N, 2) their pixels in the camera's own image (column, row).
        camera: the camera.
    """

    scan: Scan
    uv: Float[Tensor, "N 2"]
    camera: Camera


@dataclass(frozen=True)
class TrainingBatch:
    """A step's views; the rows of `points` are those of the views one after the other.

    Attributes:
        points: the student's input.
        views: one per image.
        seconds: what making it took, by stage.
    """

    points: PointBatch
    views: list[View]
    seconds: dict[str, float] = field(default_factory=dict)


class TrainingBatches(torch.utils.data.Dataset):
    """The batch of every step, made when asked for; item `i` is step `i`.

    Args:
        dataset: where keyframes come from.
        keyframes: indices to draw from; each comes once per epoch, in an order of its own.
        inputs: the student's input settings.
        batch_size: views per step, over all processes.
        augment: turn, flip and scale the points.
        rank, world_size: this process makes views rank, rank + world_size, ... of each step.

    Raises:
        ValueError: no keyframes, or fewer views per step than processes.
    """

    def __init__(
        self,
        dataset: Dataset,
        keyframes: Sequence[int],
        inputs: InputConfig,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        augment: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ):
        if not keyframes:
            raise ValueError("there is no keyframe to learn from")
        if batch_size < world_size:
            raise ValueError(f"batch_size {batch_size} is less than the {world_size} processes")
        self.dataset, self.keyframes, self.inputs = dataset, tuple(keyframes), inputs
        self.batch_size, self.steps, self.seed, self.augment = batch_size, steps, seed, augment
        self.rank, self.world_size = rank, world_size
        self._load = lru_cache(KEYFRAMES_IN_MEMORY)(dataset.__getitem__)

    def __getstate__(self) -> dict:  # a cache is not carried into worker processes
        return {name: value for name, value in vars(self).items() if name != "_load"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._load = lru_cache(KEYFRAMES_IN_MEMORY)(self.dataset.__getitem__)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> TrainingBatch:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        seconds = {"reading": 0.0, "inputs": 0.0}
        slots = range(self.rank, self.batch_size, self.world_size)
        views = [self._view(step * self.batch_size + slot, seconds) for slot in slots]
        began = time.perf_counter()
        points = collate([view.scan for view in views], self.inputs)
        seconds["inputs"] += time.perf_counter() - began
        return TrainingBatch(points, views, seconds)

    def _view(self, draw: int, seconds: dict[str, float]) -> View:
        """Make view number `draw` of the whole run."""
        epoch, position = divmod(draw, len(self.keyframes))
        order = torch.randperm(len(self.keyframes), generator=self._generator(epoch, 0))
        generator = self._generator(draw, 1)

        began = time.perf_counter()
        keyframe = self._load(self.keyframes[order[position]])
        seconds["reading"] += time.perf_counter() - began

        began = time.perf_counter()
        cameras = list(keyframe.cameras.values())
        for index in torch.randperm(len(cameras), generator=generator).tolist():
            camera = cameras[index]
            uv, _, visible = project_points(
                keyframe.points, camera.T_cam_lidar, camera.K, camera.image_size
            )
            if not visible.any():
                continue  # a camera that sees no point, e.g. half a scan: draw another
            scan = prepare_scan(
                keyframe.points,
                keyframe.intensity,
                keyframe.sensor,
                self.inputs,
                visible=visible,
                augment=rotate_flip_scale if self.augment else None,
                generator=generator,
            )
            seconds["inputs"] += time.perf_counter() - began
            return View(scan, uv[scan.kept], camera)
        raise ValueError(
            f"keyframe {keyframe.token}: no camera sees a lidar point, it cannot be learned from"
        )

    def _generator(self, number: int, purpose: int) -> Generator:
        state = np.random.SeedSequence((self.seed, number, purpose)).generate_state(1, np.uint64)
        return Generator().manual_seed(int(state[0]) >> 1)
