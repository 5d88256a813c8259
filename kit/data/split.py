"""Which keyframes to learn from and which to hold out. The two never mix, and scenes are not cut
where there are several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kit.data.keyframe import Dataset


@dataclass(frozen=True)
class Split:
    """Indices of keyframes, in the data set's order, and the rule that chose them in words."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]
    rule: str


def split(dataset: Dataset, held_out: float = 0.25) -> Split:
    """Divide a data set's keyframes into those to learn from and those to test on.

    One scene: its last keyframes are held out. Neighbours in time look alike, so where the two
    parts meet the test is easier than on another street. Several scenes: the official nuScenes
    split where every scene is in it and both parts have some (mini_train and mini_val for
    v1.0-mini, else train and val); otherwise the last scenes of the data set, whole.

    Args:
        dataset: anything with `scenes`, the scene name of every keyframe.
        held_out: share of the keyframes or scenes to hold out, rounded, at least one. The official
            split has its own.

    Returns:
        A single keyframe is for learning and nothing is held out; `rule` then begins "too few".

    Raises:
        ValueError: no keyframes, or `held_out` is not between 0 and 1.

    Source: the official scenes are those of nuscenes-devkit, `nuscenes.utils.splits`.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a share between 0 and 1, got {held_out}")
    scenes = list(dataset.scenes)
    if not scenes:
        raise ValueError("there are no keyframes to split")
    names = list(dict.fromkeys(scenes))
    if len(scenes) == 1:
        return Split((0,), (), "too few: the only keyframe is for learning, nothing is held out")
    if len(names) == 1:
        border = len(scenes) - _how_many(len(scenes), held_out)
        indices = tuple(range(len(scenes)))
        rule = f"the last {len(scenes) - border} of {len(scenes)} keyframes of {names[0]} in time"
        return Split(indices[:border], indices[border:], f"held out: {rule}")
    tested, rule = _official(names) or _last_scenes(names, held_out)
    return Split(
        tuple(i for i, scene in enumerate(scenes) if scene not in tested),
        tuple(i for i, scene in enumerate(scenes) if scene in tested),
        f"held out: {rule}",
    )


def few_shot_scenes(
    dataset: Dataset, every: int, indices: Iterable[int] | None = None
) -> tuple[int, ...]:
    """Keep every n-th scene with all its keyframes: labels for 1 % are every 100th of 700 scenes.

    Scenes are counted in the data set's order, from one: with `every=3` the 3rd, 6th, 9th ... are
    kept. Only scenes among `indices` count, so that the test scenes are left out of it.

    Args:
        dataset: anything with `scenes`, the scene name of every keyframe.
        every: n; 1 keeps all.
        indices: keyframes to choose from, usually `split(dataset).train`; None: all.

    Raises:
        ValueError: `every` is below 1, or there are fewer scenes than that.

    Source: SLidR (arXiv:2203.16258), `dataset_skip_step` of its nuScenes loader: counted in the
        devkit's order over the 700 training scenes, 1 % = 7 scenes. ScaLR reads lists of its own.
    """
    chosen = tuple(range(len(dataset.scenes))) if indices is None else tuple(indices)
    names = list(dict.fromkeys(dataset.scenes[i] for i in chosen))
    if not 1 <= every <= len(names):
        raise ValueError(
            f"every must be 1 to {len(names)}, the number of scenes to choose from, got {every}"
        )
    kept = set(names[every - 1 :: every])
    return tuple(i for i in chosen if dataset.scenes[i] in kept)


def _how_many(count: int, share: float) -> int:
    """At least one to hold out and at least one to learn from."""
    return min(max(round(count * share), 1), count - 1)


def _last_scenes(names: Sequence[str], share: float) -> tuple[set[str], str]:
    count = _how_many(len(names), share)
    return set(names[-count:]), f"the last {count} of {len(names)} scenes"


def _official(names: Sequence[str]) -> tuple[set[str], str] | None:
    if not all(name.startswith("scene-") for name in names):
        return None
    from nuscenes.utils.splits import create_splits_scenes  # imports the devkit: seconds

    official = create_splits_scenes()
    for train, test in (("mini_train", "mini_val"), ("train", "val")):
        learned, tested = set(official[train]), set(official[test])
        if learned | tested >= set(names) and learned & set(names) and tested & set(names):
            return tested & set(names), f"the official nuScenes {test} scenes"
    return None
