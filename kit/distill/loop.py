"""Distillation: the loop that teaches a student on lidar points what a frozen image teacher sees.

    for every step: views of some keyframes -> teacher features at their pixels
                                            -> student features at their points -> loss -> update

Devices, precision and several processes are Lightning Fabric's: `torchrun --nproc-per-node 8 -m kit
distill ...` needs nothing else. A run with a folder writes a checkpoint now and then; started again
with the same settings it goes on where it was and ends on the same weights.

Source: ScaLR (arXiv:2310.17504), distillation.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from kit.data.keyframe import Dataset
from kit.distill.batches import TrainingBatch, TrainingBatches
from kit.distill.losses import LOSSES
from kit.distill.settings import DistillConfig
from kit.store import files as store
from kit.store.machine import keep_freed_memory
from kit.student.checkpoints import save_student
from kit.student.scans import PointBatch
from kit.student.waffleiron.model import WaffleIron
from kit.teacher.camera_maps import camera_maps
from kit.teacher.teacher import Teacher


@dataclass
class DistillRun:
    """What a distillation leaves behind.

    Attributes:
        student: the distilled student, in eval mode.
        history: one row per step: step, loss, lr, pairs, seconds since the start.
        finished: False if it was interrupted; start it again with the same folder to go on.
        seconds: time spent by stage: reading, inputs, teacher, student, loss.
        folder: where checkpoint, history and student lie; None if nothing was written.
    """

    student: nn.Module
    history: list[dict]
    finished: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    folder: Path | None = None


def make_fabric(config: DistillConfig) -> Fabric:
    """One device (a GPU where there is one), or what torchrun started."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ.get("WORLD_SIZE", 1)) // processes
    fabric = Fabric(
        accelerator="auto", devices=processes, num_nodes=nodes, precision=config.precision
    )
    fabric.launch()
    return fabric


def distill(
    dataset: Dataset,
    teacher: Teacher,
    student: nn.Module,
    config: DistillConfig = DistillConfig(),  # noqa: B008
    *,
    keyframes: Sequence[int] | None = None,
    out: str | Path | None = None,
    cache: store.FeatureCache | None = None,
    fabric: Fabric | None = None,
    progress: bool = True,
) -> DistillRun:
    """Distil a teacher into a student.

    Args:
        dataset: where keyframes come from; labels are never looked at.
        teacher: frozen; its width must be the student's head's.
        student: changed in place.
        keyframes: indices to learn from; all by default.
        out: folder of the run; a run found there is continued.
        cache: keeps the teacher's grids, so that each image is looked at once.
        fabric: device and precision; by default a GPU where there is one.
        progress: show a bar with loss and time left.

    Raises:
        ValueError: the widths differ, the student cannot be compiled though it should, or `out`
            holds a run with other settings.
    """
    if student.config.head[-1] != teacher.dim:
        raise ValueError(
            f"the student's head gives {student.config.head[-1]} channels, the teacher "
            f"{teacher.name} has {teacher.dim}: build the student for this teacher's width"
        )
    if config.compile and not isinstance(student, WaffleIron):
        raise ValueError(
            f"compile=True is for WaffleIron; {type(student).__name__} runs on spconv, which "
            "torch.compile cannot see into"
        )
    keep_freed_memory()
    keyframes = tuple(range(len(dataset)) if keyframes is None else keyframes)
    fabric = fabric or make_fabric(config)
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # torch has it on GPUs only
        student = nn.SyncBatchNorm.convert_sync_batchnorm(student)
    batches = TrainingBatches(
        dataset,
        keyframes,
        student.config.inputs,
        batch_size=config.batch_size,
        steps=config.steps,
        seed=config.seed,
        augment=config.augment,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    loop = _Loop(teacher, student, config, fabric, cache, Path(out) if out else None)
    loop.open(_describe(dataset, keyframes, teacher, student, config))
    with _compiled(student) if config.compile else nullcontext():
        finished = loop.run(batches, progress)
    return DistillRun(student.eval(), loop.history, finished, loop.seconds, loop.out)


@contextmanager
def _compiled(student: WaffleIron):
    student.compile_mixes()
    try:
        yield
    finally:
        student.compile_mixes(False)


def _describe(dataset, keyframes, teacher, student, config) -> dict:
    """Everything the result depends on; a run is only continued if none of it changed."""
    return {
        "distill": asdict(config),
        "student": asdict(student.config),
        "teacher": {"name": teacher.name, "fingerprint": teacher.fingerprint},
        "data": {
            "name": dataset.name,
            "tokens": [dataset.tokens[i] for i in keyframes],
            "content": dataset.content(),
        },
    }


class _Unwraps(nn.Module):
    """A student whose batch comes in a function: Lightning takes a bare one apart to convert its
    tensors in mixed precision, and refuses frozen dataclasses."""

    def __init__(self, student: nn.Module):
        super().__init__()
        self.student = student

    def forward(self, batch: Callable[[], PointBatch]) -> Tensor:
        return self.student(batch())


class _Loop:
    """Model, optimizer and history of a run, and their trips to disk and back."""

    def __init__(self, teacher, student, config, fabric, cache, out):
        self.config, self.fabric, self.cache, self.out = config, fabric, cache, out
        self.teacher = teacher.to(fabric.device)
        self.raw_student = student
        optimizer = torch.optim.AdamW(
            student.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        self.student, self.optimizer = fabric.setup(_Unwraps(student), optimizer)
        self.names = [name for name, _ in student.named_parameters()]
        self.history: list[dict] = []
        self.seconds: dict[str, float] = {}
        self.first_step = 0

    # --- the step -------------------------------------------------------------------------------

    def step(self, batch: TrainingBatch) -> Tensor:
        """Compare what student and teacher say of the same points, and improve the student."""
        with self._clock("teacher"):
            teacher_feat = self._teacher_feat(batch)  # (M, D)
        with self._clock("student"):
            points = batch.points.to(self.fabric.device)
            student_feat = self.student(lambda: points)  # (M, D)
        with self._clock("loss"):
            loss = LOSSES[self.config.loss](student_feat.float(), teacher_feat)
        with self._clock("student"):
            self.fabric.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return loss.detach()

    def _teacher_feat(self, batch: TrainingBatch) -> Tensor:
        cameras = [view.camera for view in batch.views]
        grids = camera_maps(self.teacher, cameras, self.cache)
        device = self.fabric.device
        feat = [
            grid.sample(
                torch.zeros(len(view.uv), dtype=torch.int64, device=device),
                view.uv.to(device),
                view.camera.image_size,
            )
            for grid, view in zip(grids, batch.views, strict=True)
        ]
        return torch.cat(feat)

    # --- the run --------------------------------------------------------------------------------

    def run(self, batches: TrainingBatches, progress: bool) -> bool:
        """Do the steps that are left; False if the user interrupted."""
        steps = range(self.first_step, self.config.steps)
        loader = DataLoader(
            batches,
            sampler=steps,
            batch_size=None,
            num_workers=self.config.num_workers,
            persistent_workers=self.config.num_workers > 0,
        )
        bar = tqdm(
            total=self.config.steps,
            initial=self.first_step,
            desc="distilling",
            unit="step",
            disable=not (progress and self.fabric.is_global_zero),
        )
        self.student.train()
        began, done = time.perf_counter(), self.first_step
        earlier = self.history[-1]["seconds"] if self.history else 0.0
        try:
            for step, batch in zip(steps, loader, strict=True):
                torch.manual_seed(self.config.seed * 1_000_003 + step)  # for drop path
                lr = self.config.lr_at(step)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr
                loss = self.step(batch).item()
                for stage, spent in batch.seconds.items():
                    self.seconds[stage] = self.seconds.get(stage, 0.0) + spent
                done = step + 1
                self._record(step, loss, lr, batch, earlier + time.perf_counter() - began)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update()
                if done % self.config.checkpoint_every == 0 and done < self.config.steps:
                    self.save(done)
        except KeyboardInterrupt:
            bar.close()
            self.save(done)
            print(f"interrupted after {done} of {self.config.steps} steps; what is done is kept")
            return False
        bar.close()
        self.save(done)
        return True

    def _record(self, step, loss, lr, batch, seconds) -> None:
        if not torch.isfinite(torch.tensor(loss)):
            raise FloatingPointError(
                f"the loss became {loss} at step {step}: try a lower lr than {self.config.lr} or "
                "precision 32-true"
            )
        row = {
            "step": step,
            "loss": loss,
            "lr": lr,
            "pairs": len(batch.points.feat),
            "seconds": round(seconds, 3),
        }
        self.history.append(row)
        if self._writes:
            store.append_jsonl(self.out / "history.jsonl", row)

    @contextmanager
    def _clock(self, stage: str):
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

    # --- disk -----------------------------------------------------------------------------------

    @property
    def _writes(self) -> bool:
        return self.out is not None and self.fabric.is_global_zero

    def open(self, description: dict) -> None:
        """Begin the run's folder, or continue the run that is there."""
        if self.out is None:
            return
        checkpoint = store.load_checkpoint(self.out)
        if checkpoint is not None:
            _check_same(checkpoint.meta, description, self.out)
            self.raw_student.load_state_dict(checkpoint.model)
            checkpoint.restore_optimizer(self.optimizer.optimizer, self.names)
            self.first_step = checkpoint.step
            rows = store.read_jsonl(self.out / "history.jsonl")
            self.history = [row for row in rows if row["step"] < checkpoint.step]
        self.description = description
        self.fabric.barrier()
        if self._writes:
            store.truncate_jsonl(
                self.out / "history.jsonl", lambda row: row["step"] < self.first_step
            )
            store.start_run(self.out, description, self.config.seed, resumed=checkpoint is not None)

    def save(self, done: int) -> None:
        """Write the checkpoint, and the student once it is finished."""
        if not self._writes:
            return
        store.save_checkpoint(
            self.out,
            done,
            self.raw_student.state_dict(),
            self.optimizer.optimizer,
            self.names,
            self.description,
        )
        if done == self.config.steps:
            teacher = self.description["teacher"]
            save_student(self.raw_student, self.out / "student.safetensors", teacher=teacher)


# Settings a continued run may change: none of them alters the result.
_FREE = {"num_workers", "checkpoint_every", "compile"}


def _check_same(before: dict, now: dict, folder: Path) -> None:
    """Refuse to continue a run with other settings, naming them."""
    changed = [
        f"{part}.{name}: {before.get(part, {}).get(name)} there, {value} now"
        for part, values in now.items()
        for name, value in values.items()
        if name not in _FREE and _as_json(value) != before.get(part, {}).get(name)
    ]
    if changed:
        listed = "\n  ".join(str(change)[:200] for change in changed)
        raise ValueError(
            f"{folder} holds a run with other settings; choose another folder or the same "
            f"settings:\n  {listed}"
        )


def _as_json(value):
    """A value as it looks after a trip through JSON: tuples are lists."""
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value
