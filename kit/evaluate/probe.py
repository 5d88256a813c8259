"""Linear probing and nearest neighbours: how well frozen features separate classes.

Only the probe is trained. Compare its mIoU with that of the teacher, of a student with random
weights, and of the position of the points alone.
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
from kit.store.ranges import check_number, check_whole


@dataclass(frozen=True)
class ProbeConfig:
    """Settings of linear probing.

    The defaults are for the quick variant, which trains on stored features and converges in
    seconds. `PAPER` holds the settings of ScaLR's linear probing, which sees augmented scans.

    Attributes:
        steps: optimizer steps of the quick variant.
        batch_points: points per step of the quick variant.
        points_per_keyframe: labelled points drawn from every training keyframe, quick variant.
        epochs: passes over the training keyframes, paper's variant.
        batch_size: scans per step, paper's variant.
        lr: highest learning rate of AdamW.
        min_lr: last learning rate.
        weight_decay: weight decay of AdamW.
        warmup: ratio of the steps in which the learning rate rises, 0 to 1.
        seed: seed of the drawn points, the batches and the augmentation.

    Raises:
        ValueError: a value outside of its range.
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

    def __post_init__(self):
        counts = ("steps", "batch_points", "points_per_keyframe", "epochs", "batch_size")
        check_whole(self, 1, 10**9, *counts)
        check_whole(self, 0, 2**32 - 1, "seed")
        check_number(self, 0, 10, "lr", above=True)
        check_number(self, 0, self.lr, "min_lr")
        check_number(self, 0, 100, "weight_decay")
        check_number(self, 0, 1, "warmup")


# Source: ScaLR (arXiv:2310.17504), linear probing; on nuScenes 2 of the 20 epochs are warm-up. This
# low learning rate is for 70,000 steps: a probe is far from converged after 300.
PAPER = ProbeConfig(lr=1e-3)


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe on held-out points.

    Attributes:
        confusion: (C, C) counts [label, prediction].
        classes: of its rows and columns.
        head: the fitted probe; None for nearest neighbours.
    """

    confusion: Int[Tensor, "C C"]
    classes: ClassMap
    head: nn.Module | None = None

    @property
    def iou(self) -> dict[str, float | None]:
        """Intersection over union by class, in [0, 1]; None for classes without labelled points."""
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
        """Ratio of labelled points whose predicted class is right."""
        return (self.confusion.trace() / self.confusion.sum()).item()

    def __repr__(self) -> str:
        num = sum(value is not None for value in self.iou.values())
        return f"mIoU {100 * self.miou:.1f} % over {num} classes, accuracy {self.accuracy:.1%}"


def new_head(width: int, classes: ClassMap) -> nn.Sequential:
    """A new probe: BatchNorm and one linear layer that starts from zero; knows its `class_names`.

    Source: ScaLR (arXiv:2310.17504), linear probing.
    """
    linear = nn.Linear(width, len(classes))
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    head = nn.Sequential(nn.BatchNorm1d(width), linear)
    head.class_names = classes.names
    return head


def fit_head(
    batches: Iterable[tuple[Tensor, Tensor]], head: nn.Module, steps: int, config: ProbeConfig
) -> nn.Module:
    """Fit a probe to batches by cross-entropy plus Lovasz-softmax; returned in eval mode.

    Args:
        batches: (feat, labels) pairs, one per step.
        head: see `new_head`.
        steps: the number of batches, which the learning rate depends on.
        config: `lr`, `min_lr`, `weight_decay` and `warmup` are used.

    Raises:
        ValueError: the probe diverged, so its predictions would mean nothing.
    """
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
    if not all(p.isfinite().all() for p in (*head.parameters(), *head.buffers())):
        raise ValueError(
            f"the probe diverged with lr {config.lr}: its weights are no longer finite. Take a "
            "smaller lr, and look for very large features"
        )
    return head.eval()


def linear_probe(
    train: tuple[Tensor, Tensor],
    held_out: Iterable[tuple[Tensor, Tensor]],
    classes: ClassMap,
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
) -> ProbeResult:
    """Fit a linear probe to stored features and score it on others: the quick variant.

    Args:
        train: features (N, C) and labels (N,) to train on.
        held_out: features and labels to score on, for example one pair per keyframe.
        classes: of the labels.
        config: settings of the training.

    Raises:
        ValueError: no labelled point to train on, or unequal numbers of features and labels.
    """
    feat, labels = labelled(*train)
    if len(feat) == 0:
        raise ValueError("a probe needs labelled points to train on, there are none")
    head = new_head(feat.shape[1], classes)
    fit_head(_random_batches(feat, labels, config), head, config.steps, config)
    return score_head(head, held_out, classes)


def labelled(feat: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the points that have a class."""
    if len(feat) != len(labels):
        raise ValueError(f"{len(feat)} rows of features for {len(labels)} labels")
    keep = labels != IGNORE
    if keep.all():  # no copy of what may be gigabytes
        return feat, labels
    return feat[keep], labels[keep]


def _random_batches(feat: Tensor, labels: Tensor, config: ProbeConfig) -> Iterator:
    generator = Generator().manual_seed(config.seed)
    for _ in range(config.steps):
        drawn = torch.randint(len(feat), (config.batch_points,), generator=generator)
        yield feat[drawn], labels[drawn]


@torch.no_grad()
def score_head(
    head: nn.Module, held_out: Iterable[tuple[Tensor, Tensor]], classes: ClassMap
) -> ProbeResult:
    """Score a fitted probe on pairs of features and labels."""
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
    """Predict classes by a weighted vote of the nearest training features, by cosine.

    Args:
        train: features and labels.
        feat: features to predict classes for.
        num_classes: C.
        num_neighbours: votes per prediction.
        temperature: a vote weighs exp(cosine / temperature).

    Source: weighted kNN of DINO (arXiv:2104.14294), with its temperature.
    """
    train_feat, labels = labelled(*train)
    train_feat = F.normalize(train_feat, dim=1)
    one_hot = F.one_hot(labels, num_classes).to(feat.dtype)
    predicted = []
    for part in F.normalize(feat, dim=1).split(2048):
        k = min(num_neighbours, len(train_feat))
        cosine, index = (part @ train_feat.T).topk(k, dim=1)  # (m, k)
        votes = (cosine / temperature).exp()[:, :, None] * one_hot[index]
        predicted.append(votes.sum(1).argmax(1))
    return torch.cat(predicted)
