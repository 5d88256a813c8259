"""How good are features? A linear layer, or nearest neighbours, must find the classes in them.

The features stay frozen; only the probe learns. A number alone says little: compare it with the
teacher's, with a random-weights student's, and with the position of the points alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from kit.data.classes import IGNORE, ClassMap
from kit.distill.schedules import warmup_cosine
from kit.evaluate.metrics import class_iou, confusion_matrix
from kit.evaluate.segmentation_loss import segmentation_loss


@dataclass(frozen=True)
class ProbeConfig:
    """Learning of the probe. The defaults are of the quick variant, which converges in seconds.

    `PAPER` holds the settings of ScaLR's linear probing.

    Attributes:
        steps: of the quick variant on stored features.
        batch_points: points per step of the quick variant.
        points_per_keyframe: drawn from every training keyframe in the quick variant.
        epochs, batch_size: of the paper's variant; scans per step.
        warmup: share of the steps in which the rate rises.
    """

    steps: int = 150
    batch_points: int = 8192
    points_per_keyframe: int = 20_000
    epochs: int = 20
    batch_size: int = 8
    lr: float = 3e-2
    min_lr: float = 1e-5
    weight_decay: float = 3e-3
    warmup: float = 0.1
    seed: int = 0


# Source: ScaLR (arXiv:2310.17504), linear probing; on nuScenes 2 of the 20 epochs are warm-up. Its
# low rate needs the 70,000 steps it is used for: after 300 the probe still has far to go.
PAPER = ProbeConfig(lr=1e-3)


@dataclass(frozen=True)
class ProbeResult:
    """What a probe reached on held-out points.

    Attributes:
        confusion: (C, C) counts [label, prediction].
        classes: names of the rows.
        head: the fitted probe; None for nearest neighbours.
    """

    confusion: Int[Tensor, "C C"]
    classes: ClassMap
    head: nn.Module | None = None

    @property
    def iou(self) -> dict[str, float | None]:
        """Intersection over union in [0, 1] by class; None for classes without a labelled point."""
        values = class_iou(self.confusion)
        present = self.confusion.sum(1) > 0
        return {
            name: value.item() if there else None
            for name, value, there in zip(self.classes.names, values, present, strict=True)
        }

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in the held-out labels, in [0, 1]."""
        present = [value for value in self.iou.values() if value is not None]
        return sum(present) / len(present) if present else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of labelled points with the right class."""
        return (self.confusion.trace() / self.confusion.sum()).item()

    def __repr__(self) -> str:
        num = sum(value is not None for value in self.iou.values())
        return f"mIoU {100 * self.miou:.1f} % over {num} classes, accuracy {self.accuracy:.1%}"


def new_head(width: int, num_classes: int) -> nn.Sequential:
    """The probe: BatchNorm and one linear layer that starts from zero.

    Source: ScaLR (arXiv:2310.17504), linear probing.
    """
    linear = nn.Linear(width, num_classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.BatchNorm1d(width), linear)


def fit_head(
    batches: Iterable[tuple[Tensor, Tensor]], head: nn.Module, steps: int, config: ProbeConfig
) -> nn.Module:
    """Fit the probe to (feat, labels) batches, cross-entropy + Lovasz; returned in eval mode."""
    head.train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: warmup_cosine(
            step + 1,
            warmup=max(round(config.warmup * steps), 1),
            total=steps + 1,
            minimum=config.min_lr / config.lr,
        ),
    )
    for feat, labels in batches:
        optimizer.zero_grad()
        segmentation_loss(head(feat), labels).backward()
        optimizer.step()
        schedule.step()
    return head.eval()


def linear_probe(
    train: tuple[Tensor, Tensor],
    held_out: Iterable[tuple[Tensor, Tensor]],
    classes: ClassMap,
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
) -> ProbeResult:
    """The quick variant: fit the probe to stored features and score it on others.

    Args:
        train: features (N, C) and labels (N,) to learn from.
        held_out: features and labels to score, e.g. one pair per keyframe.

    Raises:
        ValueError: no labelled point to learn from, or rows that do not match.
    """
    feat, labels = labelled(*train)
    if len(feat) == 0:
        raise ValueError("a probe needs labelled points to learn from, there are none")
    head = new_head(feat.shape[1], len(classes))
    fit_head(_random_batches(feat, labels, config), head, config.steps, config)
    return score_head(head, held_out, classes)


def labelled(feat: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that have a class."""
    if len(feat) != len(labels):
        raise ValueError(f"{len(feat)} rows of features for {len(labels)} labels")
    keep = labels != IGNORE
    if keep.all():  # no copy of what may be gigabytes
        return feat, labels
    return feat[keep], labels[keep]


def _random_batches(feat: Tensor, labels: Tensor, config: ProbeConfig) -> Iterator:
    generator = Generator().manual_seed(config.seed)
    for _ in range(config.steps):
        rows = torch.randint(len(feat), (config.batch_points,), generator=generator)
        yield feat[rows], labels[rows]


@torch.no_grad()
def score_head(
    head: nn.Module, held_out: Iterable[tuple[Tensor, Tensor]], classes: ClassMap
) -> ProbeResult:
    """Score a fitted probe on (feat, labels) pairs."""
    confusion = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    for feat, labels in held_out:
        feat, labels = labelled(feat, labels)
        confusion += confusion_matrix(head(feat).argmax(1), labels, len(classes))
    return ProbeResult(confusion, classes, head)


def knn_predict(
    train: tuple[Float[Tensor, "N C"], Int[Tensor, " N"]],
    feat: Float[Tensor, "M C"],
    num_classes: int,
    num_neighbours: int = 20,
    temperature: float = 0.07,
) -> Int[Tensor, " M"]:
    """Classes by vote of the nearest training features (cosine), nearer ones counting more.

    Source: weighted kNN of DINO (arXiv:2104.14294), with its temperature.
    """
    known, labels = labelled(*train)
    known = F.normalize(known, dim=1)
    one_hot = F.one_hot(labels, num_classes).to(feat.dtype)
    predicted = []
    for part in F.normalize(feat, dim=1).split(2048):
        cosine, rows = (part @ known.T).topk(min(num_neighbours, len(known)), dim=1)  # (m, k)
        votes = (cosine / temperature).exp()[:, :, None] * one_hot[rows]
        predicted.append(votes.sum(1).argmax(1))
    return torch.cat(predicted)
