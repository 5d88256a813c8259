"""Division of a data set into training and held-out keyframes, by whole scenes where possible."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture


@dataclass(frozen=True)
class Split:
    """A division of a data set.

    Attributes:
        train, held_out: indices of keyframes, in the data set's order; no index is in both.
        rule: the rule that chose them, as a sentence for a report.
    """

    train: tuple[int, ...]
    held_out: tuple[int, ...]
    rule: str


def split(dataset: Dataset, held_out: float = 0.25) -> Split:
    """Divide the keyframes of a data set into training and held-out keyframes.

    One scene: its last keyframes are held out. Keyframes that are close in time are similar, so the
    first held-out ones are easier than those of another scene. Several scenes: the official
    nuScenes split, if it contains every scene and both parts get at least one (mini_train and
    mini_val for v1.0-mini, else train and val); otherwise the last scenes of the data set. Scenes
    are never divided then.

    Args:
        dataset: anything with `scenes`, the scene name of every keyframe.
        held_out: ratio of the keyframes or scenes to hold out, rounded, at least one. The official
            split ignores it.

    Returns:
        the split. A single keyframe is used for training and nothing is held out; `rule` then
        begins with "too few".

    Raises:
        ValueError: no keyframes, or `held_out` is not between 0 and 1.

    Source: the official scenes are those of nuscenes-devkit, `nuscenes.utils.splits`.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a ratio between 0 and 1, got {held_out}")
    if isinstance(dataset, Mixture):
        return _split_each(dataset, held_out)
    scenes = list(dataset.scenes)
    if not scenes:
        raise ValueError("the data set has no keyframes to split")
    names = list(dict.fromkeys(scenes))
    if len(scenes) == 1:
        return Split((0,), (), "too few keyframes: one, used for training; none held out")
    if len(names) == 1:
        border = len(scenes) - _num_held_out(len(scenes), held_out)
        indices = tuple(range(len(scenes)))
        rule = f"the last {len(scenes) - border} of {len(scenes)} keyframes of {names[0]} in time"
        return Split(indices[:border], indices[border:], f"held out: {rule}")
    tested, rule = _official(names) or _last_scenes(names, held_out)
    return Split(
        tuple(i for i, scene in enumerate(scenes) if scene not in tested),
        tuple(i for i, scene in enumerate(scenes) if scene in tested),
        f"held out: {rule}",
    )


def _split_each(mixture: Mixture, held_out: float) -> Split:
    """The splits of the data sets of a mixture, joined."""
    train: list[int] = []
    tested: list[int] = []
    rules = []
    for number, (name, part) in enumerate(zip(mixture.names, mixture.parts, strict=True)):
        own, first = split(part, held_out), mixture.indices_of(number).start
        train += [first + index for index in own.train]
        tested += [first + index for index in own.held_out]
        rules.append(f"{name}: {own.rule}")
    return Split(tuple(train), tuple(tested), "; ".join(rules))


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


def _official(names: Sequence[str]) -> tuple[set[str], str] | None:
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
