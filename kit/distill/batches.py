"""Training batches: the points that a few cameras see, and their pixels.

A batch depends on the seed and the step only. So a run that was stopped continues with the same
batches, whatever the number of processes and workers. A keyframe that cannot be learned from, e.g.
because its images are not on disk, is left out; another one is drawn in its place.

`views.py` makes what one keyframe gives to a batch, `moments.py` what it gives together with the
keyframes before and after it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
import torch.utils.data
from jaxtyping import Int
from torch import Generator, Tensor

from kit.data.keyframe import Camera, Dataset, Keyframe
from kit.distill.moments import NEED_MOMENTS, Sample, find_neighbours, make_moments
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
        point_of_pair: (M,) the point of each pair, a row of `points`; None: pair i has point i.
        dense: (K,) the points of scans that join several moments, rows of `points`; None: all
            views are of one moment.
        dense_classes: (K,) the class of each of them; None if no loss needs it, or a keyframe has
            no labels.
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
    point_of_pair: Int[Tensor, " M"] | None = None
    dense: Int[Tensor, " K"] | None = None
    dense_classes: Int[Tensor, " K"] | None = None

    @property
    def num_pairs(self) -> int:
        """Number of pairs of a point and a pixel, M."""
        return len(self.points.feat if self.point_of_pair is None else self.point_of_pair)

    def pin_memory(self) -> "TrainingBatch":
        """The same batch with the student's input in page-locked memory; `DataLoader` calls it."""
        return replace(self, points=self.points.pin_memory())

    @property
    def image_of_pair(self) -> Int[Tensor, " M"]:
        """The number of each pair's view, counted from 0."""
        sizes = torch.tensor([len(view.uv) for view in self.views])
        return torch.arange(len(sizes)).repeat_interleave(sizes)


@dataclass(frozen=True)
class LeftOut:
    """How many keyframes of a run cannot be learned from.

    Attributes:
        num_keyframes: of the run.
        checked: number of keyframes that were checked.
        no_image: number of these without any image.
        unseen: number of these with images, whose cameras see too few points.
        no_pose: number of these with images but without a pose, if the loss compares moments.
        alone: number of the run's other keyframes, which have none before or none after them in
            their scene, if the loss compares moments. They are only neighbours of others.
    """

    num_keyframes: int
    checked: int
    no_image: int
    unseen: int
    no_pose: int = 0
    alone: int = 0

    @property
    def count(self) -> int:
        """Number of keyframes left out among those checked."""
        return self.no_image + self.unseen + self.no_pose

    def __str__(self) -> str:
        alone = (
            f"{self.alone} keyframes without another one before or after them in their scene are "
            "used as neighbours only"
        )
        if not self.alone:
            return self._of_those_checked()
        return f"{self._of_those_checked()}; {alone}" if self.count else alone

    def _of_those_checked(self) -> str:
        of = f"{self.checked} keyframes"
        if self.checked < self.num_keyframes:
            of = f"{self.checked} checked keyframes ({self.num_keyframes:,} in all)"
        no_pose = f"; without a pose: {self.no_pose}" if self.no_pose else ""
        return (
            f"{self.count} of {of} left out (without images: {self.no_image}; {NOTHING_SEEN}: "
            f"{self.unseen}{no_pose}); others are drawn in their place"
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
        superpixels, moment_step: which ones, as in `DistillConfig`.
        needs: the inputs that the loss needs, see `kit.distill.losses.needs`.
        cache: keeps superpixels, so that they are computed once per image.
        rank: this process makes the views rank, rank + world_size, ... of each step.
        world_size: number of processes.
        image_of: decodes the image of a camera for the teacher, or returns None where its maps are
            known; None: images are decoded where the teacher computes.

    Raises:
        ValueError: there are no keyframes, or fewer views per step than processes; or the loss
            compares moments, and no keyframe has others before and after it.
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
        moment_step: int = 1,
        needs: Collection[str] = (),
        cache: FeatureCache | None = None,
        rank: int = 0,
        world_size: int = 1,
        image_of: Callable[[Camera], Tensor | None] | None = None,
    ):
        if not keyframes:
            raise ValueError("there is no keyframe to learn from")
        if batch_size < world_size:
            raise ValueError(f"batch_size {batch_size} is less than the {world_size} processes")
        self.dataset, self.keyframes, self.inputs = dataset, tuple(keyframes), inputs
        self._neighbours: dict[int, tuple[int, int]] | None = None
        if NEED_MOMENTS & frozenset(needs):
            self._neighbours = find_neighbours(dataset, keyframes, moment_step)
            self.keyframes = tuple(i for i in keyframes if i in self._neighbours)
        self._alone = len(keyframes) - len(self.keyframes)
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.view_config = ViewConfig(augment, hidden, cameras, beam_drop, sensor_jitter)
        self.needs, self.cache, self.superpixels = frozenset(needs), cache, superpixels
        self.rank, self.world_size, self._image_of = rank, world_size, image_of
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
        samples = [self._sample(step * self.batch_size + slot, seconds) for slot in slots]
        views = self._decoded([view for sample in samples for view in sample.views], seconds)
        with timed(seconds, "inputs"):
            points = collate([scan for each in samples for scan in each.scans], self.inputs)
        superpixels, regions = self._superpixels(views, seconds)
        classes = self._classes([view.labels for view in views])
        point_of_pair, dense = _points_of(samples)
        of_dense = None if dense is None else self._classes([each.dense_labels for each in samples])
        return TrainingBatch(
            points,
            views,
            superpixels,
            regions,
            classes,
            seconds,
            point_of_pair,
            dense,
            of_dense,
        )

    def _decoded(self, views: list[View], seconds: dict[str, float]) -> list[View]:
        if self._image_of is None:
            return views
        with timed(seconds, "reading"):
            return [replace(view, image=self._image_of(view.camera)) for view in views]

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

    def _classes(self, labels: list[Int[Tensor, " _"] | None]) -> Int[Tensor, " M"] | None:
        if "classes" not in self.needs or any(each is None for each in labels):
            return None
        return torch.cat(labels)

    def _sample(self, draw: int, seconds: dict[str, float]) -> Sample:
        """Make the views of one keyframe; `draw` is its number in the whole run."""
        generator = self._order.generator(draw, 1)
        sample = self._sample_of(self._order(draw), generator, seconds)
        if sample is not None:
            return sample
        others = self._order.others(draw)  # nothing can be learned from this one
        for other in others[:MOST_DRAWS]:
            sample = self._sample_of(other, generator, seconds)
            if sample is not None:
                return sample
        keyframe = self._load(self.keyframes[0])
        if self._neighbours is not None and keyframe.T_global_lidar is None:
            raise ValueError(
                f"{self.dataset.name}: this loss brings the points of several moments into one "
                f"frame, and keyframe {keyframe.token} has no T_global_lidar, the pose of the "
                "lidar. Choose a data set with poses, or a loss of one moment, e.g. class_mean"
            )
        why = why_unseen(keyframe.points, keyframe.cameras)
        if not keyframe.cameras:
            why = "no image. `python -m kit doctor FOLDER` shows what works without images"
        raise ValueError(
            f"{self.dataset.name}: {NOTHING_SEEN} in any of {min(len(others), MOST_DRAWS)} "
            "keyframes. Are the images on disk, is the calibration right, and are max_points and "
            f"fov of the student large enough?{why and f' The first one: {why}.'}"
        )

    def _sample_of(
        self, index: int, generator: Generator, seconds: dict[str, float]
    ) -> Sample | None:
        with timed(seconds, "reading"):
            keyframes = [self._load(each) for each in self._moments_of(index)]
        with timed(seconds, "inputs"):
            if self._neighbours is not None:
                return make_moments(keyframes, self.inputs, self.view_config, generator)
            views = make_views(keyframes[0], self.inputs, self.view_config, generator)
            return Sample(views) if views else None

    def _moments_of(self, index: int) -> tuple[int, ...]:
        """The keyframe, and those before and after it if the loss compares moments."""
        if self._neighbours is None:
            return (index,)
        before, after = self._neighbours[index]
        return before, index, after

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
        no_image = unseen = no_pose = 0
        for index in chosen:
            keyframe = load(self.keyframes[index])
            if not keyframe.cameras:
                no_image += 1
            elif self._neighbours is not None and keyframe.T_global_lidar is None:
                no_pose += 1
            elif not any(_sees(camera, keyframe) for camera in keyframe.cameras.values()):
                unseen += 1
        return LeftOut(len(self.keyframes), count, no_image, unseen, no_pose, self._alone)


def _points_of(
    samples: Sequence[Sample],
) -> tuple[Int[Tensor, " M"] | None, Int[Tensor, " K"] | None]:
    """The point of each pair, and the points of dense scans, if there are some.

    The first one is None if all points are in one pair each, in order.
    """
    if all(each.dense is None and each.views[0].point_of_pair is None for each in samples):
        return None, None
    point_of_pair, dense, first = [], [], 0
    for sample in samples:
        place = {}
        for scan in sample.scans:
            place[id(scan)] = first + torch.arange(len(scan.kept))
            first += len(scan.kept)
        for view in sample.views:
            own = place[id(view.scan)]
            within = view.point_of_pair
            point_of_pair.append(own if within is None else own[within])
        if sample.dense is not None:
            dense.append(place[id(sample.dense)])
    return torch.cat(point_of_pair), torch.cat(dense) if dense else None


def _sees(camera: Camera, keyframe: Keyframe) -> bool:
    """Whether a camera sees enough points of a keyframe."""
    _, _, visible = project_into(camera, keyframe.points)
    return int(visible.sum()) >= LEAST_POINTS
