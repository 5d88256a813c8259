"""The folder of a distillation: begin a run, continue it, save it.

It holds run.json (how the run was made), history.jsonl (one row per step), a checkpoint from which
the run continues, and at the end student.safetensors.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from kit import store
from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture
from kit.distill.settings import DistillConfig
from kit.distill.step import DistillStep
from kit.store.serialisation import to_plain
from kit.student.checkpoints import save_student
from kit.student.presets import config_to_plain
from kit.student.student import Student
from kit.teacher.teacher import Teacher

HISTORY = "history.jsonl"
STUDENT = "student.safetensors"
# Settings that may differ when a run is continued: they do not change the result.
FREE = {"num_workers", "checkpoint_every", "compile", "fused"}


class RunFolder:
    """Reads and writes the files of a run; without a folder it does nothing.

    Args:
        folder: of the run; None: nothing is written.
        description: everything that the result depends on, see `describe`.
        fabric: only its first process writes.
    """

    def __init__(self, folder: Path | None, description: dict, fabric: Fabric):
        self.folder, self.description, self.fabric = folder, description, fabric
        self._writes = folder is not None and fabric.is_global_zero

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder while a block runs.

        Raises:
            OSError, ValueError: see `kit.store.lock_run`; in every process of the run.
        """
        with ExitStack() as stack:
            refused = None
            if self._writes:
                try:
                    stack.enter_context(store.lock_run(self.folder))
                except (OSError, ValueError) as error:
                    refused = error
            if self.folder is not None:
                refused = self.fabric.broadcast(refused)
            if refused is not None:
                raise refused
            yield

    def open(
        self, step: DistillStep, config: DistillConfig, settings: Any = None
    ) -> tuple[int, list[dict]]:
        """Begin a run, or load the state of the run that is in the folder.

        Args:
            step: what it trains, and its optimizer, get the state of the run.
            config: of this distillation.
            settings: written to run.json, so that a command can be repeated.

        Returns:
            first_step: the number of steps already done.
            history: one row for each of them.

        Raises:
            OSError, ValueError: the folder holds a run with other settings, or a damaged one; names
                what differs or the file. A run that is there is never begun anew, except one that
                was stopped before its first checkpoint; this is printed.
        """
        check_ranks(self.description, self.fabric)
        if self.folder is None:
            return 0, []
        store.check_place(self.folder / STUDENT)
        first_step, history = 0, []
        checkpoint = store.load_checkpoint(self.folder)
        if checkpoint is None:
            notice = check_nothing_is_lost(self.folder, config)
            if notice and self._writes:
                print(notice)
        else:
            configs = {"distill": config, "student": step.student.config}
            check_same(checkpoint.meta, self.description, configs, self.folder)
            checkpoint.restore(step.trained, step.optimizer)
            first_step = checkpoint.step
            history = read_history(self.folder, first_step)
        self.fabric.barrier()  # every process has read before one of them writes
        if self._writes:
            keep_all, keep_none = (lambda row: row["step"] < first_step), (lambda row: False)
            store.truncate_jsonl(self.folder / HISTORY, keep_all if first_step else keep_none)
            store.start_run(
                self.folder,
                self.description,
                config.seed,
                resumed=checkpoint is not None,
                settings=settings,
            )
        return first_step, history

    def record(self, row: dict) -> None:
        """Append one row to the history."""
        if self._writes:
            store.append_jsonl(self.folder / HISTORY, row)

    def save(self, done: int, step: DistillStep, finished: bool) -> None:
        """Write a checkpoint after `done` steps and, if the run is finished, the student."""
        if not self._writes:
            return
        store.save_checkpoint(self.folder, done, step.trained, step.optimizer, self.description)
        if finished:
            save_student(step.student, self.folder / STUDENT)


def check_ranks(description: dict, fabric: Fabric) -> None:
    """Refuse to train together with processes that were started with other settings.

    Args:
        description: of this process, see `describe`.
        fabric: knows the others.

    Raises:
        ValueError: in every process, if two of them differ; names what differs.
    """
    first = fabric.broadcast(description, src=0)
    for rank in range(1, fabric.world_size):
        other = fabric.broadcast(description, src=rank)
        differences = [
            f"{part}.{name}: {first[part].get(name)} in process 0, {value} in process {rank}"
            for part in first
            for name, value in other[part].items()
            if name not in FREE and value != first[part].get(name)
        ]
        if differences:
            listed = "\n  ".join(line[:200] for line in differences)
            raise ValueError(f"two processes of one run have different settings:\n  {listed}")


def read_history(folder: Path, steps: int) -> list[dict]:
    """Read the rows of the steps that a checkpoint includes.

    Args:
        folder: of the run.
        steps: number of steps in its checkpoint. Rows of later steps are left out.

    Raises:
        FileNotFoundError, ValueError: the history is missing, damaged, or of another run.
    """
    path = folder / HISTORY
    advice = "Restore it from a copy, or choose another folder"
    expected = f"{path}: expected a row for each of the {steps} steps of {store.CHECKPOINT}"
    if not path.exists():
        raise FileNotFoundError(f"{expected}, the file is missing. {advice}")
    rows = store.read_jsonl(path)
    for number, row in enumerate(rows):
        is_number = [isinstance(row.get(name), int | float) for name in ("loss", "seconds")]
        if row.get("step") != number or not all(is_number):
            raise ValueError(f"{expected}, row {number} is {str(row)[:80]}. {advice}")
    if len(rows) < steps:
        raise ValueError(f"{expected}, it has {len(rows)}. {advice}")
    return rows[:steps]


def check_nothing_is_lost(folder: Path, config: DistillConfig) -> str | None:
    """Check that a folder without a checkpoint has no run in it that another one would overwrite.

    Returns:
        A notice if a run was begun there and stopped before its first checkpoint; otherwise None.

    Raises:
        OSError, ValueError: the run in the folder had a checkpoint, or its history is damaged.
    """
    rows = store.read_jsonl(folder / HISTORY) if (folder / HISTORY).exists() else []
    every, made = config.checkpoint_every, folder / store.RUN
    if made.exists():
        with suppress(ValueError, TypeError, KeyError):
            every = int(store.read_json(made)["config"]["distill"]["checkpoint_every"])
    finished = [name for name in (STUDENT, "metrics.json") if (folder / name).exists()]
    if finished or len(rows) > every:
        found = f"{finished[0]}" if finished else f"{len(rows)} rows in {HISTORY}"
        raise ValueError(
            f"{folder / store.CHECKPOINT}: missing, although there are {found}, so the run in this "
            "folder cannot be continued, and is not overwritten. Restore the checkpoint from a "
            "copy, choose another folder, or empty this one to start anew"
        )
    if rows or made.exists():
        return (
            f"{folder}: the run there was stopped after {len(rows)} steps, before its first "
            "checkpoint; it starts anew"
        )
    return None


def describe(
    dataset: Dataset,
    keyframes: Sequence[int],
    teacher: Teacher,
    student: Student,
    config: DistillConfig,
) -> dict:
    """Describe everything that the result of a distillation depends on, in the types of JSON."""
    description = {
        "distill": config,
        "student": config_to_plain(student.config),
        "teacher": {"name": teacher.name, "fingerprint": teacher.fingerprint},
        "data": {
            "name": dataset.name,
            "tokens": [dataset.tokens[i] for i in keyframes],
            "content": dataset.content(),
            **_mixed(dataset),
        },
    }
    return to_plain(description, "description")


def _mixed(dataset: Dataset) -> dict:
    """The data sets of a mixture with their weights, sensors and classes; {} for a single one."""
    if not isinstance(dataset, Mixture):
        return {}
    described = zip(dataset.names, dataset.parts, dataset.weights, strict=True)
    parts = [
        {
            "name": name,
            "keyframes": len(part),
            "weight": weight,
            "sensor": part.sensor,
            "classes": part.classes.name,
        }
        for name, part, weight in described
    ]
    return {"parts": parts}


def check_same(before: dict, now: dict, configs: Mapping[str, Any], folder: Path) -> None:
    """Refuse to continue a run with other settings.

    A setting that did not exist when the run was started counts as its default.

    Args:
        before: the description of the run in the folder.
        now: the description of this run.
        configs: dataclasses of settings by part of the description, which know the defaults.
        folder: for the message.

    Raises:
        ValueError: settings, teacher or data differ; names what differs.
    """
    changed = []
    for part, values in now.items():
        there = before.get(part, {})
        if not isinstance(there, Mapping):
            raise ValueError(
                f"{folder / store.CHECKPOINT}: expected the settings of {part} in its header, got "
                f"{str(there)[:60]!r}. Restore it from a copy, or choose another folder"
            )
        if part in configs:
            there = {"type": values.get("type"), **with_defaults(there, configs[part])}
        for name in sorted(({*there} | {*values}) - FREE):
            if there.get(name) != values.get(name):
                changed.append(f"{part}.{name}: {there.get(name)} there, {values.get(name)} now")
    if changed:
        listed = "\n  ".join(line[:200] for line in changed)
        raise ValueError(
            f"{folder} holds a run with other settings; choose another folder or the same "
            f"settings:\n  {listed}"
        )


def with_defaults(stored: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """Add the settings that are missing in a stored description, with their defaults.

    Args:
        stored: settings of a dataclass in the types of JSON, nested dataclasses as nested objects.
        config: an instance of this dataclass.
    """
    completed = dict(stored)
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in stored:
            if field.default is not MISSING:
                completed[field.name] = to_plain(field.default)
        elif is_dataclass(value) and isinstance(stored[field.name], Mapping):
            completed[field.name] = with_defaults(stored[field.name], value)
    return completed
