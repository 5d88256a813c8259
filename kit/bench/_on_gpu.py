"""Measure WaffleIron in mixed precision on a GPU: plain, compiled, fused, and the reference."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from kit.bench import Row
from kit.bench._against_reference import HEAD, operations, pair, reference_of
from kit.bench._measure import (
    alternate,
    infer_run,
    matrix_rate,
    peak_extra_memory,
    seconds,
    train_run,
)
from kit.student.point_batch import collate
from kit.student.presets import PRESETS
from kit.student.scans import Scan
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.student.waffleiron.reference import pad_scans

WAYS = ("plain", "compiled", "fused")
# Of the fused layers without checkpointing: milliseconds, per cent of the matrix rate, MB.
TARGETS = {"ms": "<= 350", "%": ">= 25", "MB": "<= 60000"}
SMALL = (64, 256)  # widths of WI-6 that are compared with the reference


def gpu_rows(scans: list[Scan]) -> Iterator[Row]:
    """A step of WI-48-768 in bf16 in every way, the reference, and small students."""
    half = matrix_rate("cuda", torch.bfloat16)
    yield Row("matrix product in bf16", half / 1e9, "GFLOP/s")
    for checkpointing in (False, True):
        config = replace(PRESETS["wi-48-768"], head=HEAD, checkpointing=checkpointing)
        yield from size_rows(config, scans, "cuda", half)
    yield from _largest_reference_rows(config, scans)
    for width in SMALL:
        for task in ("train", "infer"):
            yield from fused_pair_rows(width, task, scans[:1], "cuda")


def size_rows(
    config: WaffleIronConfig, scans: list[Scan], device: str, matrix: float
) -> Iterator[Row]:
    """Rows of a bf16 step of one size: plain, compiled and fused.

    Args:
        config: of the student.
        scans: the batch.
        device: "cuda"; on "cpu" the fused layers run unfused.
        matrix: floating-point operations a second of a large matrix product in bf16.
    """
    student = WaffleIron(config).to(device)
    batch = collate(scans, config.inputs).to(device)
    least = operations(config, len(batch.feat), "train") / matrix
    for way in WAYS:
        _switch(student, way)
        checkpointed = ", checkpointed" * config.checkpointing
        label = f"{_name(config)}, {_size(scans)}, bf16{_words(way)}{checkpointed}"
        targets = TARGETS if way == "fused" and not config.checkpointing else {}
        spent = yield from _mixed_step_rows(label, student, batch, device, targets)
        if spent or targets:
            share = 100 * least / spent if spent else None
            yield Row(f"{label}: ratio to the matrix limit", share, "%", targets.get("%"))


def fused_pair_rows(width: int, task: str, scans: list[Scan], device: str) -> Iterator[Row]:
    """Rows of a small student in every way beside the reference, both in bf16, run in turn."""
    student, reference = pair(width, device)
    inputs = student.config.inputs
    batch, padded = (make(scans, inputs).to(device) for make in (collate, pad_scans))
    make_run = {"train": train_run, "infer": infer_run}[task]
    theirs = _mixed(make_run(reference, padded), device)
    for way in WAYS:
        _switch(student, way)
        ours = _mixed(make_run(student, batch), device)
        ours()  # compiles
        spent, of_reference, ratio = alternate(ours, theirs, 7)
        label = f"{_name(student.config)}, {_size(scans)}, {task}, bf16{_words(way)}"
        yield Row(f"{label}: ms", 1e3 * spent, "ms")
        yield Row(f"{label}: ms of the reference", 1e3 * of_reference, "ms")
        target = ">= 1" if way == "fused" and device == "cuda" else None
        yield Row(f"{label}: times faster than the reference", ratio, "x", target)


def _switch(student: WaffleIron, way: str) -> None:
    student.compile_mixes(way == "compiled")
    student.fuse_layers(way == "fused")


def _words(way: str) -> str:
    return "" if way == "plain" else f", {way}"


def _name(config: WaffleIronConfig) -> str:
    return f"wi-{config.depth}-{config.width}"


def _size(scans: list[Scan]) -> str:
    return f"{len(scans)} x {len(scans[0].feat):,} points"


def _mixed(run: Callable[[], Tensor], device: str) -> Callable[[], Tensor]:
    """The same call under autocast in bf16."""

    def mixed() -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return run()

    return mixed


def _largest_reference_rows(config: WaffleIronConfig, scans: list[Scan]) -> Iterator[Row]:
    """The reference on as many of the scans as fit into memory, and the student on the same."""
    student = WaffleIron(replace(config, checkpointing=False)).cuda()
    reference = reference_of(student)
    while scans:
        padded = pad_scans(scans, config.inputs).to("cuda")
        label = f"{_name(config)}, {_size(scans)}, bf16"
        theirs = yield from _mixed_step_rows(f"{label}, reference", reference, padded, "cuda")
        if theirs:
            batch = collate(scans, config.inputs).to("cuda")
            for way in WAYS:
                _switch(student, way)
                words = label + _words(way)
                ours = yield from _mixed_step_rows(
                    f"{words}, beside reference", student, batch, "cuda"
                )
                yield Row(f"{words}: times faster than the reference", ours and theirs / ours, "x")
            return
        scans = scans[: len(scans) // 2]


def _mixed_step_rows(
    label: str, network, batch, device: str, targets: dict[str, str] | None = None
) -> Generator[Row, None, float | None]:
    """Rows of a bf16 step's time and memory; returns seconds, or None if memory is too small."""
    run, targets = _mixed(train_run(network, batch), device), targets or {}
    try:
        spent, memory = seconds(run, 5), peak_extra_memory(run, device)
    except torch.cuda.OutOfMemoryError:
        spent = memory = None
    if device == "cuda":
        torch.cuda.empty_cache()
    yield Row(f"{label}: ms a step", spent and 1e3 * spent, "ms", targets.get("ms"))
    yield Row(f"{label}: memory on top", memory and memory / 1e6, "MB", targets.get("MB"))
    return spent
