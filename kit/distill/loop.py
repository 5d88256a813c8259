"""Distillation: the training loop.

    for every step: views of some keyframes -> teacher features at their pixels
                                            -> student features at their points -> loss -> update

Devices, precision and several processes are Lightning Fabric's: `torchrun --nproc-per-node 8 -m kit
distill ...` is enough for several GPUs. A run with a folder writes checkpoints. If it is started
again with the same settings, it continues from the last one and ends with the same weights. Ctrl-C
and SIGTERM stop it at the end of a step, which is saved.

Source: ScaLR (arXiv:2310.17504), distillation.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import nn
from torch.utils.data import DataLoader

from kit.data.keyframe import Dataset
from kit.distill.batches import TrainingBatches
from kit.distill.interrupts import DeferredInterrupts, ignore_interrupts
from kit.distill.losses import needs
from kit.distill.pending import PendingRows
from kit.distill.run_folder import RunFolder, describe
from kit.distill.settings import DistillConfig
from kit.distill.step import DistillStep
from kit.store import FeatureCache, keep_freed_memory
from kit.store.processes import own_device, this_process
from kit.store.progress import progress_bar
from kit.student.student import DistilledFrom, Student
from kit.teacher.camera_maps import MissingImages
from kit.teacher.teacher import Teacher

# Settings that make a student faster, and the method that switches each on or off.
SWITCHES = {"compile": "compile_mixes", "fused": "fuse_layers"}


@dataclass
class DistillRun:
    """The result of a distillation.

    Attributes:
        student: the distilled student, in eval mode.
        history: one row per step: step, loss, lr, pairs of this process, and seconds since the
            start.
        finished: False if the run was interrupted before its last step. To continue it, start it
            with the same folder.
        interrupted: whether Ctrl-C or SIGTERM asked to stop, perhaps during the last step.
        seconds: time by stage: reading, inputs, teacher, student, loss.
        folder: with checkpoint, history and student; None if nothing was written.
    """

    student: Student
    history: list[dict]
    finished: bool = True
    interrupted: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    folder: Path | None = None


def make_fabric(config: DistillConfig) -> Fabric:
    """One device, a GPU if there is one; under torchrun or srun, the devices of all processes."""
    processes, nodes = processes_and_nodes()
    alone = processes * nodes == 1 and torch.cuda.is_available()
    fabric = Fabric(
        accelerator="auto",
        devices=[own_device().index] if alone else processes,
        num_nodes=nodes,
        precision=config.precision,
        plugins=[_environment()],
    )
    fabric.launch()
    return fabric


def _environment() -> ClusterEnvironment:
    """Where Fabric reads the numbers of processes; it is told, because its own rule differs."""
    process = this_process()
    if process.launcher == "torchrun":
        return TorchElasticEnvironment()
    several = process.launcher == "srun" and process.ranks > 1
    return SLURMEnvironment() if several else LightningEnvironment()


def processes_and_nodes() -> tuple[int, int]:
    """Processes on each machine and the number of machines, as torchrun or srun say; else (1, 1).

    Raises:
        ValueError: their number on each machine is not known.
    """
    process = this_process()
    if process.local_ranks:
        return process.local_ranks, process.ranks // process.local_ranks
    if process.launcher == "srun":
        raise ValueError(
            f"srun started {process.ranks} processes: give it --ntasks-per-node, the number of "
            "GPUs of a machine, instead of --ntasks"
        )
    raise ValueError(
        f"WORLD_SIZE={process.ranks} but LOCAL_WORLD_SIZE is missing: start the processes with "
        "torchrun, which sets both"
    )


def distill(
    dataset: Dataset,
    teacher: Teacher,
    student: Student,
    config: DistillConfig = DistillConfig(),  # noqa: B008
    *,
    keyframes: Sequence[int] | None = None,
    out: str | Path | None = None,
    cache: FeatureCache | None = None,
    fabric: Fabric | None = None,
    progress: bool = True,
    settings: Any = None,
) -> DistillRun:
    """Train a student to predict the features of a frozen teacher.

    Args:
        dataset: gives the keyframes. Labels are used only by losses that need classes.
        teacher: frozen; it has as many channels as the student's distillation head.
        student: trained in place. Its `distilled_from` becomes this teacher.
        config: settings of the distillation.
        keyframes: indices of the keyframes to train on; by default all.
        out: folder of the run. If a run is already there, it is continued.
        cache: keeps the teacher's feature maps and the superpixels, so that each image is computed
            once.
        fabric: device and precision; by default `make_fabric(config)`.
        progress: show a progress bar with the loss and the time left.
        settings: written to run.json under "settings", so that the command that started the run can
            be repeated; anything that JSON can hold.

    Raises:
        ValueError: the numbers of channels differ, the student cannot be compiled or fused although
            `config` says so, the loss needs an input that is not there, or `out` holds a run with
            other settings, a damaged one, or one that is going on.
        FloatingPointError: the loss became infinite or NaN.
    """
    _check(teacher, student, config)
    keep_freed_memory()
    keyframes = tuple(range(len(dataset)) if keyframes is None else keyframes)
    fabric = fabric or make_fabric(config)
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # torch has it for GPUs only
        student = nn.SyncBatchNorm.convert_sync_batchnorm(student)
    batches = _batches(dataset, keyframes, teacher, student, config, cache, fabric)
    _tell_left_out(batches, fabric)
    step = DistillStep(teacher, student, config, fabric, cache)
    description = describe(dataset, keyframes, teacher, student, config)
    folder = RunFolder(Path(out) if out else None, description, fabric)
    with folder.locked(), _faster(student, config):
        first_step, history = folder.open(step, config, settings)
        student.distilled_from = DistilledFrom(teacher.name, teacher.fingerprint, dataset.sensor)
        rows = _rows(step, batches, config, first_step)
        interrupted = _run(rows, step, config, folder, first_step, history, progress)
    finished = len(history) == config.steps
    return DistillRun(student.eval(), history, finished, interrupted, step.seconds, folder.folder)


def _check(teacher: Teacher, student: Student, config: DistillConfig) -> None:
    if student.config.head[-1] != teacher.dim:
        raise ValueError(
            f"the student's head has {student.config.head[-1]} channels, the teacher "
            f"{teacher.name} has {teacher.dim}: build the student with teacher_dim={teacher.dim}"
        )
    if config.class_token:
        teacher.check_class_token()
    for switch in _switches(config):
        if not hasattr(student, SWITCHES[switch]):
            raise ValueError(
                f"{switch}=True: a {type(student).__name__} has no method {SWITCHES[switch]}. "
                f"Leave out {switch}, or choose a WaffleIron"
            )


def _batches(
    dataset: Dataset,
    keyframes: Sequence[int],
    teacher: Teacher,
    student: Student,
    config: DistillConfig,
    cache: FeatureCache | None,
    fabric: Fabric,
) -> TrainingBatches:
    image_of = None
    if config.num_workers:  # which then decode images, too
        image_of = MissingImages(teacher.fingerprint, teacher.image_size, cache)
    return TrainingBatches(
        dataset,
        keyframes,
        student.config.inputs,
        batch_size=config.batch_size,
        steps=config.steps,
        seed=config.seed,
        augment=config.augment,
        hidden=config.hidden,
        cameras=config.cameras,
        beam_drop=config.beam_drop,
        sensor_jitter=config.sensor_jitter,
        superpixels=config.superpixels,
        moment_step=config.moment_step,
        needs=needs(config.loss),
        cache=cache,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        image_of=image_of,
    )


def _tell_left_out(batches: TrainingBatches, fabric: Fabric) -> None:
    """Print how many keyframes are left out.

    Raises:
        ValueError: all of them are.
    """
    if fabric.is_global_zero:
        left_out = batches.left_out()
        if left_out.count or left_out.alone:
            print(left_out)
        if left_out.count == left_out.checked:
            batches[0]  # raises the error that says what to try, unless another keyframe is usable


@contextmanager
def _faster(student: Student, config: DistillConfig) -> Iterator[None]:
    """Compile or fuse the student's layers for the time of a block."""
    methods = [getattr(student, SWITCHES[switch]) for switch in _switches(config)]
    for method in methods:
        method()
    try:
        yield
    finally:
        for method in methods:
            method(False)


def _switches(config: DistillConfig) -> list[str]:
    return [switch for switch in SWITCHES if getattr(config, switch)]


def _rows(
    step: DistillStep, batches: TrainingBatches, config: DistillConfig, first_step: int
) -> Iterator[dict]:
    """Make the steps that are left; yields the row of each for the history, without the time."""
    numbers = range(first_step, config.steps)
    loader = DataLoader(
        batches,
        sampler=numbers,
        batch_size=None,
        num_workers=config.num_workers,
        worker_init_fn=ignore_interrupts,
        persistent_workers=config.num_workers > 0,
        pin_memory=step.device.type == "cuda",
    )
    for number, batch in zip(numbers, loader, strict=True):
        torch.manual_seed(config.seed * 1_000_003 + number)  # for drop path
        lr = config.lr_at(number)
        yield {"step": number, "loss": step(batch, lr), "lr": lr, "pairs": batch.num_pairs}


def _run(
    rows: Iterator[dict],
    step: DistillStep,
    config: DistillConfig,
    folder: RunFolder,
    first_step: int,
    history: list[dict],
    progress: bool,
) -> bool:
    """Make the steps of `rows`, record and save them; True if the user interrupted."""
    done, fabric = first_step, folder.fabric
    earlier = history[-1]["seconds"] if history else 0.0
    began, is_first = time.perf_counter(), fabric.is_global_zero
    options = {"desc": "distilling", "unit": "step", "disable": not (progress and is_first)}
    pending = PendingRows(history, folder.record, config, fabric.device)
    with (
        DeferredInterrupts(fabric) as interrupts,
        progress_bar(total=config.steps, initial=done, **options) as bar,
    ):
        for row in rows:
            pending.add({**row, "seconds": round(earlier + time.perf_counter() - began, 3)})
            done = row["step"] + 1
            if history:
                bar.set_postfix(loss=f"{history[-1]['loss']:.3f}", refresh=False)
            bar.update()
            if interrupts.wanted():
                break
            if done % config.checkpoint_every == 0 and done < config.steps:
                pending.read()
                folder.save(done, step, finished=False)
        pending.read()
        folder.save(done, step, finished=done == config.steps)
        interrupted = interrupts.wanted()
        if interrupted and is_first:
            kept = f" and saved in {folder.folder}" if folder.folder else ""
            bar.write(
                f"stopped: {done} of {config.steps} steps are done{kept}. Start the same run again "
                "to go on"
            )
    return interrupted or interrupts.received
