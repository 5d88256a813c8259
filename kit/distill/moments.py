"""Moments: a keyframe with one before and one after it, for losses that compare them.

The neighbours of a keyframe are other training keyframes of its scene. So nothing that is held out
is learned from. Poses bring the points of all three into the frame of the middle one, which makes a
denser scan.

Source: SuperFlow (arXiv:2407.06190), which compares three keyframes of nuScenes, 0.5 s apart.
    Differs: its dense scan consists of unlabelled turns of the lidar, whose classes are those of
    the pixels they fall on; here it consists of the three keyframes with their own labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from kit.data.keyframe import Dataset, Keyframe
from kit.data.sweeps import join_sweeps, sweep_of
from kit.distill.views import View, ViewConfig, make_view, make_views, view_scan
from kit.projection import project_into
from kit.student.scans import InputConfig, Scan

NEED_MOMENTS = frozenset({"moments", "dense_feat", "dense_classes"})  # inputs of a loss
MOMENTS = (-1, 0, 1)


@dataclass(frozen=True)
class Sample:
    """The part of a batch that comes from one draw of a keyframe.

    Attributes:
        views: of the keyframe, and of its neighbours in time if the loss compares moments.
        dense: K points of all moments in the frame of the keyframe; None: there is one moment.
        dense_labels: the class of each of them; None if the keyframe has no labels.
    """

    views: list[View]
    dense: Scan | None = None
    dense_labels: Int[Tensor, " K"] | None = None

    @property
    def scans(self) -> list[Scan]:
        """The scans of the views, each once, and the dense one at the end."""
        scans = {id(view.scan): view.scan for view in self.views}
        return [*scans.values(), *([] if self.dense is None else [self.dense])]


def find_neighbours(
    dataset: Dataset, keyframes: Iterable[int], step: int
) -> dict[int, tuple[int, int]]:
    """Find the keyframes before and after each keyframe in its scene.

    Args:
        dataset: gives the scene of every keyframe; within a scene they are in order of time.
        keyframes: indices. Neighbours are among them.
        step: how many of these keyframes before and after; 1: the next ones.

    Returns:
        By keyframe, the index of the one before and of the one after. Keyframes without one of
        them, for example the first of a scene, are left out.

    Raises:
        ValueError: no keyframe has both; says what to try.
    """
    scenes: dict[str, list[int]] = {}
    for index in sorted(set(keyframes)):
        scenes.setdefault(dataset.scenes[index], []).append(index)
    found = {
        index: (before, after)
        for members in scenes.values()
        for before, index, after in zip(members, members[step:], members[2 * step :], strict=False)
    }
    if not found:
        raise ValueError(
            f"{dataset.name}: this loss needs a keyframe before and one after another in the same "
            f"scene, with moment_step {step} that is {2 * step + 1} training keyframes, and no "
            f"scene has more than {max(map(len, scenes.values()))}. Train on more keyframes of "
            "each scene, choose a data set with longer scenes, or a loss of one moment, e.g. "
            "class_mean"
        )
    return found


def make_moments(
    keyframes: Sequence[Keyframe],
    inputs: InputConfig,
    config: ViewConfig,
    generator: Generator,
) -> Sample | None:
    """Make the views of three moments, of the same camera or of all, and the dense scan.

    The dense scan holds what the camera of the middle moment sees, or everything. Neither are its
    beams left out nor is it changed as if another lidar had recorded it: its points were measured
    from three places.

    Args:
        keyframes: before, middle and after, of one scene.
        inputs: the student's input settings.
        config: what the views hold.
        generator: of everything that is drawn.

    Returns:
        None if a pose is missing, or if cameras see too few points.
    """
    if any(keyframe.T_global_lidar is None for keyframe in keyframes):
        return None
    middle = keyframes[1]
    if config.cameras == "all":
        found = [make_views(keyframe, inputs, config, generator) for keyframe in keyframes]
        return _sample(keyframes, found, None, inputs, config, generator) if all(found) else None
    names = list(middle.cameras)
    for number in torch.randperm(len(names), generator=generator).tolist():
        found = [_views_of(k, names[number], inputs, config, generator) for k in keyframes]
        if all(found):
            return _sample(keyframes, found, names[number], inputs, config, generator)
    return None


def _views_of(
    keyframe: Keyframe, name: str, inputs: InputConfig, config: ViewConfig, generator: Generator
) -> list[View]:
    """The view of one camera; an empty list if there is none."""
    if name not in keyframe.cameras:
        return []
    view = make_view(keyframe, keyframe.cameras[name], inputs, config, generator)
    return [] if view is None else [view]


def _sample(
    keyframes: Sequence[Keyframe],
    views: Sequence[list[View]],
    camera: str | None,
    inputs: InputConfig,
    config: ViewConfig,
    generator: Generator,
) -> Sample | None:
    """Join the moments' views with the dense scan, as seen by one camera or whole."""
    before, middle, after = keyframes
    joined = join_sweeps(middle, [replace(sweep_of(k), labels=k.labels) for k in (before, after)])
    visible = None if camera is None else project_into(middle.cameras[camera], joined.points)[2]
    config = replace(config, beam_drop=0.0, sensor_jitter=0.0)
    dense = view_scan(joined, inputs, config, generator, visible)
    if dense is None:
        return None
    labels = None if joined.labels is None else joined.labels[dense.kept]
    of_moments = zip(MOMENTS, views, strict=True)
    return Sample(
        [replace(view, moment=moment) for moment, each in of_moments for view in each],
        dense,
        labels,
    )
