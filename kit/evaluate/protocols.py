"""Probing protocols: probe the features of a whole data set, keyframe by keyframe."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from kit.data.keyframe import Dataset, Keyframe
from kit.evaluate.metrics import confusion_matrix
from kit.evaluate.probe import (
    PAPER,
    ProbeConfig,
    ProbeResult,
    fit_head,
    knn_predict,
    labelled,
    linear_probe,
    new_head,
    score_head,
)
from kit.evaluate.training_scans import training_scans
from kit.features.extract import NEAREST, SECOND_PASS, Source, source
from kit.projection import find_pairs
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
    check_split(train, held_out)
    train_on = labelled_features(source, dataset, train, config, points_of)
    scored = scored_keyframes(source, dataset, held_out, points_of)
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


def scored_keyframes(
    source: Source,
    dataset: Dataset,
    held_out: Sequence[int],
    points_of: Callable[[Keyframe], Tensor] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features and labels of the labelled points of each keyframe; one keyframe is in memory."""
    return (_features_of(source, dataset[i], points_of) for i in held_out)


def check_split(train: Sequence[int], held_out: Sequence[int]) -> None:
    """Refuse a split without training keyframes, or with a keyframe in both parts."""
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
    protocol: str = "clean",
) -> ProbeResult:
    """The paper's linear probing: augmented scans in every epoch, scored on ALL points.

    The student is frozen and put in eval mode. Its distillation head is not used.

    Args:
        student: whose last layer before the head is probed.
        dataset: with labels.
        train: indices of the keyframes to train on.
        held_out: indices of the keyframes to score on; none of `train`.
        config: `epochs`, `batch_size`, learning rate and seed are used.
        protocol: "clean", or "scalr": augmentation as in the published code, see
            `kit.evaluate.training_scans`.

    Raises:
        ValueError: a keyframe is in both parts, or there is none to train on; unknown protocol.

    Source: ScaLR (arXiv:2310.17504), linear probing: 20 epochs, batches of 8 scans of at most
        20,000 points, the last epoch is scored. Differs, unless `protocol` is "scalr": points are
        augmented as in distillation.
    """
    check_split(train, held_out)
    steps = config.epochs * -(-len(train) // config.batch_size)
    student.eval()
    batches = _augmented_batches(student, dataset, train, config, protocol)
    first = next(batches)
    head = new_head(first[0].shape[1], dataset.classes)
    fit_head(chain([first], batches), head, steps, config)
    last = last_layer(student, protocol)
    return score_head(head, scored_keyframes(last, dataset, held_out), dataset.classes)


def last_layer(student: Student, protocol: str = "clean") -> Source:
    """The features of a student that probes read: those before its distillation head.

    Args:
        protocol: with "scalr", points outside of the field of view have the features of the nearest
            point inside, as in the published code.
    """
    outside = NEAREST if protocol == "scalr" else SECOND_PASS
    return source(student, layer=student.layers[-1], outside=outside)


@torch.no_grad()
def _augmented_batches(
    student: Student, dataset: Dataset, train: Sequence[int], config: ProbeConfig, protocol: str
) -> Iterator[tuple[Tensor, Tensor]]:
    for batch, labels in training_scans(
        dataset,
        train,
        student.config.inputs,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        protocol=protocol,
    ):
        yield student.features(batch.to(device_of(student))).cpu(), labels


KNN = ProbeConfig(points_per_keyframe=2_000)  # more take minutes on a CPU


def knn_dataset(
    source: Source,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: ProbeConfig = KNN,
    points_of: Callable[[Keyframe], Tensor] | None = None,
    num_neighbours: int = 20,
) -> ProbeResult:
    """Predict held-out classes by a vote of the nearest labelled features; nothing is trained.

    Args:
        source, dataset, train, held_out, points_of: as in `probe_dataset`.
        config: `points_per_keyframe` labelled points of each training keyframe vote; `seed` draws
            them.
        num_neighbours: votes per prediction.

    Raises:
        ValueError: as `probe_dataset`.

    Source: weighted kNN of DINO (arXiv:2104.14294), see `knn_predict`.
    """
    check_split(train, held_out)
    votes = labelled_features(source, dataset, train, config, points_of)
    num_classes = len(dataset.classes)
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for feat, labels in scored_keyframes(source, dataset, held_out, points_of):
        predicted = knn_predict(votes, feat, num_classes, num_neighbours)
        confusion += confusion_matrix(predicted, labels, num_classes)
    return ProbeResult(confusion, dataset.classes)


@dataclass(frozen=True)
class OverSeeds:
    """A metric over several seeds.

    Attributes:
        values: by seed.
    """

    values: dict[int, float]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.values.values())

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds; None for one seed."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None

    def __repr__(self) -> str:
        spread = "" if self.deviation is None else f" +- {self.deviation:.3g}"
        return f"{self.mean:.4g}{spread} ({len(self.values)} seeds)"


def over_seeds(metric: Callable[[int], float], seeds: Sequence[int]) -> OverSeeds:
    """Compute a metric with several seeds, e.g. `lambda seed: probe_student(...).miou`.

    Raises:
        ValueError: no seed, or one twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"give one or more different seeds, got {list(seeds)}")
    return OverSeeds({seed: metric(seed) for seed in seeds})
