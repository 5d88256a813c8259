"""Probing protocols: probe the features of a whole data set, keyframe by keyframe."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from kit.data.keyframe import Dataset, Keyframe
from kit.evaluate.probe import (
    PAPER,
    ProbeConfig,
    ProbeResult,
    fit_head,
    labelled,
    linear_probe,
    new_head,
    score_head,
)
from kit.features.extract import Source, source
from kit.projection import find_pairs
from kit.student.augment import rotate_flip_scale
from kit.student.point_batch import collate
from kit.student.scans import prepare_scan
from kit.student.student import Student, device_of


def seen_points(keyframe: Keyframe) -> Int[Tensor, " S"]:
    """The points that at least one camera sees: the only ones a teacher has features for."""
    return find_pairs(keyframe.points, keyframe.cameras).seen_points()


def probe_dataset(
    source: Source,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    points_of: Callable[[Keyframe], Tensor] | None = None,
) -> ProbeResult:
    """Fit a linear probe to features of some keyframes and score it on others: the quick variant.

    One keyframe is in memory at a time.

    Args:
        source: returns the features of a keyframe, see `kit.source`.
        dataset: with labels.
        train: indices of the keyframes to train on.
        held_out: indices of the keyframes to score on; none of `train`.
        config: settings of the training.
        points_of: returns the points of a keyframe that count, so that several sources are
            compared on the same points. None: all that have a feature.

    Raises:
        ValueError: a keyframe is in both parts or has no labels, or there is none to train on.
    """
    _check_split(train, held_out)
    train_on = labelled_features(source, dataset, train, config, points_of)
    scored = (_features_of(source, dataset[i], points_of) for i in held_out)
    return linear_probe(train_on, scored, dataset.classes, config)


def labelled_features(
    source: Source,
    dataset: Dataset,
    keyframes: Sequence[int],
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    points_of: Callable[[Keyframe], Tensor] | None = None,
) -> tuple[Float[Tensor, "N C"], Int[Tensor, " N"]]:
    """Features and labels of `config.points_per_keyframe` labelled points drawn from each keyframe.

    Args:
        source: as in `probe_dataset`.
        dataset: with labels.
        keyframes: indices; the points of each follow those of the one before.
        config: `points_per_keyframe` and `seed` are used.
        points_of: as in `probe_dataset`.

    Raises:
        ValueError: a keyframe has no labels.
    """
    generator = Generator().manual_seed(config.seed)
    drawn = [
        _draw(*_features_of(source, dataset[i], points_of), config.points_per_keyframe, generator)
        for i in keyframes
    ]
    feat, labels = (torch.cat(column) for column in zip(*drawn, strict=True))
    return feat, labels


def _check_split(train: Sequence[int], held_out: Sequence[int]) -> None:
    if len(train) == 0:
        raise ValueError("a probe needs at least one keyframe to train on, got none")
    if shared := set(train) & set(held_out):
        raise ValueError(
            f"keyframes {sorted(shared)} are in both train and held_out; keep them in one"
        )


def _features_of(source: Source, keyframe: Keyframe, points_of) -> tuple[Tensor, Tensor]:
    """Features and labels of a keyframe's labelled points."""
    if keyframe.labels is None:
        raise ValueError(f"keyframe {keyframe.token} has no labels, a probe needs them")
    features = source(keyframe)
    if points_of is not None:
        features = features.restrict(points_of(keyframe))
    return labelled(features.feat, keyframe.labels[features.index])


def _draw(feat: Tensor, labels: Tensor, count: int, generator: Generator):
    drawn = torch.randperm(len(feat), generator=generator)[:count]
    return feat[drawn], labels[drawn]


def probe_student(
    student: Student,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: ProbeConfig = PAPER,
) -> ProbeResult:
    """The paper's linear probing: augmented scans in every epoch, scored on ALL points.

    The student is frozen and put in eval mode. Its distillation head is not used.

    Args:
        student: whose last layer before the head is probed.
        dataset: with labels.
        train: indices of the keyframes to train on.
        held_out: indices of the keyframes to score on; none of `train`.
        config: `epochs`, `batch_size`, learning rate and seed are used.

    Raises:
        ValueError: a keyframe is in both parts, or there is none to train on.

    Source: ScaLR (arXiv:2310.17504), linear probing: 20 epochs, batches of 8 scans of at most
        20,000 points, the last epoch is scored. Differs: points are augmented as in distillation,
        where the published code rotates coordinates and features by two independent angles.
    """
    _check_split(train, held_out)
    steps = config.epochs * -(-len(train) // config.batch_size)
    student.eval()
    batches = _augmented_batches(student, dataset, train, config)
    first = next(batches)
    head = new_head(first[0].shape[1], len(dataset.classes))
    fit_head(chain([first], batches), head, steps, config)
    last = source(student, layer=student.layers[-1])
    scored = (_features_of(last, dataset[i], None) for i in held_out)
    return score_head(head, scored, dataset.classes)


@torch.no_grad()
def _augmented_batches(
    student: Student, dataset: Dataset, train: Sequence[int], config: ProbeConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    generator = Generator().manual_seed(config.seed)
    inputs = student.config.inputs
    for _ in range(config.epochs):
        order = torch.randperm(len(train), generator=generator)
        for batch in order.split(config.batch_size):
            keyframes = [dataset[train[i]] for i in batch.tolist()]
            scans = [
                prepare_scan(
                    k.points,
                    k.intensity,
                    k.sensor,
                    inputs,
                    augment=rotate_flip_scale,
                    generator=generator,
                )
                for k in keyframes
            ]
            pairs = zip(keyframes, scans, strict=True)
            labels = torch.cat([keyframe.labels[scan.kept] for keyframe, scan in pairs])
            batch = collate(scans, inputs).to(device_of(student))
            yield student.features(batch).cpu(), labels
