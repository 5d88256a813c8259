"""Run an ablation: one distillation and one probe per run, spread over processes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kit import store
from kit.ablate.grid import Run, grid
from kit.ablate.settings import AblationConfig
from kit.ablate.table import AblationTable
from kit.data.keyframe import Dataset
from kit.data.split import Split, split
from kit.demo import DemoConfig, config_of_plain, learn, open_data, plain_config
from kit.distill.batches import TrainingBatches
from kit.distill.loss_inputs import teacher_feat_of
from kit.distill.losses.pointwise import distillation_loss
from kit.evaluate.by_data_set import why_no_probe
from kit.evaluate.corruptions import SEVERITIES
from kit.evaluate.fine_tuning import fine_tune
from kit.evaluate.protocols import last_layer, probe_dataset, seen_points
from kit.evaluate.resilience import robustness
from kit.store.engines import run_all
from kit.store.machine import commit, describe_machine
from kit.store.serialisation import to_plain
from kit.student.student import Student
from kit.teacher.camera_maps import camera_maps
from kit.teacher.presets import build_teacher
from kit.teacher.teacher import Teacher

HELD_OUT_BATCHES = 8  # from which the loss on held-out pairs is computed


def ablate(
    base: DemoConfig,
    axes: Mapping[str, Sequence],
    data: str | None = None,
    *,
    repeats: int = 3,
    one_at_a_time: bool = False,
    out: str | Path = "runs/ablate",
    engine: str = "loky",
    workers: int = 1,
    scheduler: str | None = None,
    command: str = "kit.ablate(...)",
) -> AblationTable:
    """Distil and probe every combination of some settings, with several seeds.

    A run that is in `out` already is not repeated, and one that was interrupted there continues. So
    the same call after a crash goes on where it was.

    Args:
        base: the configuration that all are compared with.
        axes: values by setting, e.g. {"loss": ["l2", "cosine"], "student.width": [64, 128]}.
        data: "street" or the root of a data set; by default `base.data`.
        repeats: number of seeds of every combination.
        one_at_a_time: change one axis at a time, instead of all combinations of the axes.
        out: folder for the runs and for table.jsonl, one line per run.
        engine: "loky": processes on this machine; "dask": a Dask cluster.
        workers: number of processes of "loky"; each gets its part of the cores.
        scheduler: address of the Dask scheduler, for "dask".
        command: kept in the table, so that a reader knows how to repeat it.

    Returns:
        The table, with a row for every run.

    Raises:
        ValueError: see `grid`; or the data has no labels to probe with.
        OSError: `out` cannot be written.
    """
    if data is not None:
        base = replace(base, data=data)
    runs, out = grid(base, axes, repeats, one_at_a_time), Path(out)
    opened = {(run.config.data, run.config.sweeps): run.config for run in runs}
    for config in opened.values():
        dataset = open_data(config)
        if why_not := why_no_probe(dataset, split(dataset)):
            raise ValueError(f"an ablation compares linear probes: {why_not}")
        dataset.prepare()
    waiting = [run for run in runs if not _row_file(out, run).exists()]
    jobs = [(one_run, (run, str(out))) for run in waiting]
    for done, _ in enumerate(run_all(jobs, engine, workers, scheduler), len(runs) - len(waiting)):
        print(f"run {done + 1} of {len(runs)}", flush=True)
    rows = [store.read_json(_row_file(out, run)) for run in runs]
    content = {"base": plain_config(base), "axes": dict(axes), "repeats": repeats}
    content |= {"one_at_a_time": one_at_a_time, "data": base.data}
    table = AblationTable(rows, tuple(runs[0].changes), _how_made(content, command))
    table.save(out / "table.jsonl")
    return table


def _how_made(content: Mapping[str, Any], command: str) -> dict[str, Any]:
    head, dirty = commit()
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": f"{head}-dirty" if dirty else head,
        "machine": describe_machine(),
        "grid": to_plain(content),
    }


def one_run(run: Run, out: str) -> dict:
    """Make one run and write its row; what an interrupted run has done is used."""
    config = run.config
    dataset = open_data(config)
    dataset.prepare()
    parts, teacher = split(dataset), build_teacher(config.teacher)
    cache = store.FeatureCache()
    done = learn(config, Path(out) / run.key, dataset, parts, teacher, cache)
    began, student = time.perf_counter(), done.student
    last = last_layer(student)
    probe = probe_dataset(last, dataset, parts.train, parts.held_out, config.probe, seen_points)
    row = {
        **run.changes,
        "seed": config.distill.seed,
        "is_base": run.is_base,
        "miou": probe.miou,
        "iou": probe.iou,
        "held_out_loss": held_out_loss(student, teacher, dataset, parts, config, cache),
        **(_more(student, probe.head, dataset, parts, config)),
        # The history has the time of all parts of a run that was interrupted.
        "seconds": round(done.history[-1]["seconds"] + time.perf_counter() - began, 1),
        "peak_memory_mb": round(store.peak_memory()),
        "commit": commit()[0],
        "config": plain_config(config),
    }
    store.write_json(_row_file(Path(out), run), row)
    return row


def _more(
    student: Student, head: nn.Module, dataset: Dataset, parts: Split, config: DemoConfig
) -> dict[str, Any]:
    """The columns that an `AblationConfig` asks for."""
    if not isinstance(config, AblationConfig):
        return {}
    more: dict[str, Any] = {}
    if config.fine_tune is not None:
        settings = replace(config.fine_tune, seed=config.distill.seed)
        tuned = fine_tune(student, dataset, parts.train, parts.held_out, settings)
        more |= {"fine_tuned": tuned.result.miou, "fine_tuned_iou": tuned.result.iou}
    if config.corruptions:
        last = last_layer(student)
        found = robustness(last, head, dataset, parts.held_out, config.corruptions)
        more |= {"mrr": found.mrr, "clean": found.clean}
        more |= {
            f"{name} {severity}": miou
            for name, values in found.corrupted.items()
            for severity, miou in zip(SEVERITIES, values, strict=True)
        }
    return more


@torch.no_grad()
def held_out_loss(
    student: Student,
    teacher: Teacher,
    dataset: Dataset,
    parts: Split,
    config: DemoConfig,
    cache: store.FeatureCache,
) -> float:
    """The mean distance of ScaLR on pairs of held-out keyframes, whichever loss was trained with.

    The same pairs for every run with the same inputs: neither its seed nor augmentation changes
    them.
    """
    batches = TrainingBatches(
        dataset,
        parts.held_out,
        config.student.inputs,
        batch_size=config.distill.batch_size,
        steps=HELD_OUT_BATCHES,
        seed=0,
        augment=False,
    )
    device, total, count = next(student.parameters()).device, 0.0, 0
    for batch in (batches[i] for i in range(HELD_OUT_BATCHES)):
        maps = camera_maps(teacher, [view.camera for view in batch.views], cache)
        target = teacher_feat_of(batch.views, maps).to(device)
        feat = student(batch.points.to(device))
        total += float(distillation_loss(feat, target)) * len(feat)
        count += len(feat)
    return total / count


def _row_file(out: Path, run: Run) -> Path:
    return out / f"{run.key}.json"


def from_file(path: str | Path, **options: Any) -> AblationTable:
    """Run the ablation that a JSON file describes: {"base": {...}, "axes": {...}, "repeats": 3}.

    Args:
        path: "base" holds settings as run.json does; what is left out has the demo's value.
        options: see `ablate`; they win over the file.

    Raises:
        ValueError: an unknown entry or setting; names the file.
    """
    command = f"python -m kit ablate {Path(path).name}"
    return from_content(store.read_json(path), str(path), **{"command": command, **options})


def again(table: AblationTable, **options: Any) -> AblationTable:
    """Run the ablation of a table again, for example of one that comes with the kit.

    Args:
        table: with the command and the grid in `made`.
        options: see `ablate`, e.g. `data`, `out`, `repeats`.

    Raises:
        ValueError: the table does not say how it was made, or see `ablate`.
    """
    if "grid" not in table.made:
        raise ValueError("this table does not say how it was made, so its runs cannot be repeated")
    return from_content(table.made["grid"], "the table's grid", **options)


def from_content(content: Any, path: str, **options: Any) -> AblationTable:
    """Run the ablation that a JSON object describes; arguments and errors as in `from_file`."""
    known = {"base", "axes", "repeats", "data", "one_at_a_time"}
    if not isinstance(content, dict) or "axes" not in content or set(content) - known:
        listed = ", ".join(sorted(known - {"axes"}))
        raise ValueError(f"{path}: expected an object with axes, and perhaps {listed}")
    base = config_of_plain(content.get("base", {}), f"{path}: base", AblationConfig)
    given = {name: content[name] for name in known - {"base", "axes"} if name in content}
    return ablate(base, content["axes"], **{**given, **options})
