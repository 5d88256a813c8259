"""Judge features keyframe by keyframe: where they come from, and which points they are judged on.

Four sources are compared: the teacher, the distilled student, a student with random weights, and
the position of the points alone.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from kit.data.keyframe import Dataset, Keyframe
from kit.near import mean_of_nearest
from kit.probe import (
    PAPER,
    ProbeConfig,
    ProbeResult,
    fit_head,
    labelled,
    linear_probe,
    new_head,
    score_head,
)
from kit.projection import find_pairs
from kit.student import embed, embed_layers
from kit.student.augment import turn_flip_scale
from kit.student.inputs import collate, point_features, prepare_scan
from kit.teacher import keyframe_features

# Rows of a keyframe's points and a feature for each of them.
Source = Callable[[Keyframe], tuple[Tensor, Tensor]]
NEAREST = 5  # points; 1 to 5 give the same mIoU on PandaSet, within 0.1 points


def seen_points(keyframe: Keyframe) -> Tensor:
    """Rows of the points at least one camera sees: the only ones a teacher has a feature for."""
    return find_pairs(keyframe.points, keyframe.cameras).seen_points()


def position_source(keyframe: Keyframe) -> tuple[Tensor, Tensor]:
    """The baseline every feature must beat: intensity, x, y, z and range of each point."""
    feat = point_features(keyframe.points, keyframe.intensity, keyframe.sensor)
    return torch.arange(len(feat)), feat


def student_source(student: nn.Module, layer: str | None = None) -> Source:
    """A student's features of all points at a layer, by default the last before the head."""
    name = layer or student.layers[-1]

    def source(keyframe: Keyframe) -> tuple[Tensor, Tensor]:
        feat = embed_layers(student, keyframe, [name])[name]
        return torch.arange(len(feat)), feat

    return source


def teacher_source(teacher: nn.Module, cache=None, hidden: str = "kept") -> Source:
    """The teacher's features at the points its cameras see, averaged where several see one.

    Args:
        cache: a `FeatureCache` that keeps the teacher's grids.
        hidden: what becomes of a point that, as far as the scan tells, something nearer hides from
            a camera. "kept": it gets the feature of what is in front. "left out": that camera does
            not count, and a point hidden from all has no row. "from neighbours": the same, but such
            a point gets the mean feature of the `NEAREST` points in space that have one.

    Raises:
        ValueError: another word.
    """
    if hidden not in ("kept", "left out", "from neighbours"):
        raise ValueError(f'hidden must be "kept", "left out" or "from neighbours", got {hidden!r}')

    def source(keyframe: Keyframe) -> tuple[Tensor, Tensor]:
        pairs = find_pairs(keyframe.points, keyframe.cameras, occlusion=hidden != "kept")
        rows, feat = keyframe_features(teacher, keyframe, pairs, cache=cache)
        if hidden != "from neighbours" or len(rows) == 0:
            return rows, feat
        in_view = seen_points(keyframe)
        points = keyframe.points
        everywhere = mean_of_nearest(points[rows], feat, points[in_view], NEAREST)
        everywhere[torch.isin(in_view, rows)] = feat
        return in_view, everywhere

    return source


def probe_source(
    source: Source,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    rows_of: Callable[[Keyframe], Tensor] | None = None,
) -> ProbeResult:
    """Probe any source of features, quick variant, one keyframe in memory at a time.

    Args:
        source: gives rows of a keyframe's points and their features.
        train, held_out: indices of keyframes; must not share any.
        rows_of: restrict every source to these points, so that all are judged on the same.

    Raises:
        ValueError: a keyframe is in both, or one of them has no labels.
    """
    if shared := set(train) & set(held_out):
        raise ValueError(f"keyframes {sorted(shared)} are both learned from and held out")
    learned = labelled_features(source, dataset, train, config, rows_of)
    scored = (_features_of(source, dataset[i], rows_of) for i in held_out)
    return linear_probe(learned, scored, dataset.classes, config)


def labelled_features(
    source: Source,
    dataset: Dataset,
    keyframes: Sequence[int],
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    rows_of: Callable[[Keyframe], Tensor] | None = None,
) -> tuple[Float[Tensor, "N C"], Int[Tensor, " N"]]:
    """Features and labels of `config.points_per_keyframe` labelled points drawn from each keyframe.

    Args:
        source, rows_of: as in `probe_source`.
        keyframes: indices; their points lie one after the other, in the order drawn.

    Raises:
        ValueError: a keyframe has no labels.
    """
    generator = Generator().manual_seed(config.seed)
    drawn = [
        _draw(*_features_of(source, dataset[i], rows_of), config.points_per_keyframe, generator)
        for i in keyframes
    ]
    feat, labels = (torch.cat(column) for column in zip(*drawn, strict=True))
    return feat, labels


def _features_of(source: Source, keyframe: Keyframe, rows_of) -> tuple[Tensor, Tensor]:
    if keyframe.labels is None:
        raise ValueError(f"keyframe {keyframe.token} has no labels, a probe needs them")
    rows, feat = source(keyframe)
    if rows_of is not None:
        keep = torch.isin(rows, rows_of(keyframe))
        rows, feat = rows[keep], feat[keep]
    return labelled(feat, keyframe.labels[rows])


def _draw(feat: Tensor, labels: Tensor, count: int, generator: Generator):
    rows = torch.randperm(len(feat), generator=generator)[:count]
    return feat[rows], labels[rows]


def probe_student(
    student: nn.Module,
    dataset: Dataset,
    train: Sequence[int],
    held_out: Sequence[int],
    config: ProbeConfig = PAPER,
) -> ProbeResult:
    """The paper's linear probing: every epoch sees the scans anew, augmented; scored on ALL points.

    The student is frozen and in eval mode, its distillation head unused.

    Source: ScaLR (arXiv:2310.17504), linear probing: 20 epochs, batches of 8 scans of at most
        20,000 points, the last epoch is scored. Differs: points are augmented as in distillation,
        where the published code turns coordinates and features by two independent angles.
    """
    if shared := set(train) & set(held_out):
        raise ValueError(f"keyframes {sorted(shared)} are both learned from and held out")
    steps = config.epochs * -(-len(train) // config.batch_size)
    student.eval()
    head = new_head(student.config.width, len(dataset.classes))
    fit_head(_augmented_batches(student, dataset, train, config), head, steps, config)
    scored = ((embed(student, dataset[i])[0], dataset[i].labels) for i in held_out)
    return score_head(head, scored, dataset.classes)


@torch.no_grad()
def _augmented_batches(
    student: nn.Module, dataset: Dataset, train: Sequence[int], config: ProbeConfig
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
                    augment=turn_flip_scale,
                    generator=generator,
                )
                for k in keyframes
            ]
            pairs = zip(keyframes, scans, strict=True)
            labels = torch.cat([keyframe.labels[scan.kept] for keyframe, scan in pairs])
            device = next(student.parameters()).device
            yield student.features(collate(scans, inputs).to(device)).cpu(), labels
