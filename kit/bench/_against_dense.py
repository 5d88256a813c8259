"""WaffleIron as the kit computes it against WaffleIron as published, on the same weights.

Both run alternately in one process, so the ratios hold on a busy machine.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

import kit
from kit.bench import Row
from kit.bench._measure import (
    alternate,
    infer_run,
    matrix_rate,
    peak_extra_memory,
    seconds,
    train_run,
)
from kit.data.keyframe import Keyframe
from kit.distill.losses.pointwise import distillation_loss
from kit.student import scans as inputs
from kit.student.presets import PRESETS
from kit.student.scans import InputConfig, Scan
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.student.waffleiron.reference import DenseWaffleIron, dense_batch

DEPTH = 6
HEAD = (1024,)  # ViT-L's width
RUN = {"train": train_run, "infer": infer_run}
# (width, what is run, reach of the ratio of times, reach of the ratio of memory)
PAIRS = [
    (256, "train", ">= 5", ">= 6"),
    (768, "train", ">= 4", ">= 6"),
    (64, "infer", ">= 3", ">= 3"),
    (256, "infer", ">= 2", ">= 3"),
]
ARBITRARY = 0


def camera_views(keyframe: Keyframe, config: InputConfig) -> list[Scan]:
    """What each camera sees, sub-sampled at random as in training."""
    views = []
    for seed, camera in enumerate(keyframe.cameras.values()):
        _, _, visible = kit.project_points(
            keyframe.points, camera.T_cam_lidar, camera.K, camera.image_size
        )
        generator = torch.Generator().manual_seed(seed)
        views.append(
            inputs.prepare_scan(
                keyframe.points,
                keyframe.intensity,
                keyframe.sensor,
                config,
                visible=visible,
                generator=generator,
            )
        )
    return views


def pair_rows(
    width: int, task: str, scans: list[Scan], device: str, matrix: float, reach: str, memory: str
) -> Iterator[Row]:
    """One size of WaffleIron against its dense self."""
    student, dense = _pair(width, device)
    batch = inputs.collate(scans, student.config.inputs).to(device)
    padded = dense_batch(scans, student.config.inputs).to(device)
    run, run_dense = RUN[task](student, batch), RUN[task](dense, padded)
    label = f"{DEPTH} x {width}, {'one view' if task == 'train' else 'whole scan'}, {task}"
    yield from _equality_rows(label, task, student, run(), run_dense)
    ours, theirs, ratio = alternate(run, run_dense, 3 if width > 256 else 7)
    yield Row(f"{label}: ms", 1e3 * ours, "ms")
    yield Row(f"{label}: ms of the dense network", 1e3 * theirs, "ms")
    yield Row(f"{label}: times faster", ratio, "x", reach if device == "cpu" else None)
    yield Row(f"{label}: points a second", len(batch.feat) / ours, "points/s")
    floor = _operations(student.config, len(batch.feat), task) / matrix
    yield Row(f"{label}: share of the matrix limit", 100 * floor / ours, "%")
    used, used_dense = (peak_extra_memory(f, device) for f in (run, run_dense))
    yield Row(f"{label}: memory on top", used / 1e6, "MB")
    yield Row(f"{label}: memory of the dense network", used_dense / 1e6, "MB")
    yield Row(
        f"{label}: times smaller", used_dense / used, "x", memory if device == "cpu" else None
    )


def _pair(width: int, device: str) -> tuple[WaffleIron, DenseWaffleIron]:
    torch.manual_seed(ARBITRARY)
    student = WaffleIron(WaffleIronConfig(DEPTH, width, head=HEAD)).to(device)
    return student, DenseWaffleIron(student)


def _equality_rows(
    label: str, task: str, student: nn.Module, ours: Tensor, run_dense: Callable
) -> Iterator[Row]:
    """How far apart the two are, relative to the largest value or to a gradient's length."""
    gradients = [p.grad.clone() for p in student.parameters()] if task == "train" else []
    dense = run_dense().transpose(1, 2).flatten(0, 1)
    error = (ours - dense).abs().max() / dense.abs().max()
    yield Row(f"{label}: outputs differ by", float(error), "of the largest", "<= 1e-5")
    if gradients:
        # A gradient that is zero but for rounding has no direction: its length is compared with
        # the typical one.
        lengths = torch.stack([p.grad.norm() for p in student.parameters()])
        floor = 1e-3 * lengths.median()
        far = [
            float((g - p.grad).norm() / p.grad.norm().clamp(min=floor))
            for g, p in zip(gradients, student.parameters(), strict=True)
        ]
        yield Row(f"{label}: gradients differ by", max(far), "of their length", "<= 1e-3")


def _operations(config: WaffleIronConfig, points: int, task: str) -> float:
    """Floating-point operations of the matrix products that cannot be left out."""
    square = 2.0 * points * config.width**2
    around = config.inputs.num_neighbours * square
    layers = 2 * config.depth * square
    if task == "infer":
        return around + layers + square
    head = 2 * points * config.width * config.head[-1]
    return around + 3 * (layers + square + head)  # backward, one neighbour counts for a channel


def step_rows(keyframe: Keyframe, views: list[Scan], device: str) -> Iterator[Row]:
    """A distillation step of four views, ours and as published (dense, teacher up-sampled)."""
    teacher = kit.build_teacher().to(device)
    cameras = list(keyframe.cameras.values())[:4]
    scans, config = views[:4], InputConfig()
    torch.manual_seed(ARBITRARY)
    student = WaffleIron(WaffleIronConfig(DEPTH, 256, head=(teacher.dim,))).to(device).train()
    dense = DenseWaffleIron(student)
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.0)
    pixels = [_pixels(keyframe, camera, scan) for camera, scan in zip(cameras, scans, strict=True)]
    grids = kit.camera_maps(teacher, cameras, None)

    def learn(student_feat: Tensor, teacher_feat: Tensor) -> None:
        optimizer.zero_grad()
        distillation_loss(student_feat, teacher_feat).backward()
        optimizer.step()

    def sampled(grids: list) -> Tensor:
        zero = [torch.zeros(len(uv), dtype=torch.int64, device=device) for uv in pixels]
        return torch.cat(
            [
                grid.sample(first, uv.to(device), camera.image_size)
                for grid, first, uv, camera in zip(grids, zero, pixels, cameras, strict=True)
            ]
        )

    def ours(cached: bool) -> None:
        batch = inputs.collate(scans, config).to(device)
        teacher_feat = sampled(grids if cached else kit.camera_maps(teacher, cameras, None))
        learn(student(batch), teacher_feat)

    def published() -> None:
        padded = dense_batch(scans, config).to(device)
        teacher_feat = dense_targets(kit.camera_maps(teacher, cameras, None), cameras, pixels)
        student_feat = dense(padded).transpose(1, 2)[padded.real[:, 0]]
        learn(student_feat, teacher_feat)

    for cached, reach in ((False, ">= 6"), (True, ">= 10")):
        words = "teacher's grids cached" if cached else "teacher looking"
        mine, theirs, ratio = alternate(lambda c=cached: ours(c), published, 3)
        label = f"step of 4 views, {DEPTH} x 256, {words}"
        yield Row(f"{label}: s", mine, "s")
        yield Row(f"{label}: s as published", theirs, "s")
        yield Row(f"{label}: times faster", ratio, "x", reach if device == "cpu" else None)


def _pixels(keyframe: Keyframe, camera, scan: Scan) -> Tensor:
    points = keyframe.points[scan.kept]
    return kit.project_points(points, camera.T_cam_lidar, camera.K, camera.image_size)[0]


def gpu_rows(scans: list[Scan]) -> Iterator[Row]:
    """A step of WI-48-768 in bf16, forward and backward: plain, compiled, checkpointed, dense."""
    half = matrix_rate("cuda", torch.bfloat16)
    yield Row("matrix product in bf16", half / 1e9, "GFLOP/s")
    for checkpointing in (False, True):
        config = replace(PRESETS["wi-48-768"], head=HEAD, checkpointing=checkpointing)
        student = WaffleIron(config).cuda()
        batch = inputs.collate(scans, config.inputs).to("cuda")
        floor = _operations(config, len(batch.feat), "train") / half
        for compiled in (False, True):
            student.compile_mixes(compiled)
            words = ", compiled" * compiled + ", checkpointed" * checkpointing
            label = f"wi-48-768, {_size(scans)}, bf16{words}"
            spent = yield from _step_rows(label, _mixed(student, batch))
            if spent:
                yield Row(f"{label}: share of the matrix limit", 100 * floor / spent, "%")
    del batch
    yield from _largest_dense_rows(student, scans)


def _largest_dense_rows(student: WaffleIron, scans: list[Scan]) -> Iterator[Row]:
    """The dense network on as many of the scans as it has memory for, and the student on them."""
    student = WaffleIron(replace(student.config, checkpointing=False)).cuda()
    while scans:
        padded = dense_batch(scans, student.config.inputs).to("cuda")
        label = f"wi-48-768, {_size(scans)}, bf16"
        theirs = yield from _step_rows(f"{label}, dense", _mixed(DenseWaffleIron(student), padded))
        if theirs:
            batch = inputs.collate(scans, student.config.inputs).to("cuda")
            for compiled in (False, True):
                student.compile_mixes(compiled)
                words = ", compiled" * compiled
                ours = yield from _step_rows(
                    f"{label}{words}, beside dense", _mixed(student, batch)
                )
                yield Row(f"{label}{words}: times faster than dense", theirs / ours, "x")
            return
        scans = scans[: len(scans) // 2]


def _size(scans: list[Scan]) -> str:
    return f"{len(scans)} x {len(scans[0].feat):,} points"


def _step_rows(label: str, run: Callable) -> Generator[Row, None, float | None]:
    """Rows of a step's time and memory; returns its seconds, or None if memory is too small."""
    try:
        spent, memory = seconds(run, 5), peak_extra_memory(run, "cuda")
    except torch.cuda.OutOfMemoryError:
        spent = memory = None
    torch.cuda.empty_cache()
    yield Row(f"{label}: ms a step", spent and 1e3 * spent, "ms")
    yield Row(f"{label}: memory on top", memory and memory / 1e6, "MB")
    return spent


def _mixed(network: nn.Module, batch) -> Callable[[], Tensor]:
    step = train_run(network, batch)

    def run() -> Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return step()

    return run


def dense_targets(grids: list, cameras: list, pixels: list[Tensor]) -> Float[Tensor, "M D"]:
    """The teacher's features at pixels, by way of maps as large as the image it saw.

    Args:
        grids: `FeatureMaps` of one image per camera.
        cameras: whose pixels they are.
        pixels: (N, 2) column and row in each camera's own image.

    Source: ScaLR (arXiv:2310.17504): up-sampled (bilinear, corners aligned), then indexed.
    """
    feat = []
    for grid, camera, uv in zip(grids, cameras, pixels, strict=True):
        height, width = grid.image_size
        scale = torch.tensor([width / camera.image_size[1], height / camera.image_size[0]])
        column, row = (uv.floor() * scale).floor().long().to(grid.maps[0].device).unbind(1)
        parts = []
        for coarse in grid.maps:
            fine = F.interpolate(coarse, grid.image_size, mode="bilinear", align_corners=True)
            parts.append(fine[0, :, row, column].T)
        feat.append(parts[0] if len(parts) == 1 else torch.cat([*map(F.normalize, parts)], dim=1))
    return torch.cat(feat)
