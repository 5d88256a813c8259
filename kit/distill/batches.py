"""Training batches: the points that a few cameras see, and their pixels.

A batch depends on the seed and the step only. So a run that was stopped continues with the same
batches, whatever the number of processes and workers. A keyframe that cannot be learned from, e.g.
because its images are not on disk, is left out; another one is drawn in its place.

`views.py` makes what one keyframe gives to a batch.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.utils.data
from jaxtyping import Int
from torch import Generator, Tensor

from kit.data.keyframe import Camera, Dataset, Keyframe
from kit.distill.order import DrawOrder
from kit.distill.superpixels import camera_superpixels, exact_superpixels, superpixels_of_pairs
from kit.distill.views import LEAST_POINTS, View, ViewConfig, make_views
from kit.projection import project_into, why_unseen
from kit.store import FeatureCache
from kit.student.point_batch import PointBatch, collate
from kit.student.scans import InputConfig

KEYFRAMES_IN_MEMORY = 128  # of one or two megabytes each, without images
MOST_DRAWS = 1000  # of keyframes for one view, before the run is given up
MOST_CHECKED = 200  # keyframes at the start; each takes about 20 ms
NOTHING_SEEN = f"no camera sees {LEAST_POINTS} or more lidar points"


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the time of a block to `seconds[stage]`."""
    began = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - began


@dataclass(frozen=True)
class TrainingBatch:
    """The views of one step. The points of all views make M pairs of a point and a pixel.

    Attributes:
        points: the student's input, the points of the views one after the other.
        views: one per image.
        rows: (M,) the point of each pair, a row of `points`; None: pair i has point i.
        superpixels: (M,) the superpixel of each pair, unique over the images; None if no loss needs
            them.
        regions: the superpixels of each view's image (H, W), from 0; None likewise.
        classes: (M,) the class of each pair's point; None if no loss needs it, or a keyframe has no
            labels.
        seconds: the time it took to make the batch, by stage.
    """

    points: PointBatch
    views: list[View]
    superpixels: Int[Tensor, " M"] | None = None
    regions: list[Int[Tensor, "_ _"]] | None = None
    classes: Int[Tensor, " M"] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    rows: Int[Tensor, " M"] | None = None

    @property
    def num_pairs(self) -> int:
        """Number of pairs of a point and a pixel, M."""
        return len(self.points.feat) if self.rows is None else len(self.rows)


@dataclass(frozen=True)
class LeftOut:
    """How many keyframes of a run cannot be learned from.

    Attributes:
        num_keyframes: of the run.
        checked: number of keyframes that were checked.
        no_image: number of these without any image.
        unseen: number of these with images, whose cameras see too few points.
    """

    num_keyframes: int
    checked: int
    no_image: int
    unseen: int

    @property
    def count(self) -> int:
        """Number of keyframes left out among those checked."""
        return self.no_image + self.unseen

    def __str__(self) -> str:
        of = f"{self.checked} keyframes"
        if self.checked < self.num_keyframes:
            of = f"{self.checked} checked keyframes ({self.num_keyframes:,} in all)"
        return (
            f"{self.count} of {of} left out (without images: {self.no_image}; {NOTHING_SEEN}: "
            f"{self.unseen}); others are drawn in their place"
        )


class TrainingBatches(torch.utils.data.Dataset):
    """The batches of all steps; item i is the batch of step i, made when it is read.

    Args:
        dataset: where keyframes come from.
        keyframes: indices to draw from. Each is used once per epoch, in a random order, unless it
            is left out.
        inputs: the student's input settings.
        batch_size: views per step, over all processes.
        steps: number of batches.
        seed: of everything that is drawn.
        augment: rotate, flip and scale the points.
        hidden, cameras, beam_drop, sensor_jitter: as in `kit.distill.views.ViewConfig`.
        superpixels: which ones, as in `DistillConfig`.
        needs: the inputs that the loss needs, see `kit.distill.losses.needs`.
        cache: keeps superpixels, so that they are computed once per image.
        rank: this process makes the views rank, rank + world_size, ... of each step.
        world_size: number of processes.

    Raises:
        ValueError: there are no keyframes, or fewer views per step than processes.
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
        hidden: str = "kept",
        cameras: str = "one",
        beam_drop: float = 0.0,
        sensor_jitter: float = 0.0,
        superpixels: str = "slic",
        needs: Collection[str] = (),
        cache: FeatureCache | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        if not keyframes:
            raise ValueError("there is no keyframe to learn from")
        if batch_size < world_size:
            raise ValueError(f"batch_size {batch_size} is less than the {world_size} processes")
        self.dataset, self.keyframes, self.inputs = dataset, tuple(keyframes), inputs
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.view_config = ViewConfig(augment, hidden, cameras, beam_drop, sensor_jitter)
        self.needs, self.cache, self.superpixels = frozenset(needs), cache, superpixels
        self.rank, self.world_size = rank, world_size
        self._order = DrawOrder(dataset, self.keyframes, seed, steps * batch_size)
        self._load = lru_cache(KEYFRAMES_IN_MEMORY)(dataset.__getitem__)

    def __getstate__(self) -> dict:  # worker processes start without keyframes in memory
        return {name: value for name, value in vars(self).items() if name != "_load"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._load = lru_cache(KEYFRAMES_IN_MEMORY)(self.dataset.__getitem__)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> TrainingBatch:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        seconds: dict[str, float] = {}
        slots = range(self.rank, self.batch_size, self.world_size)
        found = [self._views(step * self.batch_size + slot, seconds) for slot in slots]
        views = [view for of_keyframe in found for view in of_keyframe]
        with timed(seconds, "inputs"):
            points = collate([of_keyframe[0].scan for of_keyframe in found], self.inputs)
        superpixels, regions = self._superpixels(views, seconds)
        classes, rows = self._classes(views), _rows(found)
        return TrainingBatch(points, views, superpixels, regions, classes, seconds, rows)

    def _superpixels(
        self, views: list[View], seconds: dict[str, float]
    ) -> tuple[Int[Tensor, " M"] | None, list[Int[Tensor, "_ _"]] | None]:
        if "superpixels" not in self.needs or self.superpixels == "teacher":
            return None, None
        with timed(seconds, "superpixels"):
            if self.superpixels == "exact":
                regions = [exact_superpixels(view.pixels, view.camera.name) for view in views]
            else:
                regions = [camera_superpixels(view.camera, self.cache) for view in views]
            return superpixels_of_pairs(regions, [view.uv for view in views]), regions

    def _classes(self, views: list[View]) -> Int[Tensor, " M"] | None:
        labels = [view.labels for view in views]
        if "classes" not in self.needs or any(each is None for each in labels):
            return None
        return torch.cat(labels)

    def _views(self, draw: int, seconds: dict[str, float]) -> list[View]:
        """Make the views of one keyframe; `draw` is its number in the whole run."""
        generator = self._order.generator(draw, 1)
        views = self._views_of(self._order(draw), generator, seconds)
        if views:
            return views
        others = self._order.others(draw)  # nothing can be learned from this one
        for other in others[:MOST_DRAWS]:
            views = self._views_of(other, generator, seconds)
            if views:
                return views
        keyframe = self._load(self.keyframes[0])
        why = why_unseen(keyframe.points, keyframe.cameras)
        if not keyframe.cameras:
            why = "no image. `python -m kit doctor FOLDER` shows what works without images"
        raise ValueError(
            f"{self.dataset.name}: {NOTHING_SEEN} in any of {min(len(others), MOST_DRAWS)} "
            "keyframes. Are the images on disk, is the calibration right, and are max_points and "
            f"fov of the student large enough?{why and f' The first one: {why}.'}"
        )

    def _views_of(self, index: int, generator: Generator, seconds: dict[str, float]) -> list[View]:
        with timed(seconds, "reading"):
            keyframe = self._load(index)
        with timed(seconds, "inputs"):
            return make_views(keyframe, self.inputs, self.view_config, generator)

    def left_out(self) -> LeftOut:
        """Count the keyframes that are left out, on at most `MOST_CHECKED` of them.

        Those are spread evenly over all keyframes, because reading all of a large data set would
        take minutes.
        """
        count = min(len(self.keyframes), MOST_CHECKED)
        chosen = torch.linspace(0, len(self.keyframes) - 1, count).round().long().tolist()
        load = (
            self._load if len(self.keyframes) <= KEYFRAMES_IN_MEMORY else self.dataset.__getitem__
        )
        no_image = unseen = 0
        for index in chosen:
            keyframe = load(self.keyframes[index])
            if not keyframe.cameras:
                no_image += 1
            elif not any(_sees(camera, keyframe) for camera in keyframe.cameras.values()):
                unseen += 1
        return LeftOut(len(self.keyframes), count, no_image, unseen)


def _rows(found: Sequence[list[View]]) -> Int[Tensor, " M"] | None:
    """The point of each pair; None if all points are in one pair each, in order."""
    rows, first = [], 0
    for views in found:
        if any(view.row is None for view in views):
            return None
        rows += [view.row + first for view in views]
        first += len(views[0].scan.kept)
    return torch.cat(rows)


def _sees(camera: Camera, keyframe: Keyframe) -> bool:
    """Whether a camera sees enough points of a keyframe."""
    _, _, visible = project_into(camera, keyframe.points)
    return int(visible.sum()) >= LEAST_POINTS
