"""Division of a data set into training and held-out keyframes, by whole scenes where possible."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture
from kit.data.recording import Recording

GAP = 5.0  # metres


@dataclass(frozen=True)
class Split:
    """A division of a data set.

    Attributes:
        train, held_out: indices of keyframes, in the data set's order; no index is in both.
        rule: the rule that chose them, as a sentence for a report.
        unused: indices of keyframes that are too near to held-out ones to train on.
    """

    train: tuple[int, ...]
    held_out: tuple[int, ...]
    rule: str
    unused: tuple[int, ...] = ()


def split(dataset: Dataset, held_out: float = 0.25, gap: float = GAP) -> Split:
    """Divide the keyframes of a data set into training and held-out keyframes.

    One scene: its last keyframes are held out. Where poses are known, keyframes that were recorded
    near the held-out ones are used for neither part, because they show the same things. Several
    scenes: the official nuScenes split, if it contains every scene and both parts get at least one
    (mini_train and mini_val for v1.0-mini, else train and val); otherwise the last scenes of the
    data set. Scenes are never divided then.

    Args:
        dataset: anything with `scenes`, the scene name of every keyframe.
        held_out: ratio of the keyframes or scenes to hold out, rounded, at least one. The official
            split ignores it.
        gap: distance between training and held-out keyframes of one scene, metres. 0 keeps none.

    Returns:
        the split. A single keyframe is used for training and nothing is held out; `rule` then
        begins with "too few".

    Raises:
        ValueError: no keyframes, `held_out` is not between 0 and 1, or `gap` is negative.

    Source: the official scenes are those of nuscenes-devkit, `nuscenes.utils.splits`.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a ratio between 0 and 1, got {held_out}")
    if not 0 <= gap < math.inf:
        raise ValueError(f"gap must be a distance of 0 m or more, got {gap}")
    if isinstance(dataset, Mixture):
        return _split_each(dataset, held_out, gap)
    scenes = list(dataset.scenes)
    if not scenes:
        raise ValueError("the data set has no keyframes to split")
    names = list(dict.fromkeys(scenes))
    if len(scenes) == 1:
        return Split((0,), (), "too few keyframes: one, used for training; none held out")
    if len(names) == 1:
        border = len(scenes) - _num_held_out(len(scenes), held_out)
        rule = f"the last {len(scenes) - border} of {len(scenes)} keyframes of {names[0]} in time"
        return _with_gap(dataset, border, gap, f"held out: {rule}")
    tested, rule = _official(names) or _last_scenes(names, held_out)
    return Split(
        tuple(i for i, scene in enumerate(scenes) if scene not in tested),
        tuple(i for i, scene in enumerate(scenes) if scene in tested),
        f"held out: {rule}",
    )


def all_but_official(dataset: Dataset) -> Split:
    """Use all keyframes for training, except the official validation scenes of nuScenes.

    For a distillation, which needs no labels, where nothing is tested afterwards.
    """
    everything = tuple(range(len(dataset)))
    official = None if isinstance(dataset, Mixture) else _official(dict.fromkeys(dataset.scenes))
    if official is None:
        return Split(everything, (), f"trained on all {len(everything)} keyframes")
    return split(dataset)


def _with_gap(dataset: Dataset, border: int, gap: float, rule: str) -> Split:
    """Hold out the keyframes from `border` on; those nearer than `gap` to one of them are unused.

    A scene without poses, or one that would have nothing left to train on, gets no gap.
    """
    before, held_out = tuple(range(border)), tuple(range(border, len(dataset)))
    positions = _positions(dataset) if gap > 0 else None
    if positions is None:
        return Split(before, held_out, rule)
    nearest = torch.cdist(positions[:border], positions[border:]).amin(1)
    train = tuple((nearest >= gap).nonzero()[:, 0].tolist())
    if not train:
        way = float(nearest.max())
        return Split(
            before, held_out, f"{rule}; no gap of {gap:g} m is kept, the car moved {way:.1f} m"
        )
    unused = tuple(i for i in before if i not in train)
    if unused:
        rule += f"; {len(unused)} before them, nearer than {gap:g} m, are not used"
    return Split(train, held_out, rule, unused)


def _positions(dataset: Dataset) -> Float[Tensor, "N 3"] | None:
    """Where each keyframe was recorded, metres; None if a pose is not known without reading it."""
    if not isinstance(dataset, Recording):
        return None
    poses = [dataset.pose_of(frame) for frame in dataset.frames]
    if any(pose is None for pose in poses):
        return None
    return torch.stack([pose[:3, 3] for pose in poses])


def _split_each(mixture: Mixture, held_out: float, gap: float) -> Split:
    """The splits of the data sets of a mixture, joined."""
    train: list[int] = []
    tested: list[int] = []
    unused: list[int] = []
    rules = []
    for number, (name, part) in enumerate(zip(mixture.names, mixture.parts, strict=True)):
        own, first = split(part, held_out, gap), mixture.indices_of(number).start
        train += [first + index for index in own.train]
        tested += [first + index for index in own.held_out]
        unused += [first + index for index in own.unused]
        rules.append(f"{name}: {own.rule}")
    return Split(tuple(train), tuple(tested), "; ".join(rules), tuple(unused))


def few_shot_scenes(
    dataset: Dataset, every: int, indices: Iterable[int] | None = None
) -> tuple[int, ...]:
    """Select every n-th scene with all its keyframes, for training with few labels.

    Scenes are counted in the data set's order, from one: `every=3` selects the 3rd, 6th, 9th ...
    Only scenes among `indices` count, so that held-out scenes are not selected. On the 700 training
    scenes of nuScenes, `every=100` selects 1 % of the labels.

    Args:
        dataset: anything with `scenes`, the scene name of every keyframe.
        every: n; 1 selects all.
        indices: keyframes to choose from, usually `split(dataset).train`; None: all.

    Raises:
        ValueError: `every` is below 1 or above the number of scenes.

    Source: SLidR (arXiv:2203.16258), `dataset_skip_step` of its nuScenes loader: counted in the
        devkit's order over the 700 training scenes, 1 % = 7 scenes. Differs: ScaLR reads stored
        lists of scenes.
    """
    chosen = tuple(range(len(dataset.scenes))) if indices is None else tuple(indices)
    names = list(dict.fromkeys(dataset.scenes[i] for i in chosen))
    if not 1 <= every <= len(names):
        raise ValueError(
            f"every must be 1 to {len(names)}, the number of scenes to choose from, got {every}"
        )
    kept = set(names[every - 1 :: every])
    return tuple(i for i in chosen if dataset.scenes[i] in kept)


def _num_held_out(count: int, ratio: float) -> int:
    """Number of keyframes or scenes to hold out: at least one, and at least one is left."""
    return min(max(round(count * ratio), 1), count - 1)


def _last_scenes(names: Sequence[str], ratio: float) -> tuple[set[str], str]:
    """The held-out scenes and the rule, where no official split applies."""
    count = _num_held_out(len(names), ratio)
    return set(names[-count:]), f"the last {count} of {len(names)} scenes"


def _official(names: Collection[str]) -> tuple[set[str], str] | None:
    """The held-out scenes and the rule of the official nuScenes split, or None."""
    if not all(name.startswith("scene-") for name in names):
        return None
    from nuscenes.utils.splits import create_splits_scenes  # slow import, several seconds

    official = create_splits_scenes()
    for train, test in (("mini_train", "mini_val"), ("train", "val")):
        trained, tested = set(official[train]), set(official[test])
        if trained | tested >= set(names) and trained & set(names) and tested & set(names):
            return tested & set(names), f"the official nuScenes {test} scenes"
    return None
