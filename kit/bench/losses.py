"""The cost of every loss: its forward and backward pass, compared with a step of the student.

    python -m kit bench losses

4,096 pairs, of as many points. The teacher has 432 channels, as the one that comes with the kit.
The bound is for a step of the paper's student, WI-48-768. The student of the demo is much smaller.
Its rows are context and have no bound: a loss that compares every pair with every other one takes
longer than its step.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from kit.bench import Row
from kit.bench._measure import alternate, seconds, train_run
from kit.data import open_dataset
from kit.demo import FIVE_MINUTES
from kit.distill.losses import LOSSES, LossInputs, compute_loss
from kit.student.point_batch import collate
from kit.student.presets import build_student
from kit.student.scans import prepare_scan

NUM_PAIRS, DIM = 4096, 432
NUM_SUPERPIXELS, NUM_PATCHES, NUM_CLASSES = 300, 1000, 16
REPEATS = 7
PAPER = "wi-48-768"  # whose step takes some seconds on a CPU, so it is timed once


def inputs_of(count: int, device: str = "cpu") -> LossInputs:
    """Random inputs of every loss: pairs of two images, superpixels, patches, classes, moments."""
    generator = torch.Generator().manual_seed(0)
    feat = [torch.randn(count, DIM, generator=generator).to(device) for _ in range(3)]

    def numbers(most: int) -> Tensor:
        return torch.randint(most, (count,), generator=generator).to(device)

    return LossInputs(
        feat[0].requires_grad_(),
        feat[1],
        numbers(2),
        superpixels=numbers(NUM_SUPERPIXELS),
        superpixel_feat=torch.randn(NUM_SUPERPIXELS, DIM, generator=generator).to(device) / 10,
        patches=numbers(NUM_PATCHES),
        ranges=60 * torch.rand(count, generator=generator).to(device),
        classes=numbers(NUM_CLASSES),
        moments=numbers(3) - 1,
        dense_feat=feat[2].requires_grad_(),
        dense_classes=numbers(NUM_CLASSES),
    )


def loss_run(name: str, inputs: LossInputs) -> Callable[[], Tensor]:
    """A call that computes a loss and its gradient for the student's features."""

    def run() -> Tensor:
        loss = compute_loss(name, inputs)
        (gradient,) = torch.autograd.grad(loss, inputs.student_feat)
        return gradient

    return run


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure every loss beside steps of two students on a scan of as many points."""
    keyframe, config = open_dataset(data or "street")[0], FIVE_MINUTES.student
    inputs = replace(config.inputs, max_points=NUM_PAIRS)
    generator = torch.Generator().manual_seed(0)  # limits the points, as in training
    scan = prepare_scan(
        keyframe.points, keyframe.intensity, keyframe.sensor, inputs, generator=generator
    )
    batch = collate([scan], inputs).to(device)
    step = train_run(build_student(config, DIM).to(device), batch)
    paper = seconds(train_run(build_student(PAPER, DIM, inputs=inputs).to(device), batch), 1)
    pairs = inputs_of(NUM_PAIRS, device)
    for name in LOSSES:
        of_step, of_loss, ratio = alternate(step, loss_run(name, pairs), REPEATS)
        yield Row(f"{name}: of a step of {PAPER}", 100 * of_loss / paper, "%", "< 15")
        yield Row(f"{name}: of a step of the demo's student", 100 * ratio, "%")
    yield Row(f"step of {PAPER}, {len(scan.kept):,} points", 1e3 * paper, "ms")
    yield Row(f"step of the demo's student, {len(scan.kept):,} points", 1e3 * of_step, "ms")
