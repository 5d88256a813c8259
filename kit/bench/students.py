"""Time and memory of the students, compared with the reference network and the machine's limits.

python -m kit bench students --data <root of a data set in the nuScenes schema>
"""

from collections.abc import Callable, Iterator

import torch
from torch import nn

import kit
from kit.bench import Row
from kit.bench._against_reference import PAIRS, camera_views, pair_rows, step_rows
from kit.bench._measure import (
    COPIED,
    MATRIX,
    copy_rate,
    infer_run,
    matrix_rate,
    now,
    peak_extra_memory,
    seconds,
    train_run,
)
from kit.bench._on_gpu import gpu_rows
from kit.data.keyframe import Keyframe, Sensor
from kit.student import scans as inputs
from kit.student.point_batch import collate
from kit.student.presets import build_student
from kit.student.scans import InputConfig, Scan

TEACHER_DIM = 1024  # the width of ViT-L
STUDENTS = ("wi-6-64", "wi-12-128", "minkunet-18", "minkunet-34")


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Rows of the bench; `data` is the root of a data set, by default the street."""
    torch.backends.cudnn.allow_tf32 = False  # it would round in the reference's convolutions
    keyframe = kit.open_dataset(data or "street")[0]
    config = InputConfig()
    whole = inputs.prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, config)
    views = camera_views(keyframe, config)
    matrix = matrix_rate(device)
    yield Row("matrix product of {} x {} x {}".format(*MATRIX[device]), matrix / 1e9, "GFLOP/s")
    copied = f"copy of {COPIED[device] // 10**6:,} MB, bytes read and written"
    yield Row(copied, copy_rate(device) / 1e9, "GB/s")
    yield from _input_rows(keyframe, config)
    for width, task, of_time, of_memory in PAIRS:
        scans = [views[0]] if task == "train" else [whole]
        yield from pair_rows(width, task, scans, device, matrix, of_time, of_memory)
    yield from step_rows(keyframe, views, device)
    for name in STUDENTS:
        yield from _student_rows(name, keyframe, device)
    yield from _growth_rows(device)
    if device == "cuda":
        yield from gpu_rows([made_up_scan(20_000, seed) for seed in range(8)])


def _input_rows(keyframe: Keyframe, config: InputConfig) -> Iterator[Row]:
    count = len(keyframe.points)
    arguments = keyframe.points, keyframe.intensity, keyframe.sensor, config
    spent = seconds(lambda: inputs.prepare_scan(*arguments), 15)
    target = "<= 20" if count < 40_000 else "<= 70" if count < 110_000 else None
    yield Row(f"voxels, neighbours, cells of {count:,} points", 1e3 * spent, "ms", target)
    scan = inputs.prepare_scan(*arguments)
    tables = seconds(lambda: collate([scan], config), 15)
    yield Row("tables of three planes for them", 1e3 * tables, "ms")


def _student_rows(name: str, keyframe: Keyframe, device: str) -> Iterator[Row]:
    """Rows of one student on the whole keyframe: time, memory, and the time of each stage."""
    student = build_student(name, TEACHER_DIM).to(device)
    config = student.config.inputs
    arguments = keyframe.points, keyframe.intensity, keyframe.sensor, config
    scan = inputs.prepare_scan(*arguments)
    batch = collate([scan], config).to(device)
    forward = seconds(infer_run(student, batch), 3)
    both = seconds(train_run(student, batch), 3)
    prepared = seconds(lambda: collate([inputs.prepare_scan(*arguments)], config), 3)
    yield Row(f"{name}, whole scan: inputs", 1e3 * prepared, "ms")
    yield Row(f"{name}, whole scan: forward", 1e3 * forward, "ms")
    yield Row(f"{name}, whole scan: forward and backward", 1e3 * both, "ms")
    yield Row(f"{name}, whole scan: points a second", len(batch.feat) / forward, "points/s")
    memory = peak_extra_memory(train_run(student, batch), device)
    yield Row(f"{name}, whole scan: memory of a step", memory / 1e6, "MB")
    total = seconds(infer_run(student, batch), 3)
    for stage, modules in student.stages().items():
        spent = _time_in(modules, infer_run(student, batch))
        yield Row(f"{name}, whole scan: {stage}", 100 * spent / total, "% of forward")


def _time_in(modules: list[nn.Module], run: Callable) -> float:
    """Seconds that a call spends in these modules, measured by hooks."""
    began: dict[nn.Module, float] = {}
    spent = []
    handles = []
    for module in modules:
        handles.append(module.register_forward_pre_hook(lambda m, _: began.__setitem__(m, now())))
        handles.append(module.register_forward_hook(lambda m, *_: spent.append(now() - began[m])))
    run()
    for handle in handles:
        handle.remove()
    return sum(spent)


def _growth_rows(device: str) -> Iterator[Row]:
    """Rows of the time per point from 62,500 to 500,000 points: constant if it grows linearly."""
    student = build_student("wi-6-64", TEACHER_DIM).to(device).eval()
    per_point = {}
    for count in (62_500, 125_000, 250_000, 500_000):
        batch = collate([made_up_scan(count)], student.config.inputs).to(device)
        per_point[count] = seconds(infer_run(student, batch), 3) / count
        yield Row(f"wi-6-64, {count:,} points: time a point", 1e6 * per_point[count], "us")
    growth = per_point[500_000] / per_point[62_500]
    yield Row("time a point at 500,000 over 62,500", growth, "x", "<= 1.3")


def made_up_scan(count: int, seed: int = 0) -> Scan:
    """A made-up scan of any size, dense near the sensor and flat as a lidar scan."""
    generator = torch.Generator().manual_seed(seed)
    angle, distance = torch.rand(2, count, generator=generator).unbind()
    angle, distance = 2 * torch.pi * angle, 62 * distance
    height = -1.8 + 3 * torch.rand(count, generator=generator) ** 4
    points = torch.stack([distance * angle.cos(), distance * angle.sin(), height], dim=1)
    config = InputConfig()
    feat = inputs.point_features(
        points, torch.rand(count, generator=generator), Sensor("made up", 0.0, 1.0)
    )
    return Scan(
        feat=feat,
        neighbours=inputs.nearest_neighbours(points, config.num_neighbours),
        cells=inputs.plane_cells(points, config),
        kept=torch.arange(count),
    )
